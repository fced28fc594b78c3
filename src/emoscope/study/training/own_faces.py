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

    A random one's test part is a fifth of the images; of small sets a fifth of the rest validates, of others an eighth.
    """
    marked = set(np.unique(dataset.usage).tolist())
    if marked >= PARTS:
        return {}
    if "Training" in marked and marked & {"Test", "PrivateTest"}:
        return {"protocol": "folders"}
    counts = np.bincount(dataset.emotion)
    is_small = counts[counts > 0].min() < FEW_PER_CLASS
    return {"protocol": "thesis", **({"n_folds": 5} if is_small else {})}


def choose_fine_tuning(init: str, dataset: Dataset) -> dict[str, object]:
    """Return settings that fit a network which is to learn a little more, as YAML would hold them.

    Of an ensemble the last member is taken. Small sets have small batches: at least 16 steps an epoch.
    """
    batch_size = max(8, min(128, 2 ** int(np.log2(max(1, len(dataset)) / 16))))
    return {
        "network": find_initial(init).networks[-1],
        "epochs": 20,
        "batch_size": batch_size,
        "optimizer": "adamw",
        "learning_rate": 0.001,
        "warmup": 0.3,
        "frozen": 0.3,
        "ema_decay": 0.99,
        "sizes_px": [48],
        "size_shares": [1.0],
    }
