"""Container, compose file and audit, as far as they can be checked without an engine or a connection."""

import importlib.util
import json
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from emoscope.faces import registry
from emoscope.server.jobs.worker import BASE_BYTES, BYTES_PER_CORE, BYTES_PER_PIXEL
from emoscope.server.server_options import ServerOptions

ROOT = Path(__file__).parents[2]


def read_steps() -> list[tuple[str, str]]:
    """Instructions of the Dockerfile with what they are given."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.M).replace("\\\n", " ")
    return [(kind, rest) for kind, rest in (line.split(maxsplit=1) for line in text.splitlines() if line.strip())]


def test_the_image_holds_only_what_it_needs() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        source
        for kind, rest in read_steps()
        if kind == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    }
    assert copied == kept
    assert all((ROOT / name).exists() for name in copied)


def test_the_image_runs_as_nobody_on_a_volume() -> None:
    steps = read_steps()
    last = {kind: rest for kind, rest in steps if kind != "RUN"}
    assert [kind for kind, _ in steps].count("FROM") == 2
    assert last["USER"] == "10001:10001" and last["VOLUME"] == "/data" and "healthz" in last["HEALTHCHECK"]
    assert json.loads(last["ENTRYPOINT"])[:2] == ["emoscope", "serve"] and "/data" in json.loads(last["ENTRYPOINT"])


def test_compose_gives_no_more_than_needed() -> None:
    service = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["emoscope"]
    assert service["read_only"] is True and service["cap_drop"] == ["ALL"]
    assert service["environment"]["EMOSCOPE_TOKEN"].startswith("${EMOSCOPE_TOKEN:?"), "no start without a token"
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert all("size=" in place for place in service["tmpfs"])
    # Its limit holds with all workers busy.
    options = ServerOptions(Path("data"))
    worker = BASE_BYTES + 4 * BYTES_PER_CORE + BYTES_PER_PIXEL * options.max_video_pixels
    assert int(service["mem_limit"].removesuffix("g")) << 30 > options.workers * (worker + (1 << 30))
    assert "privileged" not in service and "data:/data" in service["volumes"]


@pytest.mark.usefixtures("yunet")
def test_models_are_fetched_ahead(
    emoscope: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    # tests/faces/test_mesh.py fetches the others.
    monkeypatch.setattr(registry, "FETCHED", (registry.YUNET,))
    code, stdout, stderr = emoscope("models", "--fetch", "--json")
    assert (code, stderr) == (0, "")
    assert {model["name"]: model["status"] for model in json.loads(stdout)["models"]}["yunet"] == "cached"


def test_models_that_cannot_be_fetched_are_one_line(emoscope: Callable[..., tuple[int, str, str]]) -> None:
    code, _, stderr = emoscope("models", "--fetch")
    assert code == 2 and stderr.count("\n") == 1 and "cannot fetch" in stderr


@pytest.fixture
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", ROOT / ".ci" / "audit.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_only_a_vulnerability_fails_the_audit(audit: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    clean = {"name": "a", "version": "1", "vulns": []}
    vulnerable = {"name": "b", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]}
    assert audit.judge(json.dumps({"dependencies": [clean]}), "") == 0
    assert audit.judge(json.dumps({"dependencies": [clean, vulnerable]}), "Found 1 known vulnerability") == 1
    assert "b 2: CVE-1, mended in 3" in capsys.readouterr().out
    assert audit.judge("", "requests.exceptions.ConnectionError: no name") == 0
    assert "NOT audited" in capsys.readouterr().out
    assert audit.judge("", "usage: pip-audit") == 1
