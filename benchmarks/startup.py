"""Time a new process: `import emoscope` and `emoscope --help` against `python -c pass`. Bar: at most 0.4 s more."""

import statistics
import subprocess
import sys
import time

from common import create_parser, write_result

COMMANDS = {"pass": ["-c", "pass"], "import": ["-c", "import emoscope"], "help": ["-m", "emoscope", "--help"]}


def main() -> None:
    parser = create_parser(__doc__)
    parser.add_argument("--repeats", type=int, default=9)
    arguments = parser.parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    # In turns: a slow minute of the machine then hits all alike.
    for _ in range(arguments.repeats):
        for name, command in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, *command], stdout=subprocess.DEVNULL, check=True)
            seconds[name].append(time.perf_counter() - start)
    medians = {name: round(statistics.median(values), 3) for name, values in seconds.items()}
    extra = {name: round(medians[name] - medians["pass"], 3) for name in ("import", "help")}
    write_result(
        "startup",
        {"median_s": medians, "extra_s": extra, "bars": {f"{k} <= 0.4 s": v <= 0.4 for k, v in extra.items()}},
    )


if __name__ == "__main__":
    main()
