"""Ask OSV's advisories about every pinned dependency: a known vulnerability fails, no connection is only said."""

import json
import subprocess
import sys
from pathlib import Path

CONSTRAINTS = Path(__file__).parent.parent / "constraints.txt"
COMMAND = (
    "--no-deps",
    "--disable-pip",
    "--vulnerability-service",
    "osv",
    "--timeout",
    "10",
    "--progress-spinner",
    "off",
)
UNREACHABLE = ("ConnectionError", "ConnectTimeout", "ReadTimeout", "ServiceError")


def main() -> int:
    """Return the exit code."""
    done = subprocess.run(
        [sys.executable, "-m", "pip_audit", "--requirement", str(CONSTRAINTS), *COMMAND, "--format", "json"],
        capture_output=True,
        text=True,
        check=False,
    )
    return judge(done.stdout, done.stderr)


def judge(stdout: str, stderr: str) -> int:
    """Print what pip-audit found and return the exit code.

    Args:
        stdout: its JSON, nothing where it failed.
        stderr: why it failed.
    """
    if not stdout.strip():
        if any(word in stderr for word in UNREACHABLE):
            print("dependencies are NOT audited: the advisory service (OSV) cannot be reached from here")
            return 0
        print(f"pip-audit failed: {(stderr.strip().splitlines() or ['no reason given'])[-1]}")
        return 1
    packages = json.loads(stdout)["dependencies"]
    skipped = [package for package in packages if "skip_reason" in package]
    n_found = 0
    for package in packages:
        for entry in package.get("vulns", []):
            n_found += 1
            versions = ", ".join(entry["fix_versions"]) or "none yet"
            print(f"{package['name']} {package['version']}: {entry['id']}, mended in {versions}")
    print(
        f"{len(packages) - len(skipped)} dependencies audited, {n_found} known vulnerabilities, {len(skipped)} skipped"
    )
    return int(n_found > 0)


if __name__ == "__main__":
    sys.exit(main())
