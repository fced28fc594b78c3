"""A real server process for tests."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

SHARED = Path(__file__).parents[3] / "shared"
MODELS = SHARED / "models"
WAIT_S = 30
# Not urlopen, which tests may not call: they reach no network but their own server.
OPENER = urllib.request.build_opener()


class Server:
    """A server process that can be killed and started again at its address."""

    def __init__(self, data: Path, *arguments: str) -> None:
        self.data = data
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}/"
        self.command = [sys.executable, "-m", "emoscope", "serve", "--port", str(self.port), "--data", str(data)]
        # Without the fetched detector: the one that is always there.
        self.command += [*([] if MODELS.is_dir() else ["--detector", "own"]), *arguments]
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        # Never the cache of whoever runs the tests: what was fetched there changes the page.
        cache = MODELS if MODELS.is_dir() else self.data.with_name("cache")
        self.process = subprocess.Popen(self.command, env=os.environ | {"EMOSCOPE_CACHE": str(cache)})
        deadline = time.monotonic() + WAIT_S
        while True:
            try:
                with OPENER.open(self.address + "healthz", timeout=5):
                    return
            except OSError:
                assert time.monotonic() < deadline and self.process.poll() is None, "the server does not start"
                time.sleep(0.1)

    def kill(self) -> None:
        """End it without a word."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """End it politely; return its exit code."""
        self.process.terminate()
        return self.process.wait(WAIT_S)
