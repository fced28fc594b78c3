"""A project's calibration: saved, loaded and applied; refused when damaged or made for another network."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

import emoscope as product
from emoscope.analysis.settings import Settings
from emoscope.core.errors import InputError
from emoscope.core.types import Image
from emoscope.faces.recalibration import Recalibration, identify_model, load_recalibration


@pytest.fixture(scope="module")
def calibration() -> Recalibration:
    model = product.Recognizer().describe()
    return Recalibration(
        temperature=2.0,
        bias=(0.5, 0.0, 0.0, -1.0, 0.0, 0.0, 0.25),
        model=str(model["name"]),
        model_sha256=identify_model(model),
        views=1,
        balanced=False,
        codes=120,
        participants=6,
        coders=("anna", "bert"),
        log_loss=(1.2, 1.0),
    )


def test_it_is_applied_on_top_of_the_networks_own(calibration: Recalibration, portrait: Image) -> None:
    plain = product.Recognizer().predict(portrait)
    changed = product.Recognizer(recalibration=calibration).predict(portrait)
    logits = np.log(plain) / 2 + np.asarray(calibration.bias)
    np.testing.assert_allclose(changed, np.exp(logits) / np.exp(logits).sum(), atol=1e-12)
    assert changed[0, 3] < plain[0, 3]


def test_what_is_saved_is_loaded_and_is_part_of_the_settings(calibration: Recalibration, tmp_path: Path) -> None:
    calibration.save(tmp_path / "ours.json")
    assert load_recalibration(tmp_path / "ours.json") == calibration
    settings = Settings.model_validate({"calibration": str(tmp_path / "ours.json")})
    assert settings.calibration == calibration
    (tmp_path / "a.mp4").write_bytes(b"a")
    dataclasses.replace(calibration, temperature=1.5).save(tmp_path / "ours.json")
    other = Settings.model_validate({"calibration": str(tmp_path / "ours.json")})
    prints = {s.fingerprint(tmp_path / "a.mp4") for s in (Settings(), settings, other)}
    assert len(prints) == 3


def test_another_network_or_use_is_refused(calibration: Recalibration) -> None:
    with pytest.raises(InputError, match="for 1 views, not for 2"):
        product.Recognizer(views=2, recalibration=calibration)
    with pytest.raises(InputError, match="made for the model wide-pair, not for compact-5-int8"):
        product.Recognizer("compact-5-int8", recalibration=calibration)
    turned = dataclasses.replace(calibration, emotions=calibration.emotions[::-1])
    with pytest.raises(InputError, match=r"for neutral, surprise, .*, not for angry, disgust"):
        product.Recognizer(recalibration=turned)
    with pytest.raises(InputError, match="leave out --calibration or --set-90"):
        product.Analyzer(calibration=calibration, set_90=True)


def test_all_that_is_wrong_with_a_file_is_said(calibration: Recalibration, tmp_path: Path) -> None:
    path = tmp_path / "ours.json"
    calibration.save(path)
    whole = json.loads(path.read_text())
    for changes, sentences in (
        ({"temperature": 0.0, "bias": [1.0]}, ("temperature is 0", "bias is not 7 numbers")),
        ({"emotions": ["happy", *whole["emotions"][1:]]}, ("emotions: happy stands twice",)),
        ({"bias": [1e9] * 7}, ("bias is not 7 numbers",)),
        ({"views": "1", "codes": None}, ("views", "codes")),
        ({"kind": "something"}, ("nothing of a calibration",)),
        ({"version": 9}, ("version is 9",)),
    ):
        path.write_text(json.dumps({**whole, **changes}))
        with pytest.raises(InputError) as error:
            load_recalibration(path)
        assert all(sentence in str(error.value) for sentence in sentences), error.value
    path.write_text(json.dumps(whole).replace("2.0", "NaN"))
    with pytest.raises(InputError):
        load_recalibration(path)
    with pytest.raises(InputError, match="cannot read"):
        load_recalibration(tmp_path / "missing.json")
