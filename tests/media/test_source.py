"""Sources: what they are called."""

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
