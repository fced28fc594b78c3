"""POST /v1/images: pictures of all kinds in, faces or one-line problems out; crashes stay in their process."""

import os
import signal
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient

from emoscope import analyze_image
from emoscope.core.types import Image
from emoscope.server import ServerOptions, create_app
from emoscope.server.http.schemas import ImageAnswer
from emoscope.server.pictures import reader

CAN_READ = (".jpg", ".png", ".webp", ".bmp")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A running server with one process for pictures of at most a million pixels."""
    options = ServerOptions(tmp_path_factory.mktemp("data"), detector="own", workers=1, max_pixels=1_000_000)
    with TestClient(create_app(options), "http://127.0.0.1") as client:
        yield client


def encode(image: Image, suffix: str = ".jpg") -> bytes:
    return cv2.imencode(suffix, image)[1].tobytes()


def post(client: TestClient, data: bytes, name: str = "x") -> tuple[int, dict[str, object]]:
    answer = client.post("/v1/images", files={"file": (name, data)})
    return answer.status_code, answer.json()


def is_running(pid: int) -> bool:
    """Tell whether a process lives; one that ended and is not yet collected does not."""
    path = Path(f"/proc/{pid}/stat")
    return path.exists() and path.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def create_png(width: int, height: int) -> bytes:
    """A PNG that announces a size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("suffix", CAN_READ)
def test_faces(client: TestClient, portrait: Image, suffix: str, tmp_path: Path) -> None:
    data = encode(portrait, suffix)
    status, answer = post(client, data, "../../etc/passwd")
    assert status == 200
    parsed = ImageAnswer.model_validate(answer, strict=False)
    path = tmp_path / f"x{suffix}"
    path.write_bytes(data)
    expected = analyze_image(path, detector="own")
    assert parsed.size_wh == expected.size_wh and parsed.detector == "own"
    assert [face.emotion for face in parsed.faces] == expected.emotions == ["happy"]
    np.testing.assert_allclose(parsed.faces[0].xyxy, expected.faces.xyxy[0], atol=0.06)
    np.testing.assert_allclose(list(parsed.faces[0].probabilities.values()), expected.probabilities[0], atol=6e-5)
    assert parsed.faces[0].track_id is None


def test_pictures_know_nothing_of_each_other(client: TestClient, portrait: Image) -> None:
    status, answer = post(client, encode(np.full((200, 300, 3), 90, np.uint8)))
    assert (status, answer["faces"], answer["size_wh"]) == (200, [], [300, 200])
    assert post(client, encode(portrait)) == post(client, encode(portrait))


@pytest.mark.parametrize(
    ("data", "status", "said"),
    [
        (b"", 422, "empty"),
        (b"GIF89a" + bytes(100), 415, "JPEG, PNG"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "JPEG, PNG"),
        (b"%PDF-1.7", 415, "JPEG, PNG"),
        (b"\xff\xd8\xff\xe0", 422, "damaged"),
        (b"BM" + bytes(200), 422, "damaged"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8X", 422, "damaged"),
        (create_png(60_000, 60_000), 413, "60000 x 60000"),
        (create_png(1001, 1000), 413, "1 million"),
        (create_png(0, 5), 422, "damaged"),
        (b"RIFF\x20\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\xff\x3f\xff\xff\x3f", 413, "x 4194304"),
    ],
)
def test_what_is_no_picture(client: TestClient, data: bytes, status: int, said: str) -> None:
    found, problem = post(client, data, "holiday.jpg")
    assert found == status and said in str(problem["detail"]), problem
    assert "\n" not in str(problem["detail"])


def test_a_picture_that_is_cut_off(client: TestClient, portrait: Image) -> None:
    data = encode(portrait)
    status, problem = post(client, data[: len(data) * 9 // 10])
    assert status == 422 and "cut off" in str(problem["detail"])


def test_a_form_without_a_file(client: TestClient) -> None:
    for answer in (
        client.post("/v1/images"),
        client.post("/v1/images", files={"other": b"x"}),
        client.post("/v1/images", data={"file": "text"}),
    ):
        assert answer.status_code == 422 and "file" in answer.json()["detail"], answer.text


def test_a_process_that_dies(client: TestClient, portrait: Image) -> None:
    [running] = client.app.state.readers.all
    # Stopped, it has a picture when it dies.
    os.kill(running.process.pid, signal.SIGSTOP)
    timer = threading.Timer(0.3, os.kill, (running.process.pid, signal.SIGKILL))
    timer.start()
    status, problem = post(client, encode(portrait))
    assert status == 422 and "crashed" in str(problem["detail"])
    assert post(client, encode(portrait))[0] == 200
    # Dying idle harms no picture.
    os.kill(running.process.pid, signal.SIGKILL)
    time.sleep(0.3)
    assert post(client, encode(portrait))[0] == 200


def test_a_picture_that_takes_too_long(client: TestClient, portrait: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    [running] = client.app.state.readers.all
    pid = running.process.pid
    monkeypatch.setattr(reader, "TIME_LIMIT_S", 0.3)
    os.kill(pid, signal.SIGSTOP)
    status, problem = post(client, encode(portrait))
    assert status == 422 and "ended" in str(problem["detail"])
    monkeypatch.undo()
    assert post(client, encode(portrait))[0] == 200 and running.process.pid != pid
    assert not is_running(pid)


def test_too_many_wait(client: TestClient, portrait: Image) -> None:
    state = client.app.state
    state.waiting_pictures = 64
    try:
        answer = client.post("/v1/images", files={"file": encode(portrait)})
    finally:
        state.waiting_pictures = 0
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
