"""The runtime's stages, each against what must hold for any input or against an independent implementation."""

import io
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from conftest import write_clip
from emoscope.core.emotions import COLOURS, EMOTIONS, VALENCE, find_emotion
from emoscope.core.errors import ModelError
from emoscope.core.frame_result import FrameResult
from emoscope.core.schema import COLUMNS, DTYPES
from emoscope.core.types import Faces, Image
from emoscope.faces.crop import ENOUGH_PX, crop_faces
from emoscope.faces.detect import YuNetDetector, create_detector
from emoscope.faces.preprocess import create_views, preprocess
from emoscope.faces.recognize import Recognizer, apply_calibration, calibrate, compute_probabilities
from emoscope.faces.registry import YUNET, load_embedded
from emoscope.faces.spec import Calibration, ModelSpec
from emoscope.media.find import find_sources
from emoscope.tracking.track import Tracker
from made_tables import create_observations

coordinates = st.floats(-500, 700, allow_nan=False, width=32)


@given(
    image=hnp.arrays(np.uint8, st.tuples(st.integers(1, 60), st.integers(1, 60), st.just(3))),
    corners=st.lists(st.tuples(coordinates, coordinates, st.floats(0, 300), st.floats(0, 300)), max_size=4),
    margin=st.floats(-0.5, 1),
)
def test_every_box_gives_a_square_crop(
    image: Image, corners: list[tuple[float, float, float, float]], margin: float
) -> None:
    xyxy = np.array([(x, y, x + w, y + h) for x, y, w, h in corners], np.float32).reshape(-1, 4)
    crops = crop_faces(image, xyxy, margin)
    assert len(crops) == len(xyxy)
    for (x1, y1, x2, y2), crop in zip(xyxy, crops, strict=True):
        side, expected = crop.shape[0], max(x2 - x1, y2 - y1) * (1 + margin)
        # Large ones are halved as long as enough is left.
        halved = 1 << max(0, int(np.log2(max(1.0, round(float(expected)) / ENOUGH_PX))))
        assert crop.shape == (side, side, 3) and abs(side * halved - expected) <= halved
        assert side < 2 * ENOUGH_PX
        # Only pixels of the picture: nothing black comes in from outside.
        if halved == 1:
            assert set(map(bytes, crop.reshape(-1, 3))) <= set(map(bytes, image.reshape(-1, 3)))
        else:
            assert crop.min() >= image.min() and crop.max() <= image.max()


def test_a_crop_inside_is_the_picture_itself(portrait: Image) -> None:
    [crop] = crop_faces(portrait, np.array([[100, 50, 200, 150]], np.float32), 0.0)
    assert np.array_equal(crop, portrait[50:150, 100:200])
    [larger] = crop_faces(portrait, np.array([[100, 50, 200, 150]], np.float32), 0.5)
    assert np.array_equal(larger, portrait[25:175, 75:225])
    [large] = crop_faces(portrait, np.array([[50, 50, 350, 350]], np.float32), 0.0)
    halves = portrait[50:350, 50:350].reshape(150, 2, 150, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(large, halves, atol=0.51)


def test_preprocess_is_the_formula_of_the_spec(portrait: Image) -> None:
    spec = ModelSpec("x", size_px=48, mean=0.4, std=0.3)
    grey = cv2.cvtColor(portrait, cv2.COLOR_BGR2GRAY)
    small = cv2.resize(grey, (48, 48), interpolation=cv2.INTER_AREA)
    batch = preprocess([portrait, grey, small], spec)
    assert batch.shape == (3, 1, 48, 48) and batch.dtype == np.float32
    for face in batch:
        np.testing.assert_allclose(face[0], (small / 255 - 0.4) / 0.3, atol=1e-6)
    three = preprocess([grey], ModelSpec("x", channels=3))
    assert three.shape == (1, 3, 48, 48) and (three[:, 0] == three[:, 2]).all()


def test_views(portrait: Image) -> None:
    grey = cv2.cvtColor(portrait, cv2.COLOR_BGR2GRAY)
    assert [len(create_views(grey, n)) for n in (1, 2, 10)] == [1, 2, 10]
    assert np.array_equal(create_views(grey, 2)[1], grey[:, ::-1])
    # The mean of uncalibrated probabilities, then the calibration.
    recognizer = Recognizer(views=2)
    logits = Recognizer().compute_logits([grey, np.ascontiguousarray(grey[:, ::-1])])[:, 0]
    mean = compute_probabilities(logits).mean(axis=0, keepdims=True)
    expected = apply_calibration(np.log(mean), recognizer.calibration)
    np.testing.assert_allclose(recognizer.predict([grey]), expected, atol=1e-6)
    balanced = Recognizer(views=2, balanced=True).predict([grey])
    expected = compute_probabilities(np.log(expected) + np.array(recognizer.calibration.bias))
    np.testing.assert_allclose(balanced, expected, atol=1e-6)


def test_an_affine_map_is_applied_and_old_networks_have_none() -> None:
    logits = np.random.default_rng(0).normal(0, 2, (5, 2, 7))
    mean = np.log(compute_probabilities(logits.reshape(10, 7)).reshape(5, 2, 7).mean(axis=1))
    affine = np.random.default_rng(1).normal(0, 1, (7, 8))
    calibration = Calibration(affine=tuple(map(tuple, affine)), bias=(0.0, 1.0) + 5 * (0.0,))
    expected = np.stack([affine[:, :7] @ face + affine[:, 7] for face in mean])
    np.testing.assert_allclose(calibrate(logits, calibration), compute_probabilities(expected), atol=1e-12)
    expected[:, 1] += 1
    np.testing.assert_allclose(calibrate(logits, calibration, True), compute_probabilities(expected), atol=1e-12)
    spec = ModelSpec("x", calibrations={1: calibration})
    assert ModelSpec.from_metadata(spec.to_metadata()) == spec
    old = json.loads(ModelSpec("x", calibrations={1: Calibration(0.9)}).to_metadata()["emoscope"]) | {"version": 2}
    del old["calibrations"]["1"]["affine"]
    assert ModelSpec.from_metadata({"emoscope": json.dumps(old)}).calibrations[1] == Calibration(0.9)
    for wrong in (((1.0,) * 8,) * 6, ((float("nan"),) * 8,) * 7):
        with pytest.raises(ModelError, match="export the model again"):
            ModelSpec("x", calibrations={1: Calibration(affine=wrong)})


@pytest.mark.parametrize("name", [*load_embedded()[0], *load_embedded()[1]])
def test_every_embedded_network(name: str) -> None:
    aliases, files = load_embedded()
    recognizer = Recognizer(name)
    spec, name = recognizer.spec, aliases.get(name, name)
    assert files[name].path.stat().st_size <= 8_000_000
    assert spec.name == name and spec.protocol == "official" and len(spec.data_sha256) == 64 and spec.run
    assert 0 < recognizer.calibration.uncertain_below < 1 and spec.figures["validation"]["accuracy"] > 0.6
    faces = np.random.default_rng(0).integers(0, 256, (37, 48, 48), np.uint8)
    one_by_one = np.concatenate([recognizer.predict(faces[i : i + 1]) for i in range(37)])
    np.testing.assert_allclose(recognizer.predict(faces), one_by_one, atol=1e-5)
    assert recognizer.predict([]).shape == (0, 7)


def move(x: float, y: float, side: float = 40) -> list[float]:
    return [x, y, x + side, y + side]


def track(frames: list[list[list[float]]], step_s: float = 0.04) -> list[list[int]]:
    tracker = Tracker()
    found = []
    for i, boxes in enumerate(frames):
        xyxy = np.array(boxes, np.float32).reshape(-1, 4)
        ids = tracker.update(Faces(xyxy, np.full(len(boxes), 0.9, np.float32)), i * step_s).track_id
        assert ids is not None
        found.append(ids.tolist())
    return found


def test_people_keep_their_number_through_gaps_and_crossings() -> None:
    gap = [[move(10 + 2 * i, 50)] if not 20 <= i < 30 else [] for i in range(60)]
    assert {i for ids in track(gap) for i in ids} == {1}
    crossing = track([[move(8 * i, 50), move(400 - 8 * i, 70)] for i in range(50)])
    assert all(ids == [1, 2] for ids in crossing)


def test_a_long_absence_gives_a_new_number() -> None:
    frames = [[move(10, 50)]] * 5 + [[]] * 60 + [[move(10, 50)]] * 5
    assert track(frames)[-1] == [2]


@given(st.lists(st.lists(st.tuples(coordinates, coordinates, st.floats(1, 200)), max_size=5), max_size=12))
def test_ids_are_unique_in_a_frame_and_never_reused(frames: list[list[tuple[float, float, float]]]) -> None:
    seen: dict[int, int] = {}
    for i, ids in enumerate(track([[move(*box) for box in boxes] for boxes in frames], step_s=0.7)):
        assert len(set(ids)) == len(ids)
        for number in ids:
            # A number unseen for longer than the gap must not come back (0.7 s steps, 1.5 s gap).
            assert i - seen.get(number, i) <= 2
            seen[number] = i
    assert sorted(seen) == list(range(1, len(seen) + 1))


def test_yunet_decodes_as_opencv_does(shared: Path, yunet: None) -> None:
    image = np.asarray(cv2.imread(str(shared / "media" / "multi_face.jpg")), np.uint8)
    h, w = image.shape[:2]
    peer = cv2.FaceDetectorYN.create(str(YUNET.path), "", (w, h), 0.7, 0.3)
    expected = peer.detect(image)[1]
    faces = YuNetDetector(YUNET.path, max_side_px=max(h, w)).detect(image)
    assert len(faces) == len(expected) == 5
    np.testing.assert_allclose(faces.xyxy[:, :2], expected[:, :2], atol=0.01)
    np.testing.assert_allclose(faces.xyxy[:, 2:] - faces.xyxy[:, :2], expected[:, 2:4], atol=0.01)
    np.testing.assert_allclose(faces.score, expected[:, 14], atol=1e-4)
    assert faces.landmarks is not None
    np.testing.assert_allclose(faces.landmarks.reshape(5, 10), expected[:, 4:14], atol=0.01)


def test_a_cache_that_cannot_be_written_leaves_the_other_detector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("EMOSCOPE_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: io.BytesIO(b"a network"))
    assert create_detector("auto").detector.name == "own" and "cannot write" in caplog.text
    with pytest.raises(ModelError, match="cannot write"):
        create_detector("yunet")


def test_the_embedded_detector_finds_the_portrait_at_any_size(portrait: Image) -> None:
    detector = create_detector("own").detector
    for side in (256, 512, 2000):
        image = np.asarray(cv2.resize(portrait, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
        x1, y1, x2, y2 = detector.detect(image).xyxy[0] / side
        # The face in astronaut.png, by eye.
        assert (x1 + x2) / 2 == pytest.approx(0.437, abs=0.03) and (y1 + y2) / 2 == pytest.approx(0.21, abs=0.04)
        assert 0.15 < x2 - x1 < 0.3


VIDEOS = {
    "h264.mp4": ("libx264", "yuv420p"),
    "vp9.webm": ("libvpx-vp9", "yuv420p"),
    "hevc-10-bit.mov": ("libx265", "yuv420p10le"),
    "h264-10-bit-422.mkv": ("libx264", "yuv422p10le"),
    "av1.mp4": ("libsvtav1", "yuv420p"),
    "mpeg4.avi": ("mpeg4", "yuv420p"),
    "animated.gif": ("gif", "rgb8"),
    "animated.webp": ("libwebp_anim", "yuv420p"),
}


@pytest.mark.parametrize("name", VIDEOS)
def test_presentation_times_of_every_kind(name: str, tmp_path: Path) -> None:
    codec, pixels = VIDEOS[name]
    # An avi file has no times of its own, only a rate.
    times = [i / 10 for i in range(6)] if name.endswith("avi") else [0.0, 0.04, 0.08, 0.5, 0.54, 1.2]
    frames = [(np.full((64, 96, 3), 40 * i, np.uint8), t) for i, t in enumerate(times)]
    write_clip(tmp_path / name, frames, codec, pixels)
    [source] = find_sources([tmp_path / name])
    read = list(source)
    assert [f.time_s for f in read] == pytest.approx(times, abs=2e-3 if codec != "gif" else 0.011)
    assert [f.index for f in read] == list(range(6)) and source.problems == []
    assert [float(f.image.mean()) for f in read] == pytest.approx([40 * i for i in range(6)], abs=9)


def test_rotated_video_is_read_upright(tmp_path: Path) -> None:
    image = np.zeros((64, 96, 3), np.uint8)
    image[:, :48] = 255
    write_clip(tmp_path / "v.mp4", [(image, i / 25) for i in range(5)])
    data = (tmp_path / "v.mp4").read_bytes()
    # The track header's display matrix, identity -> a quarter turn clockwise, as phones write it.
    identity = b"".join(v.to_bytes(4, "big") for v in (65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30))
    turned = b"".join(v.to_bytes(4, "big", signed=True) for v in (0, 65536, 0, -65536, 0, 0, 64 << 16, 0, 1 << 30))
    at = data.index(identity, data.index(b"tkhd"))
    (tmp_path / "turned.mp4").write_bytes(data[:at] + turned + data[at + len(turned) :])
    [source] = find_sources([tmp_path / "turned.mp4"])
    upright = next(iter(source)).image
    assert upright.shape == (96, 64, 3)
    # The left half turned clockwise is the upper half.
    assert upright[:40].mean() > 240 and upright[-40:].mean() < 15


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 3), min_size=1, max_size=8))
def test_observations_hold_every_frame_and_face(tmp_path: Path, counts: list[int]) -> None:
    rng = np.random.default_rng(0)
    results = []
    for i, n in enumerate(counts):
        p = rng.dirichlet(np.ones(7), n)
        faces = Faces(np.zeros((n, 4), np.float32), np.ones(n, np.float32), np.arange(1, n + 1), p)
        results.append(FrameResult(i, i / 10, "s", (8, 8), faces, 0.5))
    table = create_observations(results, tmp_path / "observations.parquet").to_pandas()
    assert {name: str(dtype) for name, dtype in table.dtypes.items()} == {name: DTYPES[name] for name in COLUMNS}
    assert table.groupby("frame").size().tolist() == [max(n, 1) for n in counts]
    assert table["emotion"].notna().sum() == sum(counts)
    seen = table.dropna(subset="emotion")
    assert ((seen["probability"] < 0.5) == seen["uncertain"]).all()


def test_the_list_of_emotions() -> None:
    assert EMOTIONS == ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"), "FER2013's published order"
    assert len(set(COLOURS)) == len(VALENCE) == len(EMOTIONS)
    assert [find_emotion(name) for name in ("Anger", "HAPPY", " sadness ", "bored")] == [0, 3, 4, None]


@pytest.mark.parametrize("code", ["import emoscope", "import emoscope.cli.main; emoscope.cli.main.app.info"])
def test_import_is_light(code: str) -> None:
    check = (
        f"import sys; {code}; "
        "print([m for m in ('torch', 'pandas', 'matplotlib', 'cv2', 'onnxruntime', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_runtime_needs_no_study_packages(clip: Path, tmp_path: Path) -> None:
    """Analyse a clip in a process in which the study's packages cannot be imported."""
    code = (
        "import sys\n"
        "for name in ('torch', 'timm', 'sklearn', 'matplotlib', 'scipy', 'onnx', 'lightning_fabric'):\n"
        "    sys.modules[name] = None\n"
        "from emoscope.cli.main import main\n"
        f"sys.argv = ['emoscope', 'analyze', {str(clip)!r}, '-o', {str(tmp_path / 'o')!r}, '--detector', 'own']\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "o" / "report.html").is_file()
