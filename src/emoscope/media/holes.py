"""Holes: a recording's file in, which of its parts a decoder did not get out.

FFmpeg passes over damaged parts of Matroska and Ogg files, and of the beginning of transport streams, without a word.
"""

import bisect
import os
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from emoscope.core.headers import SEGMENT, read_number

CLUSTER: Final = b"\x1f\x43\xb6\x75"
ENTERED: Final = (SEGMENT, CLUSTER, b"\xa0")
"""Elements of Matroska whose content is looked at: Segment, Cluster, BlockGroup (RFC 9559)."""
BLOCKS: Final = (b"\xa1", b"\xa3")
"""Block and SimpleBlock: a packet, or several of sound."""
PASSED: Final = frozenset((
    0x1A45DFA3, 0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367, 0xEC, 0xBF,
    0xE7, 0x5854, 0xA7, 0xAB, 0xAF, 0xA2, 0x75A1, 0x9B, 0xFA, 0xFB, 0xFD, 0xA4, 0x75A2, 0x8E, 0xC8,
))  # fmt: skip
"""All other elements that may stand there; anything else is rubbish."""
PAGE: Final = b"OggS"
RECENT: Final = 1024
"""Packets among which a hole is looked for: pictures come so many packets of sound and picture later, at most."""
END: Final = 1 << 62
"""The position behind all packets."""
TS_SIZES: Final = 188, 192, 204
"""Bytes of a packet of a transport stream (ISO/IEC 13818-1), with a time before it, with a check behind it."""
SYNC, PADDING = 0x47, 0x1FFF
"""A packet's first byte; the number of those that hold nothing."""
TS_PART: Final = 1 << 16
"""Bytes that are looked at of its beginning and end."""


class Watch:
    """Follows the packets that are read of a file whose parts can be listed."""

    def __init__(self, path: Path, walk: Callable[[BinaryIO], Iterator[int]], is_begin: bool) -> None:
        """Begin with the file, or with the first packet that comes.

        Args:
            path: the file.
            walk: lists the positions at which packets are read, and what is broken.
            is_begin: whether reading begins with the file.
        """
        self.path, self.walk = path, walk
        self._recent: deque[int] = deque([0] if is_begin else [], RECENT)
        self._parts: list[int] | None = None

    def add(self, position: int) -> None:
        """Take the position of the next packet of any stream, or END."""
        self._recent.append(position)

    def finds_hole(self) -> bool:
        """Say whether the file holds a packet that was not read, among those since this was asked last."""
        if self._parts is None:
            # Only odd files ask; reading all of it takes a second for two hours.
            try:
                with self.path.open("rb") as file:
                    self._parts = list(self.walk(file))
            except OSError:
                self._parts = []
        if not self._recent:
            return False
        begin, end = self._recent[0], self._recent[-1]
        there = self._parts[bisect.bisect_left(self._parts, begin) : bisect.bisect_right(self._parts, end)]
        is_hole = not set(self._recent).issuperset(there)
        self._recent = deque([end], RECENT)
        return is_hole


def create_watch(path: Path, kind: str, is_begin: bool) -> Watch | None:
    """Return what follows a file of FFmpeg's format of this name, None where its parts cannot be listed."""
    walk = walk_blocks if "matroska" in kind else walk_pages if kind == "ogg" else None
    return None if walk is None else Watch(path, walk, is_begin)


def walk_blocks(file: BinaryIO) -> Iterator[int]:
    """Yield where the content of each block of a Matroska file begins, and where its structure is broken."""
    at = 0
    while True:
        file.seek(at)
        head = file.read(4)
        if not head:
            return
        name = head[: 9 - head[0].bit_length()]
        length, start = read_number(file, at + len(name))
        if name in ENTERED:
            at = start
        elif length is not None and (name in BLOCKS or int.from_bytes(name, "big") in PASSED):
            if name in BLOCKS:
                yield start
            at = start + length
        else:
            yield at
            found = _find_on(file, at + 1, CLUSTER)
            if found is None:
                return
            at = found


def walk_pages(file: BinaryIO) -> Iterator[int]:
    """Yield where each page of an Ogg file begins in which a packet begins (RFC 3533), and where it is broken."""
    at = 0
    while True:
        file.seek(at)
        head = file.read(27)
        if len(head) < 27:
            return
        sizes = file.read(head[26])
        is_page = head.startswith(PAGE)
        # A packet ends in the page, and either begins there too or is not the only one.
        begins = not head[5] & 1 or sum(size < 255 for size in sizes) > 1
        if not is_page or (begins and head[6:14] not in (bytes(8), b"\xff" * 8)):
            yield at
        found = at + 27 + len(sizes) + sum(sizes) if is_page else _find_on(file, at + 1, PAGE)
        if found is None:
            return
        at = found


def _find_on(file: BinaryIO, at: int, what: bytes) -> int | None:
    """Return where something is found next in a file."""
    while True:
        file.seek(at)
        part = file.read(TS_PART)
        found = part.find(what)
        if found >= 0:
            return at + found
        if len(part) < TS_PART:
            return None
        at += TS_PART - len(what) + 1


def is_ts_broken(path: Path, at_end: bool = False) -> bool:
    """Say whether packets are missing or spoilt in the beginning of a transport stream, or spoilt in its end."""
    try:
        with path.open("rb") as file:
            file.seek(max(os.fstat(file.fileno()).st_size - TS_PART, 0) if at_end else 0)
            data = file.read(TS_PART)
    except OSError:
        return False
    starts = [(n, first) for n in TS_SIZES for first in range(n) if data[first : first + 1] == bytes([SYNC])]
    size, first = max(starts, key=lambda start: data[start[1] :: start[0]].count(SYNC), default=(TS_SIZES[0], 0))
    counters: dict[int, int] = {}
    for at in range(first, len(data) - size + 1, size):
        sync, high, low, flags = data[at : at + 4]
        pid, counter = (high & 0x1F) << 8 | low, flags & 15
        before = counters.get(pid, counter)
        # Padding is not counted; streams may say that they are counted anew; a packet may stand there twice.
        is_counted = pid != PADDING and not (flags & 0x20 and data[at + 4] and data[at + 5] & 0x80)
        is_missing = is_counted and counter not in (before, (before + (flags >> 4 & 1)) & 15)
        # In the end nothing else tells recordings that were put one behind the other from missing packets.
        is_spoilt = (sync != SYNC or high & 0x80) and any(data[at : at + size])
        if is_spoilt or (is_missing and not at_end):
            return True
        counters[pid] = counter
    return False
