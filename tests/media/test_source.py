"""Sources: what they are called, and what of a folder is theirs."""

from pathlib import Path

import cv2
import pytest

from emoscope.core.types import Image
from emoscope.media.find import find_sources


@pytest.mark.parametrize("given", [".", "../visitors", "sub/.."])
def test_a_folder_has_its_own_name_wherever_one_stands(
    given: str, portrait: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "visitors"
    (folder / "sub").mkdir(parents=True)
    cv2.imwrite(str(folder / "one.png"), portrait)
    monkeypatch.chdir(folder)
    (source,) = find_sources([Path(given)])
    assert Path(source.label).name == "visitors"


def test_linked_folders_are_read_once_and_what_a_link_has_lost_is_said(
    portrait: Image, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "visit"
    for place in (elsewhere, folder):
        place.mkdir()
        cv2.imwrite(str(place / f"{place.name}.png"), portrait)
    for name, target in (("linked", elsewhere), ("again", elsewhere), ("loop", folder), ("lost.png", tmp_path / "no")):
        try:
            (folder / name).symlink_to(target)
        except OSError:
            pytest.skip("links cannot be made here")
    (source,) = find_sources([folder])
    assert sorted(path.name for path in source.pictures) == ["elsewhere.png", "visit.png"]
    assert [r.getMessage() for r in caplog.records] == [f"left out {folder / 'lost.png'}, a link to what is not there"]
