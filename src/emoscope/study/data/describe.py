"""Count what a dataset holds: a Dataset in, JSON-ready numbers out, duplicates and leaks between its parts included."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emoscope.study.data.dataset import USAGES, Dataset


def describe_dataset(dataset: Dataset) -> dict[str, Any]:
    """Return the dataset's size, fingerprint, counts per class and usage, and its duplicates.

    A group is a set of rows with exactly the same pixels.
    """
    present = [usage for usage in USAGES if (dataset.usage == usage).any()]
    return {
        "n": len(dataset),
        "sha256": dataset.sha256,
        "classes": _count(dataset.emotion, dataset.classes),
        # JSON keys that are empty are easily overlooked.
        "usages": {usage or "unmarked": int((dataset.usage == usage).sum()) for usage in present},
        "classes_by_usage": {
            usage or "unmarked": _count(dataset.emotion[dataset.usage == usage], dataset.classes) for usage in present
        },
        "side_px": dataset.side_px,
        "people": None if dataset.person is None else int(dataset.person.max()) + 1,
        "duplicates": _describe_duplicates(dataset),
        "near_copies": _describe_near_copies(dataset),
    }


def _count(emotion: NDArray[np.uint8], classes: tuple[str, ...]) -> dict[str, int]:
    counts = np.bincount(emotion, minlength=len(classes)).tolist()
    return dict(zip(classes, counts, strict=True))


def _describe_duplicates(dataset: Dataset) -> dict[str, int]:
    sizes = np.bincount(dataset.group)
    return {
        "groups": int((sizes > 1).sum()),
        "rows": int(sizes[sizes > 1].sum()),
        "surplus_copies": int((sizes - 1)[sizes > 1].sum()),
        "groups_with_conflicting_labels": _count_mixed(dataset.group, dataset.emotion),
        "groups_in_several_usages": _count_mixed(dataset.group, dataset.usage),
        "private_test_images_in_training": _count_leaked(dataset, "PrivateTest"),
        "public_test_images_in_training": _count_leaked(dataset, "PublicTest"),
    }


def _describe_near_copies(dataset: Dataset) -> dict[str, int]:
    """Return the counts of groups of near-copies, identical images included."""
    sizes = np.bincount(dataset.relative)
    facts = {
        "groups": int((sizes > 1).sum()),
        "rows": int(sizes[sizes > 1].sum()),
        "surplus_copies": int((sizes - 1)[sizes > 1].sum()),
        "largest_group": int(sizes.max()),
        "groups_with_conflicting_labels": _count_mixed(dataset.relative, dataset.emotion),
        "groups_in_several_usages": _count_mixed(dataset.relative, dataset.usage),
    }
    for key, usage in (("private_test", "PrivateTest"), ("public_test", "PublicTest")):
        others = np.isin(dataset.usage, ("Training", "PublicTest", "PrivateTest")) & (dataset.usage != usage)
        held = dataset.relative[dataset.usage == usage]
        facts[f"{key}_images_with_one_elsewhere"] = int(np.isin(held, dataset.relative[others]).sum())
    return facts


def _count_mixed(group: NDArray[np.int32], values: NDArray[Any]) -> int:
    """Return how many groups hold more than one value."""
    codes = np.unique(values, return_inverse=True)[1]
    pairs = np.unique(np.stack([group, codes], axis=1), axis=0)
    return int((np.bincount(pairs[:, 0]) > 1).sum())


def _count_leaked(dataset: Dataset, usage: str) -> int:
    trained = dataset.group[dataset.usage == "Training"]
    return int(np.isin(dataset.group[dataset.usage == usage], trained).sum())
