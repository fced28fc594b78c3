"""What a server is started with."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from emoscope.core.errors import InputError

PAGE = Path(__file__).parent / "page" / "static"
"""The files of the page."""
MAX_PICTURE_BYTES = 50_000_000


@dataclass(frozen=True)
class ServerOptions:
    """Limits and places of one server."""

    data: Path
    """The one folder it writes to: uploads, results, the list of jobs."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = 8000
    """Port to listen on."""
    token: str | None = None
    """Secret that every request must carry; needed on any address that is not this machine's own."""
    detector: str = "auto"
    """As in Settings."""
    model: str | Path = "default"
    """As in Settings."""
    device: str = "auto"
    """As in Settings."""
    workers: int = 2
    """Videos analysed at the same time, and processes that read pictures."""
    max_queued: int = 100
    """Jobs that may wait."""
    max_live: int = 8
    """Live connections at the same time."""
    max_live_per_client: int = 6
    """The same of one client, whose tabs leave a place for others."""
    max_upload_bytes: int = 2_000_000_000
    """Largest video; a picture or a live frame may have a hundredth of it, at most 50 MB."""
    max_duration_s: float = 4 * 3600.0
    """Longest video."""
    max_pixels: int = 1 << 26
    """Pixels of a picture."""
    max_video_pixels: int = 1 << 24
    """Pixels of a video's frame, of which a decoder holds many at a time: 5120 x 2880 and a little more."""
    keep_s: float = 7 * 86400.0
    """How long results are kept."""
    rate: str = "200/second"
    """Requests per client, in the notation of the package `limits`."""
    proxies: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()
    """Whose word counts about who the client is."""

    @property
    def max_picture_bytes(self) -> int:
        """Largest picture."""
        return min(self.max_upload_bytes // 100, MAX_PICTURE_BYTES)

    def __post_init__(self) -> None:
        """Check what a careless start would open to others.

        Raises:
            InputError: an address that others can reach, and no token.
        """
        if not self.token and not is_loopback(self.host):
            raise InputError(
                f"others can reach {self.host}, expected a token for that; add --token SECRET, or leave out --host"
            )


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
