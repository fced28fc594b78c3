"""The how-to's clients, run as they stand there."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest
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
