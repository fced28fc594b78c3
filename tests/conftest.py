"""What tests share: public-domain portraits from installed packages, a clip made of them, tiny datasets and runs."""

import importlib.util
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import settings

from emoscope.cli import main as cli
from emoscope.core.types import Image

# `fixed` takes the same examples every time, `random` (make test-random) new ones. No deadline: on two busy cores an
# example that takes a second is no finding.
settings.register_profile("fixed", deadline=None, derandomize=True)
settings.register_profile("random", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))

# Whoever starts the tests in the background, as a CI may, has them ignore Ctrl-C, and all their children with them.
signal.signal(signal.SIGINT, signal.default_int_handler)

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder `shared` beside the repository, with the real data and the script that writes it as users have it."""
    if not (SHARED / "tools" / "fer2013").is_file():
        pytest.skip("there is no folder `shared` with tools/fer2013 beside the repository")
    return SHARED


@pytest.fixture(scope="session", autouse=True)
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the user's data lie for fixtures that several tests share."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        folder = tmp_path_factory.mktemp("user")
        monkeypatch.setenv("EMOSCOPE_DATA", str(folder))
        yield folder


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, data_folder: Path) -> None:
    """Give each test a cache and user's data of its own and let every fetch fail at once: tests reach no network."""
    monkeypatch.setenv("EMOSCOPE_CACHE", str(tmp_path_factory.mktemp("cache")))
    data = shutil.copytree(data_folder, tmp_path_factory.mktemp("data"), dirs_exist_ok=True)
    monkeypatch.setenv("EMOSCOPE_DATA", str(data))

    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError("no network in tests")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.setattr("emoscope.faces.registry.download_wheel", refuse)


@pytest.fixture
def yunet(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point the cache at the folder that holds YuNet."""
    monkeypatch.setenv("EMOSCOPE_CACHE", str(shared / "models"))


def find_package_file(package: str, file: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / file


@pytest.fixture(scope="session")
def portrait() -> Image:
    """Eileen Collins, 512 x 512 (NASA, public domain)."""
    return np.asarray(cv2.imread(str(find_package_file("skimage", "data/astronaut.png"))), np.uint8)


@pytest.fixture(scope="session")
def clip(portrait: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of 30 frames, 320 x 240, one face that moves; frames 10 to 14 show none; frame times are uneven."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    face = cv2.resize(portrait[0:300, 80:380], (200, 200), interpolation=cv2.INTER_AREA)
    frames = []
    for i in range(30):
        canvas = np.full((240, 320, 3), 90, np.uint8)
        if not 10 <= i < 15:
            canvas[20:220, 30 + 2 * i : 230 + 2 * i] = face
        frames.append((canvas, clip_time_s(i)))
    write_clip(path, frames)
    return path


def clip_time_s(index: int) -> float:
    """Presentation time of the clip's frames: 25 per second, 10 per second from frame 20 on."""
    return index * 0.04 if index < 20 else 0.8 + (index - 20) * 0.1


def write_clip(path: Path, frames: list[tuple[Image, float]], codec: str = "libx264", pixels: str = "yuv420p") -> None:
    """Write frames with their presentation times; an avi file keeps only a rate of 10."""
    from fractions import Fraction

    is_avi = path.suffix == ".avi"
    base = Fraction(1, 10) if is_avi else Fraction(1, 1000)
    options = {"movflags": "+faststart"} if path.suffix in (".mp4", ".mov") else {}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=10 if is_avi else 25)
        stream.height, stream.width = frames[0][0].shape[:2]
        stream.pix_fmt = pixels
        stream.codec_context.time_base = base
        for image, time_s in frames:
            picture = av.VideoFrame.from_ndarray(image, format="bgr24").reformat(format=pixels)
            picture.pts, picture.time_base = round(time_s / base), base
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def emoscope(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Call the command line as a user does: arguments in; exit code, stdout, stderr out."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["emoscope", *map(str, arguments)])
        try:
            cli.main()
            code = 0
        except SystemExit as e:
            code = e.code if isinstance(e.code, int) else int(e.code is not None)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    yield call


@pytest.fixture(scope="session")
def faces_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of 420 cartoon faces."""
    from emoscope.study.data.synthetic import create_synthetic

    return create_synthetic(420, seed=1).save(tmp_path_factory.mktemp("data") / "faces.npz")
