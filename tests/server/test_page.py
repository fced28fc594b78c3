"""The page's files: nothing inline, nothing from elsewhere, every part there."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from emoscope.browser import site
from emoscope.core.emotions import COLOURS, COLOURS_ON_DARK, EMOTIONS
from emoscope.faces import registry
from emoscope.server import ServerOptions, create_app
from emoscope.server.page import here


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    # Whether onnxruntime-web was ever fetched on this machine is nobody's business here.
    monkeypatch.setattr(here, "BROWSER", [replace(file, file=f"{tmp_path}/none") for file in registry.BROWSER])
    with TestClient(create_app(ServerOptions(tmp_path, detector="own")), base_url="http://127.0.0.1:8000") as client:
        yield client


def test_the_page_keeps_to_its_policy(client: TestClient) -> None:
    answer = client.get("/")
    page = answer.text
    assert answer.status_code == 200 and "script-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-cache"
    assert all('src="/' in tag for tag in re.findall("<script[^>]*>", page)) and "<style" not in page
    assert re.search(r"\s(style|on[a-z]+)=", page) is None and "javascript:" not in page
    assert re.search(r"(https?:)?//[a-z]", page) is None
    style = client.get("/report.css").text
    for name, colour, on_dark in zip(EMOTIONS, COLOURS, COLOURS_ON_DARK, strict=True):
        assert name in page and f"--{name}: {colour}" in style and f"--{name}-on-dark: {on_dark}" in style
    # Every id that a label or a description names is there, and none twice.
    ids = re.findall(r'\sid="([^"]+)"', page)
    named = re.findall(r'(?:aria-labelledby|aria-controls|href)="#?([a-z-]+)"', page)
    assert len(ids) == len(set(ids)) and set(named) <= set(ids)


def test_every_part_is_there_and_of_its_type(client: TestClient) -> None:
    kinds = {".js": "javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    waiting, seen = re.findall(r'(?:src|href)="(/[^"]+)"', client.get("/").text), set()
    ids = set(re.findall(r'\sid="([^"]+)"', client.get("/").text))
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        answer = client.get(path)
        assert answer.status_code == 200 and kinds[Path(path).suffix] in answer.headers["content-type"], path
        if path.endswith(".js"):
            waiting += ["/" + name for name in re.findall(r'^import .*"\./([a-z-]+\.js)"', answer.text, re.MULTILINE)]
            assert set(re.findall(r'\$\("([a-z-]+)"\)', answer.text)) <= ids, path
    assert {"/main.js", "/view.js", "/style.css", "/report.css", "/icon.svg"} <= seen


def test_the_page_that_reads_in_the_browser_is_given_where_its_parts_are(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = "emoscope models --fetch --browser"
    assert command in client.get("/").text and 'href="/here/"' not in client.get("/").text
    assert client.get("/here/").status_code == 404 and command in client.get("/here/").json()["detail"]
    runtime = tmp_path / "runtime"
    runtime.write_text("a stand-in for onnxruntime-web")
    monkeypatch.setattr(here, "BROWSER", [])
    monkeypatch.setattr(site, "fetch", lambda file: runtime)
    assert 'href="/here/"' in client.get("/").text
    answer = client.get("/here")
    assert answer.url.path == "/here/" and answer.status_code == 200
    assert "on this device" in answer.text
    for name in ("", "worker.js", "emotion.onnx", "sw.js"):
        answer = client.get(f"/here/{name}")
        assert answer.status_code == 200 and "'wasm-unsafe-eval'" in answer.headers["content-security-policy"]
    assert "wasm" not in client.get("/").headers["content-security-policy"]
    assert client.get("/here/../../etc/passwd").status_code == 404
