"""Own photographs as training data: found, straightened and cut as an analysis does; what is left out is said."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from conftest import Command, find_package_file
from emoscope.core.emotions import EMOTIONS
from emoscope.core.errors import InputError
from emoscope.core.types import Image
from emoscope.faces.recognize import Recognizer
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.importers import import_dataset
from emoscope.study.data.own_faces import FaceTaker


@pytest.fixture
def photographs(portrait: Image, tmp_path: Path) -> Path:
    """A folder per emotion: a portrait, one beside a smaller one, one upside down, and a wall."""
    folder = tmp_path / "photographs"
    hopper = cv2.imread(str(find_package_file("matplotlib", "mpl-data/sample_data/grace_hopper.jpg")))
    small = cv2.resize(portrait, (256, 256), interpolation=cv2.INTER_AREA)
    both = np.full((600, 900, 3), 120, np.uint8)
    both[: hopper.shape[0], : hopper.shape[1]] = hopper[:600]
    both[300:556, 600:856] = small
    pictures = {"happy/a.png": portrait, "happy/b.png": both, "neutral/c.png": portrait[::-1, ::-1]}
    for name, picture in {**pictures, "sad/wall.png": np.full((300, 300, 3), 90, np.uint8)}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), picture)
    return folder


def test_faces_are_found_straightened_and_cut(
    photographs: Path, portrait: Image, tmp_path: Path, emoscope: Command, yunet: None
) -> None:
    code, out, _ = emoscope("data", "import", photographs, "--faces", "-o", tmp_path / "own.npz", "--json")
    facts = json.loads(out)
    assert code == 0 and facts["faces"] == {
        "detector": "yunet",
        "taken": 3,
        "without_face": [f"{photographs}/sad/wall.png"],
        "further_faces": 1,
    }
    dataset = Dataset.load(tmp_path / "own.npz")
    assert [EMOTIONS[i] for i in dataset.emotion] == ["happy", "happy", "neutral"]
    upright, hopper, turned = dataset.pixels.astype(float)

    def compare(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])

    # The one that stood on its head stands upright; the larger of two faces is another person's.
    assert compare(upright, turned) > 0.6 > compare(upright, turned[::-1, ::-1])
    assert compare(upright, hopper) < 0.6
    # What was cut is what a network reads best.
    assert Recognizer().predict(list(dataset.pixels[:1])).argmax() == EMOTIONS.index("happy")


def test_what_is_left_out_is_said(photographs: Path, tmp_path: Path, emoscope: Command, yunet: None) -> None:
    code, out, _ = emoscope("data", "import", photographs, "--faces", "-o", tmp_path / "own.npz")
    assert code == 0 and "3 images -> " in out
    assert f"1 picture was left out: no face was found in {photographs}/sad/wall.png (detector yunet)\n" in out
    assert "1 further face was left out: each picture's label is taken for its largest face\n" in out


def test_wrong_sources_are_refused(photographs: Path, tmp_path: Path, emoscope: Command) -> None:
    import_dataset(photographs).save(tmp_path / "cut.npz")
    for source in (tmp_path / "cut.npz", "synthetic"):
        code, _, stderr = emoscope("data", "import", source, "--faces", "-o", tmp_path / "own.npz")
        assert code == 2 and "cut already; leave out --faces" in stderr
        assert emoscope("data", "import", source, "-o", tmp_path / "own.npz", "--overwrite")[0] == 0
    walls = tmp_path / "walls" / "sad"
    walls.mkdir(parents=True)
    (photographs / "sad" / "wall.png").rename(walls / "wall.png")
    with pytest.raises(InputError, match=r"no face was found in the 1 pictures of .*; leave out --faces"):
        import_dataset(walls.parent, FaceTaker("own").take)
    assert len(import_dataset(walls.parent)) == 1
