"""A training's figures for TensorBoard: a row per epoch in, event files in the run's folder out."""

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from emoscope.core.errors import OutputError


class TensorBoard:
    """Open while a training writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextlib.contextmanager
    def open(self, epoch: int) -> Iterator[None]:
        """Keep the file open; what an interrupted epoch wrote after the last checkpoint is void.

        Args:
            epoch: number of whole epochs at the last checkpoint.

        Raises:
            OutputError: it cannot be written.
        """
        try:
            self.writer = SummaryWriter(self.folder, purge_step=epoch + 1)
        except OSError as e:
            raise self.explain(e) from e
        try:
            yield
        finally:
            # Every epoch was flushed: closing can only fail where there was nothing left to write.
            with contextlib.suppress(OSError):
                self.writer.close()

    def write(self, row: dict[str, float], epoch: int) -> None:
        """Write those of an epoch's figures that there are.

        Raises:
            OutputError: they cannot be written.
        """
        try:
            for key, value in row.items():
                if not math.isnan(value):
                    self.writer.add_scalar(key, value, epoch)
            self.writer.flush()
        except OSError as e:
            raise self.explain(e) from e

    def explain(self, error: OSError) -> OutputError:
        """Return the error that says what to do."""
        return OutputError(f"cannot write {self.folder} ({error.strerror or error}); make room, and run it again")
