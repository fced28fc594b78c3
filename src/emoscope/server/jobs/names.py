"""Names of the files in a job's folder; none comes from a client."""

from typing import Final

UPLOAD: Final = "upload.video"
ANIMATION: Final = "upload.webp"
"""An upload that is an animated WebP: its reader goes by the name."""
RESULT: Final = "result"
Setting = str | bool | int | float
"""A job's setting, as a form or a live view sent it."""
