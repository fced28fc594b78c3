"""Recognition: face crops in, calibrated probabilities (n, 7) out; ONNX Runtime alone."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emoscope.emotions import EMOTIONS
from emoscope.errors import ModelError
from emoscope.models.registry import find_network
from emoscope.preprocess import create_views, preprocess, to_grey
from emoscope.spec import ModelSpec

if TYPE_CHECKING:
    import onnxruntime

BATCH = 64
"""Pictures per call of the network; bounds memory, larger ones are no faster on a CPU."""


def create_session(path: Path) -> "onnxruntime.InferenceSession":
    """Open an ONNX file on the CPU with one thread.

    One thread: several make single faces slower whenever the other cores are busy (measured, 2.5 to 8.6 ms).

    Raises:
        ModelError: the file is not ONNX or damaged.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    # ONNX Runtime's exceptions share no base class but Exception.
    except Exception as e:
        raise ModelError(
            f"{path} is no ONNX model that can be loaded ({type(e).__name__}); "
            "expected a file made by `emoscope export`"
        ) from e


def compute_probabilities(logits: NDArray[np.floating], temperature: float = 1.0) -> NDArray[np.float64]:
    """Return softmax(logits / temperature) of logits (n, 7), in float64."""
    scaled = logits.astype(np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


class Recognizer:
    """A network ready to read faces."""

    def __init__(self, model: str | Path = "default", n_views: int = 1) -> None:
        """Load a network.

        Args:
            model: name of an embedded network, or an ONNX file that `emoscope export` made.
            n_views: 1, 2 (with the mirror image) or 10 (five crops, mirrored): probabilities are averaged.

        Raises:
            InputError: no such model, or another number of views.
            ModelError: the file is damaged or not one of ours.
        """
        path = find_network(model)
        self.session = create_session(path)
        self.spec = ModelSpec.from_metadata(self.session.get_modelmeta().custom_metadata_map)
        inputs, outputs = self.session.get_inputs(), self.session.get_outputs()
        if [i.name for i in inputs] != ["input"] or [o.name for o in outputs] != ["logits"]:
            raise ModelError(f"{path} has other inputs or outputs than `input` and `logits`; export the model again")
        self.n_views = n_views
        # Fails now rather than at the first face.
        create_views(np.zeros((8, 8), np.uint8), n_views)

    def compute_logits(self, crops: list[NDArray[np.uint8]] | NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return raw logits (n, 7) of crops, one view each."""
        parts = [
            self.session.run(["logits"], {"input": preprocess(crops[i : i + BATCH], self.spec)})[0]
            for i in range(0, len(crops), BATCH)
        ]
        return np.concatenate(parts) if parts else np.empty((0, len(EMOTIONS)), np.float32)

    def predict(self, faces: list[NDArray[np.uint8]] | NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return the probabilities of face crops.

        Args:
            faces: n crops, each grey (h, w) or BGR (h, w, 3) uint8 of any size, the face filling the picture.

        Returns:
            (n, 7) in the order of EMOTIONS, calibrated, rows sum to 1; with several views their mean.

        Raises:
            InputError: a crop is no uint8 picture.
        """
        if self.n_views == 1:
            return compute_probabilities(self.compute_logits(faces), self.spec.temperature)
        views = [view for face in faces for view in create_views(to_grey(np.asarray(face)), self.n_views)]
        probabilities = compute_probabilities(self.compute_logits(views), self.spec.temperature)
        return np.asarray(probabilities.reshape(len(faces), self.n_views, len(EMOTIONS)).mean(axis=1))
