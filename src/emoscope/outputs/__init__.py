"""Files beside the report: annotated pictures and video, thumbnails, explanations, other formats."""
