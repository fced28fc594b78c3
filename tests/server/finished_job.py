"""A finished job with several people, laid out in a data folder before a server starts on it."""

from pathlib import Path

from emoscope.core.manifest import Identity
from emoscope.core.owned import open_owned
from emoscope.report import create_report
from recordings import make_summary, make_table, write_faces, write_result

JOB_ID = "0123456789abcdef0123456789abcdef"
NAMES = ("summary.json", "observations.parquet", "report.html", "thumbnails")


def lay_out_job(
    data: Path, job_id: str = JOB_ID, source: str = "talk.mp4", seed: int = 0, model: str | None = None
) -> Path:
    """Three people, the first two of whom are never there together; their faces are kept."""
    table = make_table({1: (0, 8), 2: (9, 20), 3: (2, 18)}, 20, seed=seed)
    summary = make_summary(table, duration_s=20.0, source=source, settings={"model": model} if model else None)
    folder = data / "jobs" / job_id / "result"
    folder.parent.mkdir(parents=True)
    with open_owned(folder, "result", Identity.create_once(source), NAMES) as new:
        write_result(new / "made", table, summary)
        for path in (new / "made").iterdir():
            path.rename(new / path.name)
        (new / "made").rmdir()
        write_faces(new / "thumbnails", 64, [(1, 1.0), (1, 5.0), (2, 12.0), (3, 3.0)])
        (new / "report.html").write_text(create_report(table, summary, new), encoding="utf-8")
    return folder
