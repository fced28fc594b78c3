"""Worker processes: a task in, an async stream of the worker's reports out."""

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from emoscope.server.jobs.worker import Report, Task

END_S = 20.0
"""How long a worker may take to end after its last report."""
WORKER = (sys.executable, "-P", "-m", "emoscope.server.jobs.worker")


@contextlib.asynccontextmanager
async def open_worker(folder: Path, task: Task) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start a worker on a task; it is gone when the block ends."""
    pipe = asyncio.subprocess.PIPE
    # In a session of its own: Ctrl-C is for the server, which then stops its workers.
    process = await asyncio.create_subprocess_exec(*WORKER, cwd=folder, stdin=pipe, stdout=pipe, start_new_session=True)
    try:
        assert process.stdin is not None
        # It may be dead already; its exit code will tell.
        with contextlib.suppress(ConnectionError):
            process.stdin.write(json.dumps(task).encode() + b"\n")
            await process.stdin.drain()
        yield process
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), END_S)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await asyncio.shield(process.wait())


async def read_reports(process: asyncio.subprocess.Process) -> AsyncIterator[Report]:
    """Yield what a worker reports until it closes its end."""
    assert process.stdout is not None
    async for line in process.stdout:
        # The last line of a process that died may be torn.
        with contextlib.suppress(ValueError):
            yield json.loads(line)


def explain(process: asyncio.subprocess.Process) -> str:
    """Return how a process ended, in words."""
    code = process.returncode or 0
    if code < 0:
        name = signal.strsignal(-code)
        return f"the process ended with signal {-code} ({name})"
    return f"the process ended with code {code}"
