"""Ctrl-C: the first one asks, the second one ends."""

import signal
import subprocess
import sys
import time

STUCK = """
import ctypes
from emoscope.executors.interrupts import stop_on_signals

with stop_on_signals():
    lock, libc = ctypes.create_string_buffer(64), ctypes.CDLL(None)
    libc.pthread_mutex_lock(lock)
    print("stuck", flush=True)
    libc.pthread_mutex_lock(lock)
"""


def test_the_second_one_ends_what_knows_of_no_signals() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STUCK], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "stuck\n"
        process.send_signal(signal.SIGINT)
        time.sleep(1)
        assert process.poll() is None, "the first one asks"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
