"""Headers: what a media file says of itself, read without decoding: is it cut off, encrypted, animated, how large.

Decoders are silent about most of this: they give what is there, and a cut file looks like a short one.
"""

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, Literal, TypeVar

T = TypeVar("T")

Kind = Literal["jpeg", "png", "webp", "bmp", "gif", "tiff", "jp2", "psd", "avif", "heic", "mp4", "matroska"]
STILL: Final = frozenset[Kind | None](("jpeg", "png", "webp", "bmp", "tiff", "jp2", "psd", "avif", "heic"))
"""Kinds that hold single pictures; PNG, WebP, AVIF and HEIC hold animations too."""
TILED: Final = frozenset[Kind | None](("avif", "heic"))
"""Kinds whose pictures are put together from tiles."""
_ANIMATED: Final = (b"avis", b"msf1", b"hevc", b"hevx")
"""Major brands of animations among them."""
_STARTS: Final[dict[bytes, Kind]] = {
    b"\xff\xd8\xff": "jpeg",
    b"\x89PNG\r\n\x1a\n": "png",
    b"BM": "bmp",
    b"GIF8": "gif",
    b"II*\0": "tiff",
    b"MM\0*": "tiff",
    b"\0\0\0\x0cjP  ": "jp2",
    b"8BPS": "psd",
    b"\x1a\x45\xdf\xa3": "matroska",
}
_BRANDS: Final[dict[bytes, Kind]] = {
    b"avif": "avif",
    b"avis": "avif",
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "heic"),
}
"""Major brands of the boxes of ISO/IEC 14496-12 that hold pictures (ISO/IEC 23008-12, AVIF 1.1); others hold video."""

MAX_PARTS = 1_000_000
"""Parts of a file that are looked at; only a file made to take long has more."""
BOXES = frozenset(b"ftyp moov mdat free skip wide moof mfra sidx ssix styp uuid meta pnot udta emsg prft pdin".split())
"""Outermost boxes of mp4, mov, m4v and 3gp (ISO/IEC 14496-12); anything else is no box but rubbish behind the last."""
SEGMENT = b"\x18\x53\x80\x67"
"""Number of the element of Matroska and WebM that holds everything (RFC 9559)."""
JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""JPEG markers whose segment holds the picture's size (ITU-T T.81, table B.1)."""


def find_kind(head: bytes) -> Kind | None:
    """Return what a file is by its first 12 bytes or more; None for anything else."""
    if head[:4] == b"RIFF":
        return "webp" if head[8:12] == b"WEBP" else None
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "mp4")
    if head[4:8] in BOXES:
        return "mp4"
    return next((kind for start, kind in _STARTS.items() if head.startswith(start)), None)


def is_cut_off(media: Path | bytes) -> bool:
    """Tell whether a file ends before its structure says; False where its kind is not known or does not say."""
    return _look(media, _find_cut, False)


def is_gif_broken(path: Path) -> bool:
    """Tell whether something that is no part of it stands in a GIF file before its end: decoders stop there."""
    return _look(path, lambda file, _: find_kind(file.read(12)) == "gif" and _walk_gif(file) not in (b"", b";"), False)


def is_encrypted(path: Path) -> bool:
    """Tell whether an mp4 file's video needs a key (Common Encryption, as DRM uses it; ISO/IEC 23001-7)."""
    return _look(path, _find_encryption, False)


def is_animated(path: Path) -> bool:
    """Tell whether a PNG, WebP, AVIF or HEIC file is an animation."""
    return _look(path, _find_animation, False)


def count_pages(media: Path | bytes) -> int:
    """Return how many pictures a TIFF or HEIC file holds, small copies left out; 1 for others."""
    return _look(media, _count_pages, 1)


def find_picture_size(media: Path | bytes) -> tuple[int, int] | None:
    """Return width and height that a PNG, JPEG, WebP or BMP file announces; None for others."""
    return _look(media, _find_size, None)


def _look(media: Path | bytes, question: Callable[[BinaryIO, int], T], otherwise: T) -> T:
    if isinstance(media, bytes):
        return question(io.BytesIO(media), len(media))
    try:
        with media.open("rb") as file:
            return question(file, os.fstat(file.fileno()).st_size)
    except OSError:
        return otherwise


def _find_cut(file: BinaryIO, size: int) -> bool:
    head = file.read(12)
    if head[:4] == b"RIFF":
        return 8 + int.from_bytes(head[4:8], "little") > size
    kind = find_kind(head)
    if kind in ("mp4", "avif", "heic"):
        return _is_mp4_cut(file, size)
    if kind == "matroska":
        return _is_matroska_cut(file, size)
    if kind == "gif":
        return _walk_gif(file) == b""
    if kind == "png":
        return all(part != b"IEND" or start + length > size for part, start, length in _walk_png(file, size))
    return kind == "jpeg" and _is_jpeg_cut(file, size)


def _is_mp4_cut(file: BinaryIO, size: int) -> bool:
    kinds, end = set(), 0
    for kind, start, length in _walk_boxes(file, size):
        kinds.add(kind)
        end = start + length
    # A whole header's worth of something else stands behind the last box.
    if end > size or size - end >= 8:
        return end > size
    # Fragments may follow each other without end, so a piece of a header is the next one's.
    if end < size and b"moof" in kinds:
        return True
    # Cut between two boxes: either the index or the pictures are missing.
    return not (kinds & {b"moov", b"meta"} and kinds & {b"mdat", b"moof"})


def _walk_boxes(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, position and length of each outermost box of an mp4 file; the last one may reach over its end."""
    at = 0
    for _ in range(MAX_PARTS):
        file.seek(at)
        header = file.read(16)
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        elif length == 0:
            length = size - at
        if kind not in BOXES or length < 8:
            return
        yield kind, at, length
        at += length


def _find_encryption(file: BinaryIO, size: int) -> bool:
    for kind, start, length in _walk_boxes(file, size):
        if kind == b"moov":
            file.seek(start)
            # The name of the sample entry that stands for encrypted video, whatever its codec.
            return b"encv" in file.read(min(length, size))
    return False


def _find_animation(file: BinaryIO, size: int) -> bool:
    head = file.read(21)
    if find_kind(head) in TILED:
        return head[8:12] in _ANIMATED
    if find_kind(head) == "webp" and head[12:16] == b"VP8X":
        # A flag of the extended header (RFC 9649, section 2.7).
        return len(head) > 20 and bool(head[20] & 2)
    return any(kind == b"acTL" for kind, _, _ in _walk_png(file, size))


def _count_pages(file: BinaryIO, size: int) -> int:
    """Walk the directories of a TIFF file (TIFF 6.0, section 2), of which each picture has one."""
    head = file.read(12)
    if find_kind(head) == "heic":
        return _count_heic(file)
    if find_kind(head) != "tiff":
        return 1
    order: Literal["little", "big"] = "little" if head[:2] == b"II" else "big"
    at, pages, seen = int.from_bytes(head[4:8], order), 0, set[int]()
    while 0 < at < size and at not in seen and len(seen) < MAX_PARTS:
        seen.add(at)
        file.seek(at)
        n = int.from_bytes(file.read(2), order)
        entries = file.read(12 * n)
        kinds = (entries[i : i + 12] for i in range(0, len(entries) - 11, 12))
        # Tag 254, bit 0: a smaller copy of another picture.
        pages += not any(int.from_bytes(e[:2], order) == 254 and int.from_bytes(e[8:12], order) & 1 for e in kinds)
        at = int.from_bytes(file.read(4), order)
    return max(pages, 1)


def _count_heic(file: BinaryIO) -> int:
    try:
        from pillow_heif import open_heif

        file.seek(0)
        return len(open_heif(file.read(), convert_hdr_to_8bit=False))
    # Whoever decodes it says what is wrong.
    except (ImportError, OSError, SyntaxError, ValueError, EOFError, RuntimeError):
        return 1


def _is_matroska_cut(file: BinaryIO, size: int) -> bool:
    file.seek(4)
    n_head, at = read_number(file, 4)
    if n_head is None:
        return False
    file.seek(at + n_head)
    if file.read(4) != SEGMENT:
        # Not even the head is whole, or something else stands behind it.
        return at + n_head >= size
    length, begin = read_number(file, at + n_head + 4)
    return length is not None and begin + length > size


def read_number(file: BinaryIO, at: int) -> tuple[int | None, int]:
    """Return a length as Matroska writes it (None: it says that it is unknown), and the position behind it."""
    file.seek(at)
    first = file.read(1)
    if not first or first[0] == 0:
        return None, at + 1
    n = 9 - first[0].bit_length()
    rest = file.read(n - 1)
    bits = 7 * n
    value = int.from_bytes(first + rest, "big") & ((1 << bits) - 1)
    return (None if value == (1 << bits) - 1 else value), at + n


def _walk_gif(file: BinaryIO) -> bytes:
    """Walk a GIF's blocks (GIF89a, appendix A); return what is none: trailer, rubbish, or nothing in a cut file."""
    file.seek(10)
    _skip_colours(file)
    file.read(2)
    while True:
        kind = file.read(1)
        if kind == b"\x21":
            file.read(1)
        elif kind == b"\x2c":
            file.read(8)
            _skip_colours(file)
            file.read(1)
        else:
            return kind
        while n := file.read(1):
            if n == b"\0":
                break
            if len(file.read(n[0])) < n[0]:
                return b""


def _skip_colours(file: BinaryIO) -> None:
    """Read a descriptor's flags and go behind the table of colours that they announce."""
    flags = file.read(1)
    if flags and flags[0] & 0x80:
        file.read(3 << (flags[0] & 7) + 1)


def _walk_png(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, position and length of each chunk of a PNG file up to its end chunk."""
    file.seek(0)
    at = 8 if find_kind(file.read(12)) == "png" else size
    for _ in range(MAX_PARTS):
        file.seek(at)
        header = file.read(8)
        if len(header) < 8:
            return
        length = int.from_bytes(header[:4], "big") + 12
        yield header[4:], at, length
        if header[4:] == b"IEND":
            return
        at += length


def _is_jpeg_cut(file: BinaryIO, size: int) -> bool:
    for marker, start, length in _walk_jpeg(file, size):
        if marker == 0xDA:
            # The end marker cannot stand within the picture's data.
            file.seek(start + length)
            return b"\xff\xd9" not in file.read()
    return True


def _walk_jpeg(file: BinaryIO, size: int) -> Iterator[tuple[int, int, int]]:
    """Yield marker, position and length of each segment of a JPEG file up to the picture's data."""
    at = 2
    for _ in range(MAX_PARTS):
        file.seek(at)
        header = file.read(4)
        if len(header) < 4 or header[0] != 0xFF:
            return
        if header[1] == 0xFF:
            # Any number of these may stand before a marker.
            at += 1
            continue
        length = int.from_bytes(header[2:], "big") + 2
        yield header[1], at, length
        if header[1] == 0xDA:
            return
        at += length


def _find_size(file: BinaryIO, size: int) -> tuple[int, int] | None:
    head = file.read(30)
    kind = find_kind(head)
    if kind == "png":
        return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
    if kind == "webp":
        return _find_webp_size(head)
    if kind == "bmp":
        return _find_bmp_size(head)
    if kind != "jpeg":
        return None
    for marker, start, _ in _walk_jpeg(file, size):
        if marker in JPEG_SIZES:
            file.seek(start + 5)
            data = file.read(4)
            return int.from_bytes(data[2:], "big"), int.from_bytes(data[:2], "big")
    return None


def _find_webp_size(head: bytes) -> tuple[int, int] | None:
    """Read the size from a WebP's first chunk (RFC 9649, sections 2.5 to 2.7)."""
    kind, start = head[12:16], head[20:30]
    if len(start) < 10:
        return None
    if kind == b"VP8X":
        return int.from_bytes(start[4:7], "little") + 1, int.from_bytes(start[7:10], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(start[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        # The upper two bits of each ask the viewer to enlarge the picture.
        return int.from_bytes(start[6:8], "little") & 0x3FFF, int.from_bytes(start[8:10], "little") & 0x3FFF
    return None


def _find_bmp_size(head: bytes) -> tuple[int, int] | None:
    """Read the size from a BMP's header; rows from top to bottom have a negative height."""
    if len(head) < 26:
        return None
    if int.from_bytes(head[14:18], "little") == 12:
        return int.from_bytes(head[18:20], "little"), int.from_bytes(head[20:22], "little")
    width, height = (int.from_bytes(head[at : at + 4], "little", signed=True) for at in (18, 22))
    return abs(width), abs(height)
