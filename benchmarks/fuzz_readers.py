"""Read thousands of mutated files of every kind that emoscope reads beside media.

Each file is read in this process, as the command line reads it. Failures: an error that is not EmoscopeError (exit code
1), a message of more than a line or 2,000 letters, or more than 20 s. A finding is made again by
`--seed SEED --only KIND:NUMBER`, which also keeps the files.
"""

import functools
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np

from common import ROOT, create_parser, write_result

HANG_S, MAX_LETTERS = 20.0, 2000
PIECES = (
    *(b"NaN", b"-1", b"1e999", b"null", b"[]", b"{}", b'"\\u001b[31m"', b"true", b"9" * 5000, b"[" * 3000, b"0.5"),
    *(b'"', b",", b"\n", b"\r\n", b"\0", b"\xff\xfe", b"\xed\xa0\x80", b": ", b"- ", b"&a [*a]", b"!!python/object:os"),
    *(
        b"'",
        b"<script>",
        b"../../etc/passwd",
        b"-",
        b"1:99",
        b";",
        b"\t",
        b"\x1b]0;x\x07",
        b"A" * 20000,
        b"{1: {2: 3}}",
    ),
    *(b"2026-11-28", b"Infinity", b"-0", b"0x10", b"1_000", b"\xe2\x80\xae"),
)
"""What is put in the place of something."""
Values = dict[str, Any]


class Reader(NamedTuple):
    """What reads a folder in which one file was changed."""

    files: tuple[str, ...]
    """Names of those that are changed in turn."""
    read: Callable[[Path], object]


def mutate(data: bytes, chance: random.Random) -> bytes:
    """Return a file changed at some places, cut off, or with a part of it twice; JSON also by its values."""
    if data[:1] == b"{" and chance.random() < 0.5:
        values = json.loads(data)
        for _ in range(chance.randint(1, 3)):
            _mutate_value(values, chance)
        return json.dumps(values).encode()
    for _ in range(chance.randint(1, 3)):
        begin = chance.randrange(len(data) + 1)
        end = min(len(data), begin + chance.choice([0, 1, 1, 5, 30]))
        what = chance.randrange(6)
        if what == 0:
            data = data[:begin]
        elif what == 1:
            data = data[:begin] + data[max(0, begin - 200) : begin] + data[begin:]
        elif what == 2 and begin < len(data):
            data = data[:begin] + bytes([data[begin] ^ 1 << chance.randrange(8)]) + data[begin + 1 :]
        else:
            data = data[:begin] + chance.choice([*PIECES, bytes([chance.randrange(256)])]) + data[end:]
    return data


def _mutate_value(values: Any, chance: random.Random) -> None:
    """Replace one value somewhere in a document, or take it away."""
    while True:
        keys = list(values) if isinstance(values, dict) else list(range(len(values)))
        if not keys:
            return
        key = chance.choice(keys)
        if isinstance(values[key], dict | list) and values[key] and chance.random() < 0.7:
            values = values[key]
            continue
        others = [None, True, -1, 0, 1.5, 1e308, float("nan"), 10**400, "", "x\ny\x1b[31m", [], {}, [[]], "A" * 5000]
        if chance.random() < 0.2:
            del values[key]
        elif isinstance(values, dict) and chance.random() < 0.2:
            values[chance.choice(["\n", "x" * 5000, "__class__", "9"])] = values[key]
        else:
            values[key] = chance.choice(others)
        return


def create_seeds(place: Path) -> dict[str, Reader]:
    """Write one good folder for each kind below a place, and return what reads each."""
    # Each kind's good files are made by the product itself.
    readers = {
        "network": Reader(("spec.json",), _read_network),
        "result": Reader(
            ("summary.json", "emoscope-manifest.json", "observations.parquet", "observations.csv"), _read_result
        ),
        "recording": Reader(("new/recording.json", "new/observations.arrows"), _read_recording),
        "job": Reader(("jobs/{0}/job.json", "jobs/{0}/result/summary.json"), _read_jobs),
        "run": Reader(("run.json", "result.json", "metrics.csv", "split.npz", "validation.npz"), _read_run),
        "study": Reader(("study.json", "results.json"), _read_study),
        "dataset": Reader(("faces.npz",), _read_dataset),
        "pixels": Reader(("faces.csv",), _read_pixels),
        "yaml": Reader(("train.yaml", "study.yaml", "families.yaml", "geometry.yaml"), _read_yaml),
        "events": Reader(EVENTS, _read_events),
        "names": Reader(("name",), _read_names),
    }
    _write_application(place)
    _write_study(place)
    return {
        kind: reader._replace(files=tuple(name.format(JOB) for name in reader.files))
        for kind, reader in readers.items()
    }


JOB = "0123456789abcdef" * 2
EVENTS = ("events.csv", "events.tsv", "bids.tsv", "boris.csv", "a.eaf", "a.TextGrid", "a.boris", "a.json")


def _write_application(place: Path) -> None:
    import cv2

    from emoscope.analysis.one import analyze_source
    from emoscope.analysis.recorder import KIND, OUTPUT_NAMES, STREAM_FILE
    from emoscope.analysis.result_folders import identify
    from emoscope.analysis.settings import Settings
    from emoscope.core.manifest import CUT_OFF
    from emoscope.core.owned import open_owned
    from emoscope.faces.recognize import Recognizer
    from emoscope.media.find import find_sources
    from emoscope.tables.observations import StreamWriter
    from emoscope.tables.summary import Facts
    from mutate import read_portraits

    for i, face in enumerate(read_portraits()):
        (place / "film").mkdir(exist_ok=True, parents=True)
        cv2.imwrite(str(place / "film" / f"{i}.png"), face)
    [source] = find_sources([place / "film"])
    with open_owned(place / "result", KIND, identify(source), OUTPUT_NAMES) as working:
        results: list[Any] = []
        settings = Settings(detector="own", report=False)
        summary = analyze_source(source, working, settings, results.append, "0").summary
    (place / "recording" / "new").mkdir(parents=True)
    facts = {name: getattr(summary, name) for name in Facts.__dataclass_fields__}
    from emoscope.analysis.recorder import note_facts

    note_facts(place / "recording" / "new", Facts(**{**facts, "kind": "live"}))
    assert (place / "recording" / "new" / CUT_OFF).exists()
    with StreamWriter(place / "recording" / "new" / STREAM_FILE) as writer:
        for result in results:
            writer.add(result)
            writer._write()
    job = {"id": JOB, "kind": "video", "name": "a", "state": "finished", "finished": 2.0, "settings": [["every", 2]]}
    shutil.copytree(place / "result", place / "job" / "jobs" / JOB / "result")
    (place / "job" / "jobs" / JOB / "job.json").write_text(json.dumps({**job, "created": 1.0, "frames": 3}))
    (place / "network").mkdir()
    (place / "network" / "spec.json").write_text(Recognizer().spec.to_metadata()["emoscope"])
    (place / "events").mkdir()
    rows = "name,start_s,end_s,note\nAd,0:01,4.5,x\nProduct,5,0:42,y\n"
    (place / "events" / "events.csv").write_text(rows)
    (place / "events" / "events.tsv").write_bytes(b"\xef\xbb\xbf" + rows.replace(",", "\t").encode())
    _write_events_of_other_tools(place / "events")
    (place / "names").mkdir()
    (place / "names" / "name").write_text("=P01 session-a.png")


def _write_study(place: Path) -> None:
    from emoscope.core.files import write_json
    from emoscope.study.data.splits import create_official_split
    from emoscope.study.data.synthetic import create_synthetic
    from emoscope.study.measuring.metrics import compute_metrics
    from emoscope.study.recipes.training import TrainConfig
    from emoscope.study.training.run_name import RECIPE_VERSION, open_run

    dataset = create_synthetic(70, seed=1)
    dataset.save(place / "dataset" / "faces.npz")
    (place / "pixels").mkdir()
    rows = [f"{i},{' '.join(map(str, np.arange(2304) % 256))},{u}" for i, u in ((0, "Training"), (3, "PublicTest"))]
    (place / "pixels" / "faces.csv").write_text("emotion,pixels,Usage\n" + "\n".join(rows) + "\n")
    run = open_run(place, TrainConfig(), create_official_split(dataset), dataset)
    run.folder.rename(place / "run")
    row = {"epoch": 1.0, "size_px": 48.0, "fit_s": 1.0, "validate_s": 1.0, "validation_macro_f1": 0.5}
    (place / "run" / "metrics.csv").write_text(",".join(row) + "\n" + ",".join(map(str, row.values())) + "\n")
    labels = np.arange(7)
    figures = compute_metrics(np.eye(7) * 0.93 + 0.01, labels)
    begun = {"epochs": 1, "best_epoch": 1, "precision": "32-true", "parts_per_batch": 1, "train_s": 1.0}
    write_json(place / "run" / "result.json", {**begun, "validation": figures})
    np.savez(
        place / "run" / "validation.npz", rows=labels, labels=labels, logits_1=np.eye(7, dtype=np.float32)[:, None]
    )
    studies = ROOT / "studies"
    (place / "yaml").mkdir()
    families = next(p for p in sorted(studies.glob("*.yaml")) if "families" in p.read_text())
    plain = next(p for p in sorted(studies.glob("*.yaml")) if "members" in p.read_text())
    shutil.copy(families, place / "yaml" / "families.yaml")
    shutil.copy(plain, place / "yaml" / "study.yaml")
    shutil.copy(sorted((studies / "geometry").glob("*.yaml"))[0], place / "yaml" / "geometry.yaml")
    (place / "yaml" / "train.yaml").write_text(
        "network: compact\nepochs: 40\nsizes_px: [32, 48]\nsize_shares: [0.5, 0.5]"
    )
    from emoscope.study.recipes.families import Comparison
    from emoscope.study.recipes.file import load_yaml

    values = Comparison.from_dict(load_yaml(families)).to_dict()
    write_json(place / "study" / "study.json", {**values, "data_sha256": dataset.sha256, "runs": "runs"})
    empty = {"trials": [{"run": None, "config": {}, "problem": "x"}], "candidates": [], "final": []}
    results = {"name": values["name"], "data_sha256": dataset.sha256, "recipe": RECIPE_VERSION}
    write_json(place / "study" / "results.json", {**results, "families": {next(iter(values["families"])): empty}})


def _read_network(folder: Path) -> object:
    from emoscope.faces.spec import ModelSpec

    text = (folder / "spec.json").read_bytes().decode("utf-8", "surrogateescape")
    return ModelSpec.from_metadata({"emoscope": text})


def _read_result(folder: Path) -> object:
    from emoscope.analysis.one import Analysis
    from emoscope.analysis.result_folder import load_result, reading
    from emoscope.core.manifest import Identity
    from emoscope.core.owned import check_free
    from emoscope.report import create_comparison, create_report
    from emoscope.report.comparison import Recording

    observations, summary = load_result(folder)
    with reading(folder):
        create_report(observations, summary, folder, True)
        create_comparison([Recording(name, str(folder), observations, summary) for name in "ab"])
    check_free(folder, Identity.create_once("x"), ("summary.json",), overwrite=True)
    return repr(Analysis.load(folder))


def _read_recording(folder: Path) -> object:
    from emoscope.analysis.cut_off import finish_files

    return finish_files(folder / "new")


def _read_jobs(folder: Path) -> object:
    from emoscope.server.jobs.store import Store

    Store(folder).close()
    return None


def _read_run(folder: Path) -> object:
    from emoscope.study.data.splits import Split
    from emoscope.study.training.run_folder import load_run

    run = load_run(folder)
    Split.load(folder / "split.npz")
    return run.load_facts(), run.load_result(), run.load_history(), run.load_validation((1,))


def _read_study(folder: Path) -> object:
    from emoscope.study.report.evidence import load_evidence

    return load_evidence(folder)


def _read_dataset(folder: Path) -> object:
    from emoscope.study.data.dataset import Dataset
    from emoscope.study.data.describe import describe_dataset

    return describe_dataset(Dataset.load(folder / "faces.npz"))


def _read_pixels(folder: Path) -> object:
    from emoscope.study.data.importers import import_dataset

    return import_dataset(str(folder / "faces.csv"))


def _read_yaml(folder: Path) -> object:
    """Read the one that was changed; all would take long."""
    from emoscope.core.errors import EmoscopeError
    from emoscope.study.geometry.fit import Recipe
    from emoscope.study.recipes.families import Comparison
    from emoscope.study.recipes.file import load_yaml
    from emoscope.study.recipes.study import StudyConfig
    from emoscope.study.recipes.training import TrainConfig

    kinds: dict[str, Callable[[Path], object]] = {
        "train": TrainConfig.load,
        "study": lambda path: StudyConfig.from_dict(load_yaml(path)),
        "families": lambda path: Comparison.from_dict(load_yaml(path)),
        "geometry": Recipe.load,
    }
    first: EmoscopeError | None = None
    for name, load in kinds.items():
        if (folder / f"{name}.yaml").stat().st_mtime_ns:
            try:
                load(folder / f"{name}.yaml")
            except EmoscopeError as e:
                first = first or e
    if first is not None:
        raise first
    return None


def _write_events_of_other_tools(place: Path) -> None:
    (place / "bids.tsv").write_text("onset\tduration\ttrial_type\n-1\t2\tgo\n3\tn/a\tgo\n4\t1.5\tstop\n")
    head = "Observation id,Source,Subject,Behavior,Behavioral category,Modifiers,Behavior type,Start (s),Stop (s)"
    (place / "boris.csv").write_text(f"{head}\na,a.mp4,Ann,laugh,x,,STATE,1,2.5\nb,b.mp4,Ann,nod,x,,POINT,3,3\n")
    slots = "".join(f'<TIME_SLOT TIME_SLOT_ID="t{i}" TIME_VALUE="{500 * i}"/>' for i in range(3))
    notes = "".join(
        f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a{i}" TIME_SLOT_REF1="t{i}" TIME_SLOT_REF2="t{i + 1}">'
        "<ANNOTATION_VALUE>ad</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>"
        for i in range(2)
    )
    (place / "a.eaf").write_text(
        '<?xml version="1.0" encoding="UTF-8"?><ANNOTATION_DOCUMENT><HEADER TIME_UNITS="milliseconds"/>'
        f'<TIME_ORDER>{slots}</TIME_ORDER><TIER TIER_ID="ads">{notes}</TIER></ANNOTATION_DOCUMENT>'
    )
    grid = '"IntervalTier"\n"ads"\n0\n9\n2\n0\n4\n"ad"\n4\n9\n""\n'
    (place / "a.TextGrid").write_text(
        f'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n9\n<exists>\n1\n{grid}'
    )
    observation = {"file": {"1": ["a.mp4"]}, "events": [[1, "Ann", "laugh", "", ""], [2, "Ann", "laugh", "", ""]]}
    conf = {"0": {"type": "State event", "code": "laugh", "category": "x"}}
    (place / "a.boris").write_text(json.dumps({"behaviors_conf": conf, "observations": {"a": observation}}))
    (place / "a.json").write_text(json.dumps([{"w": "ad", "t": 500, "d": 250}, {"w": "x", "t": None, "d": 3}]))


def _read_events(folder: Path) -> object:
    from emoscope.core.errors import EmoscopeError
    from emoscope.tables.events import load_events

    first: EmoscopeError | None = None
    for name in EVENTS:
        try:
            load_events(folder / name, "name=w,start=t,duration=d,unit=ms" if name.endswith(".json") else None)
        except EmoscopeError as e:
            first = first or e
    if first is not None:
        raise first
    return None


def _read_names(folder: Path) -> object:
    """Analyse a picture of a mutated name; its table and report are as those of any other."""
    from emoscope.analysis.many import analyze_sources
    from emoscope.analysis.settings import Settings
    from emoscope.core.errors import InputError

    data = (folder / "name").read_bytes().replace(b"/", b"").replace(b"\0", b"")[:200] or b"x"
    path = folder / os.fsdecode(data + b".png")
    shutil.copy(folder.parent / "film" / "0.png", path)
    report = int.from_bytes(data[-1:], "big") % 20 == 0
    # Loading the network takes most of the time, and does not know the name.
    _create_analyzer()
    with patch("emoscope.analysis.one.create_analyzer", _keep_analyzer):
        [result] = analyze_sources([path], folder / "out", Settings(detector="own", report=report, max_side_px=64))
    if result.status != "complete":
        raise InputError(str(result.message))
    return None


@functools.cache
def _create_analyzer() -> Any:
    from emoscope.analysis.one import create_analyzer
    from emoscope.analysis.settings import Settings

    return create_analyzer(Settings(detector="own", max_side_px=64), is_video=False)


def _keep_analyzer(*arguments: object, **options: object) -> Any:
    return _create_analyzer()


def read(kind: str, reader: Reader, place: Path, seed: int, number: int) -> Values:
    """Read one changed file in a copy of its folder; return what came of it."""
    from emoscope.core.errors import EmoscopeError
    from emoscope.core.texts import make_printable

    chance = random.Random(f"{seed} {kind} {number}")
    name = reader.files[number % len(reader.files)]
    folder = place / "changed"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(place / kind, folder)
    for path in folder.rglob("*.yaml"):
        os.utime(path, ns=(0, 0))
    changed = mutate((place / kind / name).read_bytes(), chance)
    (folder / name).write_bytes(changed)
    start, said, outcome, finding = time.perf_counter(), "", "read", None
    try:
        reader.read(folder)
    except EmoscopeError as e:
        said, outcome = make_printable(str(e)), "refused"
    except Exception as e:
        outcome, finding = "failed", f"{type(e).__name__}: {e}"[:300]
    seconds = time.perf_counter() - start
    if len(said) > MAX_LETTERS or "\n" in said:
        finding = f"{len(said)} letters, {said.count(chr(10))} line breaks: {said[:200]!r}"
    if seconds > HANG_S:
        finding = f"{seconds:.0f} s"
    return {"number": number, "file": name, "outcome": outcome, "s": seconds, "finding": finding}


def main() -> None:
    parser = create_parser(__doc__)
    parser.add_argument("--count", type=int, default=2000, help="files of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", default="")
    parser.add_argument("--only", metavar="KIND:NUMBER", help="read one file and keep it")
    arguments = parser.parse_args()
    import logging

    logging.getLogger("emoscope").setLevel(logging.CRITICAL)
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("EMOSCOPE_CACHE", folder)
        place = Path(folder)
        readers = create_seeds(place)
        if arguments.only:
            kind, number = arguments.only.split(":")
            print(read(kind, readers[kind], place, arguments.seed, int(number)))
            shutil.copytree(place / "changed", f"fuzz-{arguments.seed}-{kind}-{number}")
            readers[kind].read(place / "changed")
            return
        for kind in arguments.kinds.split(",") if arguments.kinds else readers:
            start = time.perf_counter()
            lines = [read(kind, readers[kind], place, arguments.seed, i) for i in range(arguments.count)]
            results[kind] = {
                "files": len(lines),
                "outcomes": dict(Counter(line["outcome"] for line in lines)),
                "slowest_s": round(max(line["s"] for line in lines), 3),
                "wall_s": round(time.perf_counter() - start, 1),
                "findings": [line for line in lines if line["finding"]],
            }
            print(kind, json.dumps(results[kind])[:3000], file=sys.stderr)
    bars = {"no exit 1, no hang, no long message": not any(r["findings"] for r in results.values())}
    write_result("fuzz_readers", {"files_per_kind": arguments.count, "kinds": results, "bars": bars})
    sys.exit(not all(bars.values()))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
