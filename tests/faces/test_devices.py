"""Devices: which one is chosen and why, what its sessions are opened with, and that nothing fails without a word."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnxruntime
import pytest

import emoscope as product
from conftest import Command
from emoscope.core.errors import InputError
from emoscope.core.types import Image
from emoscope.faces import devices
from emoscope.faces.devices import CPU, PROVIDERS, choose_device, create_options, list_devices, list_providers

LINUX = ["AzureExecutionProvider", "CPUExecutionProvider"]
MACOS = ["CoreMLExecutionProvider", *LINUX]
WINDOWS = ["DmlExecutionProvider", "CPUExecutionProvider"]
NVIDIA = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
INTEL = ["OpenVINOExecutionProvider", "CPUExecutionProvider"]


@pytest.fixture(autouse=True)
def forget_warnings() -> Iterator[None]:
    devices._fall_back.cache_clear()
    yield
    devices._fall_back.cache_clear()


@pytest.mark.parametrize(
    ("asked", "available", "expected", "reason"),
    [
        ("auto", LINUX, "cpu", "no cuda is installed"),
        ("auto", NVIDIA, "cuda", "best available"),
        ("auto", INTEL, "cpu", "no cuda is installed"),
        ("auto", MACOS, "cpu", "no cuda is installed"),
        ("auto", WINDOWS, "cpu", "no cuda is installed"),
        ("cpu", NVIDIA, "cpu", "asked for"),
        ("openvino", INTEL, "openvino", "asked for"),
        ("coreml", MACOS, "coreml", "asked for"),
        ("directml", WINDOWS, "directml", "asked for"),
        ("cuda", LINUX, "cpu", "cuda was asked for, but it needs the package onnxruntime-gpu"),
        ("openvino", MACOS, "cpu", "openvino was asked for, but it needs the package onnxruntime-openvino"),
    ],
)
def test_a_device_is_chosen_with_its_reason(
    asked: str, available: list[str], expected: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "emoscope"):
        for _ in range(3):
            chosen = choose_device(asked, available)
    assert chosen.name == expected and chosen.reason.startswith(reason)
    # One line, however many networks and films.
    assert len(caplog.records) == (1 if "but" in reason else 0)


def test_an_unknown_device_is_said() -> None:
    with pytest.raises(InputError, match="there is no device 'gpu'"):
        choose_device("gpu")


def test_the_processor_is_always_there_and_last() -> None:
    assert "cpu" in list_devices() and list_devices(NVIDIA) == ["cpu", "cuda"]
    for name, provider in PROVIDERS.items():
        listed = [found for found, _ in list_providers(provider)]
        assert listed[-1] == "CPUExecutionProvider" and len(listed) == (1 if name == "cpu" else 2)


def test_the_options_of_each_provider() -> None:
    for name, provider in PROVIDERS.items():
        options = create_options(provider)
        assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1), name
        assert not options.enable_mem_pattern
    openvino = create_options(PROVIDERS["openvino"])
    assert openvino.graph_optimization_level == onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    assert "f32" in PROVIDERS["openvino"].options["load_config"] and PROVIDERS["cuda"].options["use_tf32"] == "0"


class Session:
    """Stands for ONNX Runtime's session: notes what it was opened with."""

    opened: ClassVar[list[tuple[Any, ...]]] = []
    starts, fails = True, False

    def __init__(self, path: str, options: Any, providers: list[tuple[str, dict[str, str]]]) -> None:
        names = [name for name, _ in providers]
        Session.opened.append((Path(path).name, names, providers[0][1]))
        if Session.fails and names[0] != "CPUExecutionProvider":
            raise RuntimeError("no kernel")
        self.names = names if Session.starts else names[-1:]

    def get_providers(self) -> list[str]:
        return self.names


@pytest.mark.parametrize("name", ["cuda", "coreml", "directml", "openvino"])
@pytest.mark.parametrize("trouble", ["none", "does not start", "cannot take"])
def test_a_session_is_opened_with_its_providers_options_or_falls_back_aloud(
    name: str, trouble: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    monkeypatch.setattr(Session, "opened", [])
    monkeypatch.setattr(Session, "starts", trouble != "does not start")
    monkeypatch.setattr(Session, "fails", trouble == "cannot take")
    device = choose_device(name, [p.name for p in PROVIDERS.values()])
    with caplog.at_level(logging.WARNING, "emoscope"):
        session, used = devices.open_session(Path("network.onnx"), device)
    first = ("network.onnx", [PROVIDERS[name].name, "CPUExecutionProvider"], dict(PROVIDERS[name].options))
    assert Session.opened[0] == first
    if trouble == "none":
        assert used == device and len(Session.opened) == 1 and not caplog.records
    else:
        assert used.name == "cpu" and trouble in used.reason and session.get_providers() == ["CPUExecutionProvider"]
        assert [record.getMessage().count("\n") for record in caplog.records] == [0]


def test_a_device_that_is_not_here_reads_on_the_processor(
    portrait: Image, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "emoscope"):
        [face] = product.analyze_image(portrait, detector="own", device="directml")
    [expected] = product.analyze_image(portrait, detector="own", device="cpu")
    assert face.probabilities == expected.probabilities and len(caplog.records) == 1
    assert product.Recognizer(device="cpu").device == CPU
    assert np.isclose(sum(face.probabilities.values()), 1)


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_the_check_of_devices_compares_with_the_processor(emoscope: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that is announced and does not start is checked, too: its row says that it ran on the processor."""
    monkeypatch.setattr(devices, "list_devices", lambda available=None: ["cpu", "openvino"])
    monkeypatch.setattr("emoscope.analysis.device_check.ROUNDS", 1)
    code, out, err = emoscope("models", "--check-device", "--json")
    rows = json.loads(out)["devices"]
    assert code == 0 and [row["device"] for row in rows] == ["cpu", "openvino"]
    assert rows[0]["people"] == 3 and rows[0]["faces"] > 100 and rows[0]["ms_per_face"] > 0
    assert rows[0]["max_difference"] == 0 and rows[0]["same_emotion"] == rows[0]["same_faces"] == 1
    if "OpenVINOExecutionProvider" not in onnxruntime.get_available_providers():
        assert rows[1]["used"] == "cpu" and err.count("the device openvino is not to be had") == 1
    assert emoscope("models", "--check-device", "--fetch")[0] == 2


@pytest.mark.parametrize(("platform", "n"), [("linux", 2), ("darwin", 1), ("win32", 1)])
def test_no_package_is_named_that_no_system_like_this_has(
    monkeypatch: pytest.MonkeyPatch, platform: str, n: int
) -> None:
    monkeypatch.setattr("sys.platform", platform)
    assert sum("alone has it" in PROVIDERS[name].needs for name in ("coreml", "directml")) == n
    assert all("it needs the package" in PROVIDERS[name].needs for name in ("cuda", "openvino"))
