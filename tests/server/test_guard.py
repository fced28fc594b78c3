"""The guard: who may ask, what every answer carries, and what is too much."""

import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import WebSocket
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from emoscope.cli import serve
from emoscope.core.errors import InputError
from emoscope.server import ServerOptions, create_app
from emoscope.server.http import access, guard
from emoscope.server.http.problems import PROBLEM_TYPE

OWN = "http://127.0.0.1:8000"
TALK = "ws://127.0.0.1:8000/v1/talk"


def create_client(tmp_path: Path, base_url: str = OWN, **options: Any) -> TestClient:
    """A client of an application with two routes more; its reading processes are not started."""
    app = create_app(ServerOptions(tmp_path, **options))

    @app.get("/v1/fault")
    async def fail() -> None:
        raise RuntimeError("secret of the house")

    @app.websocket("/v1/talk")
    async def talk(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("hello")
        await websocket.close()

    return TestClient(app, base_url, raise_server_exceptions=True, follow_redirects=False)


def test_others_need_a_token(tmp_path: Path, emoscope: Callable[..., tuple[int, str, str]]) -> None:
    for host in ("0.0.0.0", "::", "192.168.1.5", "emoscope.example"):
        with pytest.raises(InputError, match="token"):
            ServerOptions(tmp_path, host=host)
    for host in ("127.0.0.1", "::1", "localhost"):
        assert ServerOptions(tmp_path, host=host).host == host
    code, stdout, stderr = emoscope("serve", "--host", "0.0.0.0", "--data", tmp_path / "d")
    assert code == 2 and not stdout
    assert stderr.count("\n") == 1 and "--token" in stderr
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tls-cert", "x.pem"], "both --tls-cert and --tls-key"),
        (["--tls-cert", "x.pem", "--tls-key", "y.pem"], "PEM"),
        (["--rate", "often"], "no rate"),
        (["--proxy", "*"], "expected an address"),
        (["--token-file", "/none"], "cannot read /none"),
        (["--token-file", "/dev/null"], "no token"),
        (["--token-file", "/dev/null", "--token", "x"], "give one"),
        (["--max-duration", "long"], "no time"),
        (["--model", "none.onnx"], "no model"),
        (["--data", "/dev/null/x"], "--data"),
    ],
)
def test_options_that_cannot_be_used(
    tmp_path: Path, emoscope: Callable[..., tuple[int, str, str]], arguments: list[str], said: str
) -> None:
    code, _, stderr = emoscope("serve", "--data", tmp_path, "--detector", "own", *arguments)
    assert code == 2 and said in stderr and stderr.count("\n") == 1


def test_a_port_that_is_taken(tmp_path: Path, emoscope: Callable[..., tuple[int, str, str]]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, stderr = emoscope("serve", "--data", tmp_path, "--detector", "own", "--port", port)
    assert code == 2 and f"port {port}" in stderr and stderr.count("\n") == 1


def test_without_a_token_only_this_machine_itself_is_named(tmp_path: Path) -> None:
    assert create_client(tmp_path).get("/v1/models").status_code == 200
    assert create_client(tmp_path, "http://[::1]:8000").get("/v1/models").status_code == 200
    for address in ("http://emoscope.example", "http://127.0.0.1.example:8000", "http://192.168.1.5"):
        answer = create_client(tmp_path, address).get("/v1/models")
        assert (answer.status_code, answer.headers["content-type"]) == (403, PROBLEM_TYPE), address


@pytest.mark.parametrize("token", [None, "open sesame"])
@pytest.mark.parametrize(
    ("origin", "is_own"),
    [
        (OWN, True),
        ("http://127.0.0.1:8001", False),
        ("http://localhost:8000", False),
        ("https://evil.example", False),
        ("null", False),
    ],
)
def test_origins(tmp_path: Path, token: str | None, origin: str, is_own: bool) -> None:
    client = create_client(tmp_path, token=token)
    headers = {"Origin": origin, "Authorization": f"Bearer {token}"}
    assert (client.get("/v1/models", headers=headers).status_code == 200) is is_own
    if is_own:
        with client.websocket_connect(TALK, headers=headers) as socket:
            assert socket.receive_text() == "hello"
    else:
        with pytest.raises(WebSocketDisconnect), client.websocket_connect(TALK, headers=headers):
            pass


def test_a_token_is_asked_for_everywhere(tmp_path: Path) -> None:
    client = create_client(tmp_path, token="öffne", host="0.0.0.0")
    assert client.get("/healthz").status_code == 200
    for path in ("/v1/models", "/metrics", "/openapi.json", "/v1/none", "/index.html"):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), path
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(TALK):
        pass
    for value in ("Bearer wrong", "Bearer ", "Bearer", "Basic öffne", "öffne", "Bearer öffne2"):
        assert client.get("/v1/models", headers={"Authorization": value.encode()}).status_code == 401, value
    right = {"Authorization": "bearer öffne".encode()}
    assert client.get("/v1/models", headers=right).status_code == 200
    with client.websocket_connect(TALK, headers=right) as socket:
        assert socket.receive_text() == "hello"


def test_signing_in(tmp_path: Path) -> None:
    client = create_client(tmp_path, token="open sesame", host="0.0.0.0")
    page = client.get("/")
    assert page.status_code == 401 and 'action="session"' in page.text and "Bearer" not in page.headers.values()
    assert client.get("/sign-in.css").status_code == 200
    for answer in (
        client.get("/?token=wrong"),
        client.post("/session", data={"token": "wrong"}),
        client.post("/session"),
    ):
        assert answer.status_code == 401 and "set-cookie" not in answer.headers
    for sign_in in (
        lambda: client.get("/?token=open%20sesame"),
        lambda: client.post("/session", data={"token": "open sesame"}, headers={"Origin": "null"}),
    ):
        client.cookies.clear()
        answer = sign_in()
        assert (answer.status_code, answer.headers["location"]) == (303, "./")
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "sesame" not in cookie
        assert client.get("/v1/models").status_code == client.get("/").status_code == 200
        with client.websocket_connect(TALK) as socket:
            assert socket.receive_text() == "hello"
    # The session of one token is none for another.
    other = create_client(tmp_path, token="other")
    other.cookies = client.cookies
    assert other.get("/v1/models").status_code == 401


def test_wrong_tokens_are_counted_and_lock_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(access.log, "warning", lambda text, *values: lines.append(text % values))
    client = create_client(tmp_path, token="1234", rate="100/minute")
    right = {"Authorization": "Bearer 1234"}
    statuses = [client.get("/v1/models", headers={"Authorization": f"Bearer {i}"}).status_code for i in range(30)]
    assert statuses == [401] * 20 + [429] * 10
    assert lines == ["a wrong token came from testclient"] * 20
    assert client.post("/session", data={"token": "9"}).status_code == 429
    assert client.get("/v1/models", headers=right).status_code == client.get("/healthz").status_code == 200
    assert client.get("/?token=1234").status_code == 303 and client.get("/").status_code == 200
    # Nor does the rate of those who have no token take anything from those who have it.
    client.cookies.clear()
    while client.get("/healthz").status_code == 200:
        pass
    assert client.get("/v1/models").status_code == 429
    assert client.get("/v1/models", headers=right).status_code == 200


def test_a_token_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("öffne\n", encoding="utf-8")
    assert serve.read_token(None, tmp_path / "token") == "öffne" and serve.read_token("", None) is None


def test_signing_out(tmp_path: Path) -> None:
    client = create_client(tmp_path, token="open sesame", host="0.0.0.0")
    client.post("/session", data={"token": "open sesame"})
    kept = dict(client.cookies)
    assert 'action="session/end"' in client.get("/").text
    other = create_client(tmp_path, token="open sesame")
    assert other.post("/session/end").headers["location"] == "../"
    answer = client.post("/session/end", headers={"Origin": "null"})
    assert (answer.status_code, answer.headers["location"]) == (303, "../")
    assert not client.cookies and client.get("/v1/models").status_code == 401
    # What a thief has kept is no session any more.
    client.cookies.update(kept)
    assert client.get("/v1/models").status_code == 401
    client.post("/session", data={"token": "open sesame"})
    assert client.get("/v1/models").status_code == 200
    assert "session/end" not in create_client(tmp_path).get("/").text


def test_every_answer_carries_the_headers(tmp_path: Path) -> None:
    client = create_client(tmp_path)
    for method, path, status in (
        ("GET", "/", 200),
        ("GET", "/healthz", 200),
        ("GET", "/v1/none", 404),
        ("GET", "/..%2fapp.py", 404),
        ("DELETE", "/v1/images", 405),
        ("GET", "/v1/fault", 500),
    ):
        answer = client.request(method, path)
        assert answer.status_code == status, path
        for name, value in guard.HEADERS.items():
            assert answer.headers[name.decode()] == value.decode(), path
        assert answer.headers["cache-control"] == ("no-cache" if path == "/" else "no-store"), path
        assert "access-control-allow-origin" not in answer.headers and "server" not in answer.headers
        if status >= 400:
            problem = answer.json()
            assert answer.headers["content-type"] == PROBLEM_TYPE and set(problem) == {"title", "status", "detail"}
            assert problem["status"] == status and "secret" not in answer.text and "Traceback" not in answer.text
    assert 'route="/v1/fault",status="500"} 1.0' in client.get("/metrics").text


def test_bodies_that_are_too_large(tmp_path: Path) -> None:
    client = create_client(tmp_path, max_upload_bytes=10_000_000)
    assert client.post("/v1/images", content=b"x", headers={"Content-Length": "99999999999"}).status_code == 413
    taken = 0

    def send() -> Iterator[bytes]:
        nonlocal taken
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
        for _ in range(1000):
            taken += 1
            yield bytes(10_000)

    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = client.post("/v1/images", content=send(), headers=kind)
    assert answer.status_code == 413 and answer.headers["content-type"] == PROBLEM_TYPE
    assert client.post("/session", content=bytes(guard.FORM_BYTES + 1)).status_code == 413


async def call(app: Any, chunks: list[dict[str, Any]], pause_s: float = 0.0) -> list[dict[str, Any]]:
    """Speak ASGI by hand: the body's parts, each after a pause, then silence."""
    import asyncio

    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if chunks:
            await asyncio.sleep(pause_s)
            return chunks.pop(0)
        await asyncio.sleep(60)
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = [(b"host", b"127.0.0.1"), (b"content-type", b"multipart/form-data; boundary=b")]
    scope = {"type": "http", "method": "POST", "path": "/v1/images", "query_string": b"", "headers": headers}
    await app({**scope, "scheme": "http", "client": ("127.0.0.1", 1), "root_path": ""}, receive, send)
    return sent


def test_a_body_that_stops_or_comes_slowly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    monkeypatch.setattr(guard, "SILENCE_S", 0.2)
    app = create_app(ServerOptions(tmp_path))
    start, body = asyncio.run(call(app, [{"type": "http.request", "body": b"--b\r\n", "more_body": True}]))
    assert start["status"] == 408 and b"nothing came" in body["body"]
    drops = [{"type": "http.request", "body": b"--b\r\n"[i : i + 1], "more_body": True} for i in range(5)]
    start, body = asyncio.run(call(app, drops, pause_s=0.1))
    assert start["status"] == 408 and b"less than 10 kB" in body["body"] and drops


def test_too_many_requests(tmp_path: Path) -> None:
    client = create_client(tmp_path, rate="5/minute")
    answers = [client.get("/healthz") for _ in range(7)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
    assert answers[-1].headers["content-type"] == PROBLEM_TYPE


def test_a_served_page_and_a_clean_end(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "emoscope", "serve", "--port", "0", "--data", tmp_path / "d", "--detector", "own"]
    process = subprocess.Popen(
        [*map(str, command), "--workers", "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        address = line.split(" at ")[1].split()[0]
        end_s = time.monotonic() + 30
        while True:
            try:
                with urllib.request.build_opener().open(address + "healthz", timeout=5) as answer:
                    assert answer.status == 200
                break
            except OSError:
                assert time.monotonic() < end_s
                time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=20)
    finally:
        process.kill()
    assert (process.returncode, stderr) == (0, "stopped\n")
