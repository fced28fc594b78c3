"""The form of a video: fields as a client sends them in, Settings and times out."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from emoscope.analysis.settings import Settings
from emoscope.core.errors import InputError
from emoscope.core.timecode import Every, parse_every, parse_time
from emoscope.tables.baseline import parse_baseline

Number = Annotated[Literal[1, 2, 10], BeforeValidator(lambda value: int(value) if str(value).isdecimal() else value)]


class VideoForm(BaseModel):
    """How a video is to be read; the options of `emoscope analyze`."""

    model_config = ConfigDict(extra="forbid")

    every: str = Field("1", description="Every n-th frame, or one in so many seconds.", examples=["5", "0.2s"])
    start: str = Field("0", description="Begin here.", examples=["90", "1:30"])
    end: str | None = Field(None, description="End here.", examples=["12:00"])
    smooth: float = Field(0.0, ge=0, le=3600, allow_inf_nan=False, description="Smooth with this time constant in s.")
    baseline: str = Field("off", description="off, auto or START-END: the zero line.", examples=["auto", "12-20"])
    views: Number = Field(1, description="Views averaged per face.")
    balanced: bool = Field(False, description="Name rare emotions more often.")
    detector: Literal["auto", "yunet", "haar"] | None = Field(None, description="Face detector; the server's if empty.")
    thumbnails: Literal["none", "blurred", "clear"] = Field("none", description="Faces in the report.")
    annotate: bool = Field(False, description="Also make annotated.mp4.")
    blur_faces: bool = Field(False, description="Hide who the people are in it.")
    anonymous: bool = Field(False, description="Write no face boxes and no clear face.")

    def parse_times(self) -> tuple[Every, float, float | None]:
        """Return which frames to read, from where and up to where.

        Raises:
            InputError: one of them is no time, or the end is not after the start.
        """
        every, start_s = parse_every(self.every), parse_time(self.start)
        end_s = None if self.end is None else parse_time(self.end)
        if end_s is not None and end_s <= start_s:
            raise InputError(f"the end ({end_s:g} s) is not after the start ({start_s:g} s); choose a later end")
        return every, start_s, end_s

    def create_settings(self, detector: str, model: Any) -> Settings:
        """Return the settings of an analysis.

        Args:
            detector: the server's, where the form names none.
            model: the server's.

        Raises:
            InputError: impossible together.
        """
        return Settings(
            detector=self.detector or detector,
            model=model,
            n_views=self.views,
            balanced=self.balanced,
            smoothing_s=self.smooth,
            baseline=parse_baseline(self.baseline),
            annotate=self.annotate,
            blur_faces=self.blur_faces,
            thumbnails=self.thumbnails,
            anonymous=self.anonymous,
        )
