"""The how-to's clients, run as they stand there."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest
from finished_job import lay_out_job
from server_process import Server

from emoscope.core.types import Image

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "server.md"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server") / "data")
    yield server
    server.kill()


@pytest.mark.parametrize(
    ("language", "program"), [("python", (sys.executable, "-")), ("javascript", ("node", "--input-type=module", "-"))]
)
def test_the_how_to_s_clients_run(
    server: Server, portrait: Image, clip: Path, tmp_path: Path, language: str, program: tuple[str, ...]
) -> None:
    if shutil.which(program[0]) is None:
        pytest.skip(f"{program[0]} is not installed here")
    [code] = re.findall(rf"```{language}\n(.*?)```", HOW_TO.read_text(encoding="utf-8"), re.DOTALL)
    cv2.imwrite(str(tmp_path / "face.png"), portrait)
    arguments = [server.address.rstrip("/"), str(tmp_path / "face.png"), *([str(clip)] if language == "python" else [])]
    done = subprocess.run([*program, *arguments], input=code, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("happy ")
    assert language != "python" or re.fullmatch(r"\d people", lines[-1])


def test_the_how_to_s_requests_make_a_project(tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed here")
    for i in range(2):
        lay_out_job(tmp_path / "data", f"{i + 1:032x}", f"{i}.mp4", i)
    server = Server(tmp_path / "data", "--workers", "1")
    try:
        [code] = re.findall(r"```bash\n(.*?)```", HOW_TO.read_text(encoding="utf-8"), re.DOTALL)
        code = f"set -e\n{code}".replace("http://127.0.0.1:8000", server.address.rstrip("/"))
        done = subprocess.run(
            ["bash"], input=code, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        assert json.loads((tmp_path / "anna.json").read_bytes())["label"] == "Anna"
        assert "Anna" in (tmp_path / "comparison.html").read_text(encoding="utf-8")
        project = json.loads((tmp_path / "project.json").read_bytes())
        assert project["label"] == "Adverts" and [r["name"] for r in project["recordings"]] == ["Anna", "0"]
    finally:
        server.kill()
