"""A run is one training: a folder named by the hash of its config, split and data.

The folder holds `run.json` (config, split, data, environment), `split.npz`, `checkpoint.safetensors` (everything to
go on from the last epoch), `best.safetensors` (the selected weights), `metrics.csv` (one row per epoch) and, once
finished, `validation.npz` (logits) and `result.json`. Each file appears whole; `result.json` comes last.
"""

import csv
import logging
import math
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NotRequired

from typing_extensions import TypedDict

from emoscope.core.emotions import EMOTIONS
from emoscope.core.errors import DamagedError, InputError, OutputError
from emoscope.core.files import compute_sha256, open_atomic, set_aside
from emoscope.core.validation import load_json
from emoscope.faces.preprocess import VIEWS
from emoscope.study.data.arrays import Predictions, load_predictions
from emoscope.study.data.splits import Split
from emoscope.study.measuring.records import Figures, TestFigures
from emoscope.study.recipes.training import TrainConfig
from emoscope.study.training.seal import check_seal

log = logging.getLogger(__name__)

_PROCESS = uuid.uuid4().hex
"""Names this process; process ids of several machines are not unique."""


class Result(TypedDict):
    """What result.json holds."""

    epochs: int
    """That were trained."""
    best_epoch: int
    """The selected one."""
    precision: str
    parts_per_batch: int
    train_s: float
    validation: Figures
    files: NotRequired[dict[str, str]]
    """Those that belong to it, of this very training: their sha256 by name; not in earlier results."""


class Final(TypedDict):
    """What a run's final.json holds."""

    split_seed: int
    seed: int
    views: dict[str, TestFigures]


class Facts(TypedDict):
    """What run.json holds."""

    recipe: int
    config: dict[str, object]
    split: str
    """Fingerprint, as of the data."""
    data: str
    environment: dict[str, object]
    classes: NotRequired[list[str]]
    """Where they are others than the seven."""


class TakenOverError(OutputError):
    """A training that another process goes on with."""


@dataclass(frozen=True)
class Run:
    """Paths and facts of one run's folder."""

    folder: Path
    config: TrainConfig
    data_sha256: str
    classes: tuple[str, ...] = EMOTIONS
    """What the network's outputs mean."""

    @property
    def checkpoint_path(self) -> Path:
        """State after the last whole epoch."""
        return self.folder / "checkpoint.safetensors"

    @property
    def pool_path(self) -> Path:
        """The views that a student sees, while it trains."""
        return self.folder / "pool.npy"

    @property
    def best_path(self) -> Path:
        """Weights of the selected epoch."""
        return self.folder / "best.safetensors"

    @property
    def history_path(self) -> Path:
        """One row of figures per epoch."""
        return self.folder / "metrics.csv"

    @property
    def validation_path(self) -> Path:
        """Rows, labels and logits of the validation images."""
        return self.folder / "validation.npz"

    @property
    def split_path(self) -> Path:
        """Rows of the dataset by part."""
        return self.folder / "split.npz"

    @property
    def result_path(self) -> Path:
        """Written last: a run that has it is finished."""
        return self.folder / "result.json"

    def lease(self) -> None:
        """Take the run for this process: whoever had it before must write no more.

        A machine that Ray gives up as lost may still be at work, and its training go on elsewhere meanwhile.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with open_atomic(self._owner_path) as temporary:
            temporary.write_text(_PROCESS, encoding="utf-8")

    def check_lease(self) -> None:
        """Check that the run is still this process's.

        Raises:
            TakenOverError: another one leased it; let that one finish, then run the command again.
        """
        try:
            owner = self._owner_path.read_text(encoding="utf-8")
        except FileNotFoundError:
            owner = ""
        if owner != _PROCESS:
            raise TakenOverError(
                f"the training {self.folder} was taken over by another process; wait until that one has finished, then "
                "run the command again"
            )

    def release(self) -> None:
        """End a lease."""
        self._owner_path.unlink(missing_ok=True)

    @property
    def _owner_path(self) -> Path:
        return self.folder / ".owner"

    @property
    def is_finished(self) -> bool:
        """Whether the training ended."""
        return self.result_path.is_file()

    def load_result(self) -> Result:
        """Read the figures of a finished run.

        Raises:
            DamagedError: they are missing or damaged; so all that follow.
        """
        return load_json(self.result_path, Result)

    def load_facts(self) -> Facts:
        """Read how and on what the run was made."""
        return load_json(self.folder / "run.json", Facts)

    def load_history(self) -> list[dict[str, float]]:
        """Read metrics.csv, one row per epoch; figures of validation are NaN where there was none."""
        try:
            text = self.history_path.read_text(encoding="utf-8")
            rows = [{k: _read_cell(k, v) for k, v in row.items()} for row in csv.DictReader(text.splitlines())]
        # A row that is too long or too short has values of other types.
        except (OSError, ValueError, TypeError, csv.Error) as e:
            raise DamagedError(self.history_path, getattr(e, "strerror", None) or e) from e
        if [row.get("epoch") for row in rows] != [*range(1, max(len(rows), 1) + 1)] or not text.endswith("\n"):
            raise DamagedError(self.history_path, "it has not a whole row for every epoch")
        return rows

    def load_curve(self) -> tuple[float, ...]:
        """Read validation macro F1 after each epoch: without validation what was last known, 0 before the first."""
        curve = [0.0]
        for row in self.load_history():
            value = row["validation_macro_f1"]
            curve.append(curve[-1] if math.isnan(value) else value)
        return tuple(curve[1:])

    def load_validation(self, views: Sequence[int] = VIEWS) -> Predictions:
        """Read what the network says of the validation images."""
        return load_predictions(self.validation_path, views)

    def load_final(self, views: Sequence[int] = VIEWS[:1]) -> "Final":
        """Read the figures on test images, once sure that the predictions are there as well.

        Args:
            views: numbers of views that are needed.
        """
        path = self.folder / "final.json"
        final = load_json(path, Final)
        if missing := [n_views for n_views in views if str(n_views) not in final["views"]]:
            raise DamagedError(path, f"there are no figures of {missing} views")
        self.load_test(views)
        return final

    def load_test(self, views: Sequence[int] = VIEWS[:1]) -> Predictions:
        """Read what it says of the test images."""
        return load_predictions(self.folder / "test.npz", views)

    def check(self, is_kept: bool) -> None:
        """Check that a finished run has everything, as it was written.

        Args:
            is_kept: also weights and predictions of all views.

        Raises:
            DamagedError: says what is not.
        """
        result = self.load_result()
        if len(self.load_history()) != result["epochs"]:
            raise DamagedError(self.history_path, f"it has not a row for each of {result['epochs']} epochs")
        Split.load(self.split_path)
        self.load_validation(VIEWS if is_kept else VIEWS[:1])
        files = result.get("files", {})
        for path in (self.folder / name for name in files):
            # Weights that are not kept are gone.
            if path.is_file() and compute_sha256(path) != files[path.name]:
                raise DamagedError(path, f"it is not the one that {self.result_path.name} tells of")
        if is_kept and self.best_path.name not in files:
            check_seal(self.best_path)

    def is_whole(self, is_kept: bool) -> bool:
        """Return whether a run is finished and as it was written; what is damaged is set aside, to be made again."""
        if not self.is_finished:
            return False
        if is_kept and not self.best_path.is_file():
            log.warning("run %s kept no weights; training it again", self.folder)
        else:
            try:
                self.check(is_kept)
                return True
            except DamagedError as e:
                set_aside(e)
        # It is made again along with what it is the result of.
        self.result_path.unlink(missing_ok=True)
        return False

    def write_history(self, history: list[dict[str, float]]) -> None:
        """Write metrics.csv, one row per epoch."""
        with open_atomic(self.history_path) as temporary, temporary.open("w", newline="") as f:
            writer = csv.DictWriter(f, list(history[0]))
            writer.writeheader()
            writer.writerows({k: "" if math.isnan(v) else v for k, v in row.items()} for row in history)


def _read_cell(key: str, text: str) -> float:
    return math.nan if text == "" and key.startswith("validation_") else float(text)


def load_run(folder: Path) -> Run:
    """Open an existing run's folder.

    Raises:
        InputError: it is none; name a folder that `emoscope train` made.
        DamagedError: its run.json is not as it was written.
    """
    path = folder / "run.json"
    if not path.is_file():
        raise InputError(f"{folder} is no run (it has no run.json); name a folder that `emoscope train` made")
    facts = load_json(path, Facts)
    try:
        # Trainings of versions that did not know near-copies had them.
        config = TrainConfig.from_dict({"near_copies": True, **facts["config"]})
        return Run(folder, config, facts["data"], tuple(facts.get("classes", EMOTIONS)))
    except InputError as e:
        raise DamagedError(path, e) from e


def describe_figures(row: dict[str, float]) -> str:
    """Return an epoch's loss and validation figures for a line of progress."""
    loss = f"loss {row['train_loss']:.3f}"
    if math.isnan(row["validation_macro_f1"]):
        return f"{loss}  not validated"
    return f"{loss}  validation accuracy {row['validation_accuracy']:.4f}  macro F1 {row['validation_macro_f1']:.4f}"
