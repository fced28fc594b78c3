"""Several sources in, a folder of results each out; one bad source does not stop the rest."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from emoscope.analysis import OUTPUT_NAMES, analyze_source
from emoscope.errors import EmoscopeError
from emoscope.files import open_atomic_folder
from emoscope.source import Source, find_sources
from emoscope.types import FrameResult


@dataclass(frozen=True)
class SourceResult:
    """What became of one source; the entries of `analyze --json`."""

    source: str
    status: str
    """complete, incomplete (damaged, but what could be read is there) or failed (no output)."""
    frames: int = 0
    faces: int = 0
    people: int = 0
    coverage: float = 0.0
    output: str | None = None
    message: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return asdict(self)


def analyze_sources(
    paths: list[Path],
    output: Path | None = None,
    every: int = 1,
    with_annotation: bool = False,
    with_report: bool = True,
    on_progress: Callable[[str], None] = lambda text: None,
    **options: Any,
) -> list[SourceResult]:
    """Analyse files and folders, each into a folder of its own.

    Args:
        paths: files and folders.
        output: the folder for one source, the parent of their folders for several; None puts `<name>-emoscope` into
            the current folder.
        every: analyse every n-th frame.
        with_annotation: also write the annotated video or pictures.
        with_report: also write the report.
        on_progress: told a line of text now and then, an empty one at the end.
        options: those of Analyzer.
    """
    sources: list[Source] = []
    results: list[SourceResult] = []
    for path in paths:
        try:
            sources += find_sources([path], every)
        except EmoscopeError as e:
            results.append(SourceResult(str(path), "failed", message=str(e)))
    is_single = len(sources) + len(results) == 1
    taken: set[Path] = set()
    for source in sources:
        folder = _choose_folder(source, output, is_single, taken)
        try:
            results.append(_analyze(source, folder, with_annotation, with_report, on_progress, options))
        except EmoscopeError as e:
            results.append(SourceResult(str(source.path), "failed", message=str(e)))
        finally:
            on_progress("")
    return results


def _choose_folder(source: Source, output: Path | None, is_single: bool, taken: set[Path]) -> Path:
    if output is not None and is_single:
        return output
    name = source.path.resolve().stem
    wanted = (output / name) if output else Path(f"{name}-emoscope")
    folder, i = wanted, 1
    while folder in taken:
        i += 1
        folder = wanted.with_name(f"{wanted.name}-{i}")
    taken.add(folder)
    return folder


def _analyze(
    source: Source,
    folder: Path,
    with_annotation: bool,
    with_report: bool,
    on_progress: Callable[[str], None],
    options: dict[str, Any],
) -> SourceResult:
    def tell(result: FrameResult) -> None:
        if source.frames_read % 25 == 1:
            total = f" of {source.frames_announced}" if source.frames_announced else ""
            on_progress(f"{source.path}: frame {source.frames_read}{total}, {len(result.faces)} faces")

    with open_atomic_folder(folder, OUTPUT_NAMES) as temporary:
        analysis = analyze_source(source, temporary, with_annotation=with_annotation, on_frame=tell, **options)
        analysis.write_into(temporary, with_report)
    summary = analysis.summary
    return SourceResult(
        source=str(source.path),
        status=summary["status"],
        frames=summary["frames"],
        faces=summary["faces"],
        people=summary["people_count"],
        coverage=summary["coverage"],
        output=str(folder),
        message=summary["message"],
    )
