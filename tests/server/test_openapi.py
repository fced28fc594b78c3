"""The OpenAPI document: complete, and true for whatever a client makes up."""

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI

from conform import check
from emoscope.server import ServerOptions, create_app
from emoscope.server.http.problems import PROBLEM_TYPE

CASES = 300
"""benchmarks/server_hostile.py makes 2,000."""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    options = ServerOptions(tmp_path_factory.mktemp("data"), detector="own", workers=1, rate="1000000/second")
    return create_app(options)


@pytest.fixture(scope="module")
def address(app: FastAPI) -> Iterator[str]:
    """Where the application is served, by a thread."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.05)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join(30)


def test_answers_are_documented(address: str) -> None:
    found = check(address, CASES)
    assert not found.findings, found.findings
    assert found.cases >= CASES / 2 and found.statuses[200] and found.statuses[422]


def find_operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def test_everything_is_described_with_examples(app: FastAPI) -> None:
    document = app.openapi()
    for name, operation in find_operations(document):
        assert operation["summary"] and operation["description"], name
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                content = answer["content"]
                assert list(content) == [PROBLEM_TYPE] and content[PROBLEM_TYPE]["example"]["status"] == int(status)
        assert {"401", "403", "429", "500"} <= set(operation["responses"]), name
    face = document["components"]["schemas"]["ImageAnswer"]["examples"][0]["faces"][0]
    assert abs(sum(face["probabilities"].values()) - 1) < 0.01


def test_a_token_is_in_the_document(tmp_path_factory: pytest.TempPathFactory) -> None:
    document = create_app(ServerOptions(tmp_path_factory.mktemp("data"), token="secret")).openapi()
    assert set(document["components"]["securitySchemes"]) == {"token", "session"}
    for name, operation in find_operations(document):
        assert bool(operation["security"]) is (name != "get /healthz"), name
    assert "secret" not in str(document)
