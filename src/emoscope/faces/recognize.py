"""Recognition: face crops in, calibrated probabilities (n, classes) out; ONNX Runtime alone."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emoscope.core.errors import InputError, ModelError
from emoscope.core.picture import Picture, Pictures, to_image
from emoscope.faces.devices import choose_device, open_session
from emoscope.faces.preprocess import check_crops, create_views, is_crop, preprocess, to_grey
from emoscope.faces.recalibration import Recalibration
from emoscope.faces.registry import find_network, is_embedded
from emoscope.faces.spec import Calibration, ModelSpec
from emoscope.faces.trial import try_out

if TYPE_CHECKING:
    import onnxruntime

BATCH = 16
"""Pictures per call of the network; bounds memory, larger ones are no faster on a CPU."""
MAX_LOGIT = 1e6
"""Far beyond what any network means."""


def compute_probabilities(logits: NDArray[np.floating], temperature: float = 1.0) -> NDArray[np.float64]:
    """Return softmax(logits / temperature) of logits (n, classes), in float64."""
    scaled = logits.astype(np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def calibrate(logits: NDArray[np.floating], calibration: Calibration, balanced: bool = False) -> NDArray[np.float64]:
    """Turn the logits of every view into one calibrated distribution per face.

    Probabilities are averaged, not logits: a view that is sure must not outvote the others.

    Args:
        logits: (n, views, classes).
        calibration: fitted for so many views.
        balanced: use the second operating point's bias.

    Returns:
        (n, classes), rows sum to 1.
    """
    n, n_views, n_classes = logits.shape
    mean = compute_probabilities(logits.reshape(n * n_views, n_classes)).reshape(logits.shape).mean(axis=1)
    return apply_calibration(np.log(np.maximum(mean, 1e-30)), calibration, balanced)


def apply_calibration(
    logarithms: NDArray[np.floating], calibration: Calibration, balanced: bool = False
) -> NDArray[np.float64]:
    """Return calibrated probabilities (n, classes) of logarithms (n, classes) of mean ones; see calibrate()."""
    if calibration.affine:
        affine = np.asarray(calibration.affine)
        scaled = logarithms @ affine[:, :-1].T + affine[:, -1]
    else:
        scaled = logarithms / calibration.temperature
    return compute_probabilities(scaled + np.asarray(calibration.bias) if balanced else scaled)


def is_stack(array: NDArray[np.generic]) -> bool:
    """Tell whether an array is n pictures (n, h, w) or (n, h, w, channels), not one (h, w) or (h, w, channels)."""
    return array.ndim > 3 or (array.ndim == 3 and array.shape[2] not in (1, 3, 4))


def to_crops(faces: Picture | Pictures) -> list[NDArray[np.uint8]]:
    """Return face crops, each grey (h, w) or BGR (h, w, 3) uint8, of whatever a caller has.

    Args:
        faces: one picture or several.

    Raises:
        InputError: one of them is no picture.
    """
    several: list[object] = [faces]
    if isinstance(faces, list | tuple) or (isinstance(faces, np.ndarray) and is_stack(faces)):
        several = list(faces)
    crops = []
    for i, face in enumerate(several):
        try:
            crops.append(face if is_crop(face) else to_image(face))
        except InputError as e:
            raise InputError(f"face {i}: {e}") from e
    return crops


def read_spec(session: "onnxruntime.InferenceSession", path: Path) -> ModelSpec:
    """Return the spec of an opened network.

    Raises:
        ModelError: it has none, a damaged one, or is no network of ours.
    """
    spec = ModelSpec.from_metadata(session.get_modelmeta().custom_metadata_map)
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if [i.name for i in inputs] != ["input"] or [o.name for o in outputs] != ["logits"]:
        raise ModelError(f"{path} has other inputs or outputs than `input` and `logits`; export the model again")
    return spec


def run_network(
    session: "onnxruntime.InferenceSession", batch: NDArray[np.float32], path: Path, n_classes: int
) -> NDArray[np.float32]:
    """Return the logits (n, classes) of an input batch.

    Raises:
        ModelError: the network fails, or gives something else: numbers that are none would read everyone as the first
            emotion.
    """
    try:
        logits = np.asarray(session.run(["logits"], {"input": batch})[0])
    # As above: no common base class.
    except Exception as e:
        raise ModelError(
            f"{path} cannot read {len(batch)} pictures ({type(e).__name__}); export the model again"
        ) from e
    if logits.shape != (len(batch), n_classes) or logits.dtype != np.float32:
        raise ModelError(
            f"{path} gives {logits.dtype} {logits.shape} for {len(batch)} pictures, expected float32 "
            f"({len(batch)}, {n_classes}); export the model again"
        )
    # NaN is less than nothing.
    if not np.abs(logits).max(initial=0.0) < MAX_LOGIT:
        raise ModelError(f"{path} gives values that are no numbers, or beyond {MAX_LOGIT:g}; use another network")
    return logits


class Recognizer:
    """A network ready to read faces that are cut out already.

    Examples:
        >>> recognizer = emoscope.Recognizer()
        >>> probabilities = recognizer.predict("face.png")
        >>> probabilities.shape
        (1, 7)
        >>> emoscope.EMOTIONS[probabilities[0].argmax()]
        'happy'
    """

    def __init__(
        self,
        model: str | Path = "default",
        views: int = 1,
        balanced: bool = False,
        recalibration: Recalibration | None = None,
        device: str = "auto",
    ) -> None:
        """Load a network.

        Args:
            model: name of an embedded network, or an ONNX file that `emoscope export` made.
            views: 1, 2 (with the mirror image) or 10 (five crops, mirrored): probabilities are averaged.
            balanced: use the operating point with the higher macro F1: rare emotions are named more often.
            recalibration: a project's own, on top of the network's.
            device: where it runs: `auto`, or one of emoscope.faces.devices.PROVIDERS.

        Raises:
            InputError: no such model or device, another number of views, no second operating point in this model, or a
                calibration made for another.
            ModelError: the file is damaged or not one of ours.
        """
        self.path = path = find_network(model)
        if not is_embedded(path):
            try_out(path)
        self.session, self.device = open_session(path, choose_device(device))
        self.spec = read_spec(self.session, path)
        self.n_views, self.balanced = views, balanced
        self.calibration = self.spec.find_calibration(views)
        if balanced and not self.calibration.bias:
            raise InputError(f"{self.spec.name} has no balanced operating point; leave out --balanced")
        self.recalibration = recalibration
        if recalibration is not None:
            recalibration.check_for(self.describe(), views, balanced)
        # Fails now rather than at the first face.
        create_views(np.zeros((8, 8), np.uint8), views)

    def __repr__(self) -> str:
        return f"Recognizer({self.spec.name!r}, views={self.n_views}, balanced={self.balanced})"

    def describe(self) -> dict[str, Any]:
        """Return the spec as JSON-ready values, of calibrations and figures only those in use."""
        facts = dataclasses.asdict(self.spec)
        del facts["calibrations"]
        name = self.spec.name_figures(self.n_views, self.balanced)
        facts["figures"] = {key: value for key, value in facts["figures"].items() if key == name}
        used = self.calibration
        scaling = {} if used.affine else {"temperature": used.temperature}
        return {**facts, **scaling, "uncertain_below": used.uncertain_below}

    def find_set_ratio(self) -> float:
        """Return the ratio by which sets of emotions are made, see ModelSpec.set_ratio.

        Raises:
            InputError: none was fitted for this network, or for this operating point.
        """
        if self.balanced:
            raise InputError(
                "sets of emotions are fitted for the plain operating point; leave out --balanced or --set-90"
            )
        if self.recalibration is not None:
            raise InputError(
                "sets of emotions are fitted for the network's own calibration; leave out --calibration or --set-90"
            )
        if not self.spec.set_ratio:
            raise InputError(
                f"{self.spec.name} has no sets of emotions fitted; leave out --set-90, or use --model default"
            )
        return self.spec.set_ratio

    def compute_logits(self, faces: list[NDArray[np.uint8]] | NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return raw logits (n, views, classes) of face crops."""
        check_crops(faces)
        views = [view for face in faces for view in create_views(to_grey(face), self.n_views)]
        parts = [
            run_network(self.session, preprocess(views[i : i + BATCH], self.spec), self.path, len(self.spec.labels))
            for i in range(0, len(views), BATCH)
        ]
        logits = np.concatenate(parts) if parts else np.empty((0, len(self.spec.labels)), np.float32)
        return logits.reshape(len(faces), self.n_views, len(self.spec.labels))

    def predict(self, faces: Picture | Pictures) -> NDArray[np.float64]:
        """Return the probabilities of face crops.

        Args:
            faces: one picture or several, of any size, the face filling each: files' names, their content, open files,
                Pillow pictures, or arrays, grey (h, w) or BGR (h, w, 3); an array (n, h, w) or (n, h, w, 3) is n faces.

        Returns:
            (n, classes) in the order of `spec.labels`, EMOTIONS unless the network has others, calibrated, rows sum to
            1; with several views their mean. One picture gives one row.

        Raises:
            InputError: one of them is no picture.
        """
        probabilities = calibrate(self.compute_logits(to_crops(faces)), self.calibration, self.balanced)
        return probabilities if self.recalibration is None else self.recalibration.apply(probabilities)
