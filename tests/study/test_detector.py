"""The detector of our own: scenes say where their faces are, and what a perfect network would say is read as that."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from emoscope.core.errors import InputError
from emoscope.faces.own import STRIDES, OwnDetector, decode
from emoscope.study.data.dataset import Dataset
from emoscope.study.geometry.detector import DetectorTask, compute_iou, create_targets
from emoscope.study.geometry.scenes import SIDE_PX, create_scene, load_backgrounds


@pytest.fixture(scope="module")
def faces(faces_file: Path) -> Dataset:
    return Dataset.load(faces_file)


def test_a_scene_has_its_faces_where_it_says(faces: Dataset) -> None:
    face = faces.pixels[0]

    def compare(picture: np.ndarray) -> float:
        middle = cv2.resize(picture, (48, 48), interpolation=cv2.INTER_AREA)[8:40, 8:40].ravel()
        return max(np.corrcoef(middle, f[8:40, 8:40].ravel())[0, 1] for f in (face, face[:, ::-1]))

    likeness = []
    for seed in range(60):
        scene = create_scene(faces.pixels[:1], [], np.random.default_rng(seed))
        assert scene.image.shape == (SIDE_PX, SIDE_PX) and scene.image.dtype == np.uint8
        for x, y, side, turn in scene.faces.tolist():
            assert 0 < x < SIDE_PX and 0 < y < SIDE_PX and 10 < side < 260
            half = int(side * 0.97 / 2)
            if half < min(x, y) and max(x, y) < SIDE_PX - half and side > 40 and abs(turn) < 0.15:
                corners = ((int(x) - half, int(y) - half), (int(x) - half // 2, int(y) - half // 3))
                pictures = [scene.image[b : b + 2 * half, a : a + 2 * half] for a, b in corners]
                likeness.append([compare(picture) for picture in pictures])
    # Lit, softened and half covered they still look like it, and beside the place they do not.
    here, beside = np.mean(likeness, axis=0)
    assert len(likeness) > 12 and here > 0.45 > 0.3 > beside


def test_what_a_perfect_network_says_is_read_as_the_scenes_faces(faces: Dataset) -> None:
    n_faces = n_found = 0
    for seed in range(30):
        scene = create_scene(faces.pixels, [], np.random.default_rng(seed))
        targets = create_targets(scene.faces)
        assert [t.shape for t in targets] == [(7, SIDE_PX // stride, SIDE_PX // stride) for stride in STRIDES]
        found = decode([np.concatenate([np.where(t[:1] > 0, 9, -9), t[1:6]]) for t in targets])
        overlap = compute_iou(scene.faces, found)
        n_faces += len(scene.faces)
        n_found += int((overlap > 0.9).any(axis=1).sum())
        assert (overlap > 0.9).any(axis=0).all()
    # Two small faces side by side may share a cell.
    assert n_faces > 30 and n_found >= 0.97 * n_faces


def test_overlap_of_squares_by_hand() -> None:
    a = np.array([[5, 5, 10], [50, 50, 10]], np.float32)
    b = np.array([[10, 5, 10], [5, 5, 2], [5, 5, 10]], np.float32)
    np.testing.assert_allclose(compute_iou(a, b), [[50 / 150, 4 / 100, 1], [0, 0, 0]], atol=1e-6)


def test_it_learns_and_becomes_a_file_that_takes_any_picture(faces: Dataset, tmp_path: Path) -> None:
    torch.manual_seed(0)
    task = DetectorTask(faces.pixels[:50], faces.pixels[50:60], [])
    x, targets = task.draw(2, seed=1)
    optimizer = torch.optim.Adam(task.network.parameters(), 2e-3)
    losses = []
    for _ in range(6):
        loss = task.compute_loss(task.network(x), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    task.write(task.network.eval(), tmp_path / "detector.onnx")
    assert (tmp_path / "detector.onnx").stat().st_size < 600_000
    detector = OwnDetector(tmp_path / "detector.onnx", max_side_px=160)
    for shape in ((100, 333, 3), (9, 7, 3), (64, 64, 3)):
        found = detector.detect(np.full(shape, 90, np.uint8))
        assert found.xyxy.shape == (len(found), 4)


def test_backgrounds(faces: Dataset, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((80, 90), 7, np.uint8))
    (tmp_path / "b.txt").write_text("no picture")
    [picture] = load_backgrounds([tmp_path])
    scenes = [create_scene(faces.pixels, [picture], np.random.default_rng(seed)) for seed in range(2)]
    assert not np.array_equal(scenes[0].image, scenes[1].image)
    with pytest.raises(InputError, match="no picture"):
        load_backgrounds([tmp_path / "b.txt"])
