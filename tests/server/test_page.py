"""The page's files: nothing inline, nothing from elsewhere, every part there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from emoscope.core.emotions import COLOURS, COLOURS_ON_DARK, EMOTIONS
from emoscope.server import ServerOptions, create_app


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
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
