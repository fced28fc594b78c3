"""Connections before anyone has said who they are: how many there may be, and for how long a request may be only begun.

Everyone who reaches the address can open connections, so they are bounded here, under the application: a request's head
has a deadline, connections are counted in all and per client, and where there is no room the oldest whose head is not
whole is given up for the new one.
"""

import asyncio
import contextlib
import itertools
import logging
import re
import ssl
import time
from collections import Counter
from collections.abc import Callable, Collection
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any, ClassVar, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S: Final = 25.0
"""How long a request's head may take to arrive, from the connection's begin or, on one that is kept, its first byte."""
HANDSHAKE_S: Final = 10.0
"""The same for the beginning of TLS."""
UNREAD_S: Final = 120.0
"""How long a client may read nothing of an answer that waits for it."""
MAX_CONNECTIONS: Final = 2048
MAX_PER_CLIENT: Final = 256
OTHER_FILES: Final = 128
"""Files that the server needs beside connections: its workers' pipes, the list of jobs, code that is loaded late."""
FILES: Final = 2 * MAX_CONNECTIONS + OTHER_FILES
"""Each connection may have a file of its own open: an upload that arrives, a result that is sent."""
BUSY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 5\r\nContent-Length: 0\r\n"
    b"Cache-Control: no-store\r\n\r\n"
)

Network = IPv4Network | IPv6Network


def raise_file_limit() -> int:
    """Let this process open as many files as its connections need, if the system allows, and return how many it may."""
    try:
        import resource
    except ImportError:
        # Windows has no such limit.
        return FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return FILES if soft == resource.RLIM_INFINITY else soft
    # Some systems allow less than they say.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


class Connections:
    """All connections of a server."""

    def __init__(self, files: int, proxies: Collection[Network] = ()) -> None:
        """Set the limits.

        Args:
            files: how many files the process may open.
            proxies: addresses that many clients share; only the limit in all counts for them.
        """
        self.limit = max(8, min(MAX_CONNECTIONS, (files - OTHER_FILES) // 2))
        self.limit_per_client = min(MAX_PER_CLIENT, max(4, self.limit // 2))
        self.proxies = proxies
        self.n_of: Counter[str] = Counter()
        self.half_open: dict[LimitedProtocol, None] = {}
        """Those that wait for a request's head, the oldest first."""

    def admit(self, connection: "LimitedProtocol") -> bool:
        """Count a new connection; tell whether there is room, which an older one may have been given up for."""
        client = connection.address
        is_full = self.n_of.total() >= self.limit
        is_shared = any(_is_in(client, network) for network in self.proxies)
        has_its_share = not is_shared and self.n_of[client] >= self.limit_per_client
        self.n_of[client] += 1
        if not (is_full or has_its_share):
            return True
        mine = (other for other in self.half_open if other.address == client)
        anyone = iter(self.half_open) if is_full and not has_its_share else iter(())
        oldest = next(itertools.chain(anyone, mine), None)
        if oldest is not None:
            oldest.give_up()
        return oldest is not None

    def release(self, connection: "LimitedProtocol") -> None:
        """Count a connection no longer."""
        self.half_open.pop(connection, None)
        self.n_of[connection.address] -= 1
        if self.n_of[connection.address] <= 0:
            del self.n_of[connection.address]


class LimitedProtocol(H11Protocol):
    """uvicorn's HTTP with deadlines and limits; `limit` makes the class that a server takes."""

    shared: ClassVar[Connections]
    address = ""
    head_timer: asyncio.TimerHandle | None = None
    reading_timer: asyncio.TimerHandle | None = None
    is_counted = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, or refuse to."""
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        self.is_counted = True
        if self.shared.admit(self):
            self._wait_for_head()
        else:
            transport.write(BUSY)
            transport.close()

    def data_received(self, data: bytes) -> None:
        """Take what came; a head that is whole has no deadline any more."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()
        elif self.head_timer is None and not self.transport.is_closing():
            self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        super().connection_lost(exc)
        self._release()

    def on_response_complete(self) -> None:
        """Wait for the next request, which need not come: uvicorn soon closes a connection that is kept in vain."""
        super().on_response_complete()
        if self.conn.their_state is h11.IDLE and self.is_counted:
            self.shared.half_open[self] = None

    def pause_writing(self) -> None:
        """Wait until the client has read something."""
        super().pause_writing()
        if self.reading_timer is None:
            self.reading_timer = self.loop.call_later(UNREAD_S, self.give_up)

    def resume_writing(self) -> None:
        """Go on."""
        super().resume_writing()
        self._stop_timer()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection on; it counts until it ends."""
        super().handle_websocket_upgrade(event)
        self._stop_waiting()
        # Its end is told to the other protocol only.
        protocol: Any = self.transport.get_protocol()
        protocol.connection_lost = self._follow(protocol.connection_lost)

    def give_up(self) -> None:
        """Close without a word: whoever has not said what is wanted gets no answer, and holds no buffer."""
        self.transport.abort()
        # Not when the loop comes to it: its place is taken already.
        self._release()

    def _follow(self, lost: Callable[[Exception | None], None]) -> Callable[[Exception | None], None]:
        def connection_lost(exc: Exception | None) -> None:
            try:
                lost(exc)
            finally:
                self._release()

        return connection_lost

    def _release(self) -> None:
        self._stop_waiting()
        self._stop_timer()
        if self.is_counted:
            self.is_counted = False
            self.shared.release(self)

    def _wait_for_head(self) -> None:
        self.shared.half_open[self] = None
        self.head_timer = self.loop.call_later(HEAD_S, self.give_up)

    def _stop_waiting(self) -> None:
        self.shared.half_open.pop(self, None)
        if self.head_timer is not None:
            self.head_timer.cancel()
            self.head_timer = None

    def _stop_timer(self) -> None:
        if self.reading_timer is not None:
            self.reading_timer.cancel()
            self.reading_timer = None


def limit(connections: Connections) -> type[LimitedProtocol]:
    """Return the class whose objects count among these connections; uvicorn makes one for each."""
    return type("Limited", (LimitedProtocol,), {"shared": connections})


class LimitedLoop(asyncio.SelectorEventLoop):
    """asyncio's loop, where the beginning of TLS has a deadline too, which uvicorn has no option for."""

    async def create_server(self, *args: Any, ssl: ssl.SSLContext | None = None, **options: Any) -> Any:  # type: ignore[override]
        """Listen."""
        if ssl is not None:
            options["ssl_handshake_timeout"] = HANDSHAKE_S
        return await super().create_server(*args, ssl=ssl, **options)


class FewLines(logging.Filter):
    """Lines of one kind, limited: what everyone can cause must not fill a disk."""

    MAX_LINES, PER_S, MAX_KINDS = 5, 60.0, 1000

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.clock = clock
        self.kinds: dict[str, tuple[float, int]] = {}
        """When a kind's time began, and how many lines of it came since then; the oldest first."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether to write a line; the last of its kind for a while, and the first after it, say so."""
        now = self.clock()
        # Numbers, addresses among them, make no new kind.
        kind = f"{record.name} {record.levelno} {re.sub(r'(0x)?[0-9a-f]*[0-9][0-9a-f]*', '#', str(record.msg)[:300])}"
        began, n = self.kinds.get(kind, (now, 0))
        is_new, left_out = now - began >= self.PER_S or n == 0, max(0, n - self.MAX_LINES)
        if is_new:
            # To the end: it is the newest now.
            self.kinds.pop(kind, None)
            began, n = now, 0
            if len(self.kinds) >= self.MAX_KINDS:
                del self.kinds[next(iter(self.kinds))]
        self.kinds[kind] = began, n + 1
        if n >= self.MAX_LINES:
            return False
        note = f"{left_out} more lines of this kind were left out" if is_new and left_out else ""
        if n + 1 == self.MAX_LINES:
            note = f"further lines of this kind are left out for {self.PER_S:.0f} s"
        if note:
            record.msg, record.args = f"{record.getMessage()} ({note})", ()
        return True


def _is_in(address: str, network: Network) -> bool:
    try:
        return ip_address(address) in network
    except ValueError:
        return False
