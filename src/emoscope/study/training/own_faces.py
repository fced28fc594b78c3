"""Settings that fit a user's own faces: a dataset in, what its size and its marks ask for out."""

import numpy as np

from emoscope.study.data.dataset import Dataset
from emoscope.study.training.initial import find_initial

PARTS = frozenset({"Training", "PublicTest", "PrivateTest"})
"""FER2013's own marks."""
FEW_PER_CLASS = 80
"""With fewer an eighth of the rest would leave a handful to validate with."""


def choose_split(dataset: Dataset) -> dict[str, object]:
    """Return settings of the split, as YAML would hold them: the marked parts, or a random one where there are none.

    A random one's test part is a fifth of the images, or people; of small sets a fifth of the rest validates, of others
    an eighth.
    """
    marked = set(np.unique(dataset.usage).tolist())
    if marked >= PARTS:
        return {}
    if "Training" in marked and marked & {"Test", "PrivateTest"}:
        return {"protocol": "folders"}
    counts = np.bincount(dataset.emotion)
    n_folds = 5 if counts[counts > 0].min() < FEW_PER_CLASS else 8
    if dataset.person is not None:
        # A fifth of them tests; a fold without a person would hold nothing.
        n_folds = max(2, min(n_folds, int(0.8 * (dataset.person.max() + 1))))
    return {"protocol": "random", **({"n_folds": n_folds} if n_folds != 8 else {})}


def choose_fine_tuning(init: str, dataset: Dataset) -> dict[str, object]:
    """Return settings that fit a network which is to learn a little more, as YAML would hold them.

    Of an ensemble the last member is taken. Small sets have small batches: at least 16 steps an epoch.
    """
    initial = find_initial(init)
    batch_size = max(8, min(128, 2 ** int(np.log2(max(1, len(dataset)) / 16))))
    return {
        "network": initial.networks[-1],
        "epochs": 20,
        "batch_size": batch_size,
        "optimizer": "adamw",
        "learning_rate": 0.001,
        "warmup": 0.3,
        "frozen": 0.3,
        "ema_decay": 0.99,
        "sizes_px": [initial.size_px],
        "size_shares": [1.0],
    }
