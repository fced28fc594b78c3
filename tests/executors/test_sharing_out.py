"""Accelerators of this machine are handed out: to each worker its own, unless the study lets several share one."""

import os

import pytest

from emoscope.core.errors import InputError
from emoscope.executors.executor import Resources
from emoscope.executors.open import open_executor, share_out


def look(shared: object, item: object) -> str | None:
    return os.environ.get("CUDA_VISIBLE_DEVICES")


def test_no_two_workers_share_an_accelerator_unless_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert share_out(3, 4, None) == ["0", "1", "2"]
    assert share_out(2, 4, Resources(gpus=2)) == ["0,1", "2,3"]
    assert share_out(4, 2, Resources(gpus=0.5)) == ["0", "0", "1", "1"]
    assert share_out(9, 2, Resources(gpus=0)) == [""] * 9, "none is seen"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-5e")
    assert share_out(2, 2, Resources()) == ["3", "GPU-5e"]
    for workers, resources in ((3, None), (2, Resources(gpus=2))):
        with pytest.raises(InputError, match=r"2 accelerators at \d each .* let several share one by"):
            share_out(workers, 2, resources)


def test_workers_see_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with open_executor(workers=2, n_gpus=2) as executor:
        futures = [executor.submit(look, i) for i in range(8)]
        assert {future.result() for future in futures} <= {"0", "1"} != {None}
    with open_executor(workers=2) as executor:
        assert executor.submit(look, 0).result() is None
