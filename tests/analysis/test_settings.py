"""Settings: each option stands there once, and everything that takes options has them from there."""

import inspect
import pickle
import re
from pathlib import Path
from typing import Any

import pytest
import typer

import emoscope as product
from conftest import Command
from emoscope.analysis.settings import Settings
from emoscope.cli.main import app
from emoscope.core.emotions import EMOTIONS
from emoscope.core.timecode import Baseline, Every, Span
from emoscope.server.jobs.form import FIELDS, NOT_ASKED, read_form
from emoscope.server.page.index import render_page


def find_options(command: str) -> dict[str, Any]:
    commands: Any = typer.main.get_command(app)
    return {parameter.name: parameter for parameter in commands.commands[command].params}


def test_every_option_is_asked_for_everywhere_by_the_same_name_with_the_same_default() -> None:
    defaults = {name: getattr(Settings(), name) for name in Settings.model_fields}
    call = inspect.signature(product.analyze_video).parameters
    assert set(call) == {"path", *defaults, "on_progress"}
    said = {name: call[name].default for name in defaults}
    assert Settings.model_validate(said) == Settings()
    for name in defaults:
        assert f"\n        {name}: " in str(product.analyze_video.__doc__), name
    picture = inspect.signature(product.analyze_image).parameters
    # A picture's size is known, so that the default is.
    assert {name: picture[name].default for name in picture if name not in ("picture", "max_side_px")} == {
        name: defaults[name] for name in ("detector", "model", "views", "balanced", "set_90", "device")
    }
    options = find_options("analyze")
    assert set(defaults) < set(options)
    given = {name: options[name].default for name in defaults if options[name].default is not None}
    assert Settings.model_validate(given) == Settings()
    assert all(options[name].help for name in defaults)
    assert set(FIELDS) == set(defaults) - NOT_ASKED
    assert read_form({name: field["default"] for name, field in FIELDS.items() if "default" in field}, "auto", "x") == (
        Settings(model="x")
    )
    assert set(find_options("live")) & set(defaults) == {
        *("smooth", "exclude", "report", "anonymous", "detector", "model", "views", "balanced", "device")
    }


def test_texts_are_read_as_users_write_them() -> None:
    values = {
        "every": "0.2s",
        "start": "1:30",
        "end": 100,
        "baseline": "12-20",
        "formats": "eaf, vtt,eaf",
        "views": "2",
    }
    settings = Settings.model_validate(values)
    assert (settings.every, settings.start, settings.end) == (Every(1, 0.2), 90, 100)
    assert settings.baseline == Baseline("span", Span(12, 20)) and settings.formats == ("eaf", "vtt")
    assert pickle.loads(pickle.dumps(settings)) == settings and hash(settings) != hash(Settings())


def test_the_fingerprint_tells_settings_and_sources_apart(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"a")
    first = Settings().fingerprint(tmp_path / "a.mp4")
    assert Settings(smooth=0).fingerprint(tmp_path / "a.mp4") == first
    assert Settings(smooth=1).fingerprint(tmp_path / "a.mp4") != first
    (tmp_path / "a.mp4").write_bytes(b"ab")
    assert Settings().fingerprint(tmp_path / "a.mp4") != first


@pytest.mark.parametrize(
    ("arguments", "sentences"),
    [
        (
            ["--views", "3", "--detector", "harr", "--every", "0"],
            ["views is 3", "auto, yunet, own", "every: '0' is no step"],
        ),
        (["--smooth", "inf"], ["smooth is 'inf', expected a number of 0 to 3600"]),
        (["--formats", "eaf,srt"], ["there is no format srt; choose from jsonl, eaf, vtt"]),
        (["--end", "1", "--start", "2", "--blur-faces"], ["is not after the start", "add --annotate or --explain"]),
        (["--anonymous", "--explain"], ["anonymous results hold no face"]),
        (["--max-side-px", "3"], ["max_side_px is '3', expected a whole number of at least 32"]),
    ],
)
def test_all_mistakes_are_one_line(arguments: list[str], sentences: list[str], emoscope: Command) -> None:
    code, out, stderr = emoscope("analyze", "x.mp4", *arguments)
    assert (code, out) == (2, "") and stderr.startswith("error: ") and stderr.count("\n") == 1
    for sentence in sentences:
        assert sentence in stderr


def test_unknown_names_are_guessed() -> None:
    with pytest.raises(product.InputError, match=r"unknown key smoth, did you mean smooth\?"):
        Settings.model_validate({"smoth": 1})
    with pytest.raises(product.InputError, match="there is no field explain"):
        read_form({"explain": "true"}, "auto", "default")


def test_the_page_asks_for_what_the_form_takes() -> None:
    page = render_page(has_token=False, has_here=True, has_sample=True, classes=EMOTIONS)
    form = re.search(r'<form class="fields">(.*?)</form>', page, re.DOTALL)
    assert form is not None
    for name, inside in re.findall(r'<(?:select|input) name="(\w+)"([^\n]*)', form[1]):
        for value in re.findall(r'value="([^"]+)"', inside):
            assert name in FIELDS and read_form({name: value, "annotate": "true"}, "auto", "default"), name
