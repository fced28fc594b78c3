"""The loop over the stages: frames in, one result per frame out."""
