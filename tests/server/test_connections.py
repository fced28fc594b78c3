"""Connections that say nothing, and lines of a log."""

import asyncio
import contextlib
import ipaddress
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn

from emoscope.server.http import connections
from emoscope.server.http.connections import Connections, FewLines, LimitedLoop, limit
from emoscope.server.http.places import Places

HALF = b"GET / HTTP/1.1\r\nHost: x\r\n"


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the client's address; a WebSocket is accepted and then ended by the client."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
    await send({"type": "http.response.body", "body": scope["client"][0].encode()[:9].ljust(9)})


@contextlib.asynccontextmanager
async def serve(shared: Connections) -> AsyncIterator[int]:
    """Run uvicorn with these limits; yield its port."""
    config = uvicorn.Config(
        answer,
        port=0,
        http=limit(shared),
        lifespan="off",
        log_config=None,
        proxy_headers=bool(shared.proxies),
        forwarded_allow_ips=[str(network) for network in shared.proxies],
    )
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[assignment, method-assign]
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await task


async def ask(port: int, head: bytes = HALF + b"\r\n", n: int = 1000) -> bytes:
    """Send one head and return what comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head)
    got = await asyncio.wait_for(reader.read(n), 10)
    writer.close()
    return got


async def is_closed(reader: asyncio.StreamReader) -> bool:
    """Tell whether the server closed a connection."""
    try:
        return await asyncio.wait_for(reader.read(), 10) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


def run(work: Any) -> None:
    with asyncio.Runner(loop_factory=LimitedLoop) as runner:
        runner.run(work)


def test_the_oldest_half_sent_heads_make_room() -> None:
    async def work() -> None:
        shared = Connections(0)
        assert (shared.limit, shared.limit_per_client) == (8, 4)
        async with serve(shared) as port:
            held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
            for _, writer in held:
                writer.write(HALF)
            assert (await ask(port)).startswith(b"HTTP/1.1 200")
            assert all([await is_closed(reader) for reader, _ in held[:16]])
            # The newest were left: they can still be made whole.
            held[-1][1].write(b"\r\n")
            assert (await held[-1][0].read(12)) == b"HTTP/1.1 200"
            for _, writer in held:
                writer.close()
        assert not shared.n_of and not shared.half_open

    run(work())


def test_a_head_has_a_deadline_on_a_kept_connection_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 0.3)

    async def work() -> None:
        async with serve(Connections(1000)) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(HALF + b"\r\n")
            await reader.readuntil(b"127.0.0.1")
            writer.write(HALF)
            other, other_writer = await asyncio.open_connection("127.0.0.1", port)
            assert await is_closed(reader) and await is_closed(other)
            writer.close()
            other_writer.close()

    run(work())


def test_open_sockets_count_until_they_end() -> None:
    upgrade = (
        HALF + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )

    async def work() -> None:
        shared = Connections(0)
        async with serve(shared) as port:
            held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
            for reader, writer in held:
                writer.write(upgrade)
                assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 101")
            # No head to give up for it.
            assert (await ask(port, b"")).startswith(b"HTTP/1.1 503")
            for _, writer in held:
                writer.close()
            while shared.n_of:
                await asyncio.sleep(0.01)
            assert (await ask(port)).startswith(b"HTTP/1.1 200")

    run(work())


def test_a_named_proxy_says_who_the_client_is() -> None:
    head = HALF + b"X-Forwarded-For: 10.1.2.99\r\n\r\n"

    async def work() -> None:
        async with serve(Connections(1000)) as port:
            assert (await ask(port, head)).endswith(b"127.0.0.1")
        shared = Connections(0, (ipaddress.ip_network("127.0.0.0/8"),))
        async with serve(shared) as port:
            assert (await ask(port, head)).endswith(b"10.1.2.99")
            held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(8)]
            await asyncio.sleep(0)
            assert (await ask(port, head)).endswith(b"10.1.2.99")
            for _, writer in held:
                writer.close()

    run(work())


def test_few_lines_of_one_kind() -> None:
    now = 0.0
    few = FewLines(lambda: now)

    def write(text: str, *values: object) -> str | None:
        record = logging.LogRecord("asyncio", logging.ERROR, "", 0, text, values, None)
        return record.getMessage() if few.filter(record) else None

    lines = [write(f"no file at 0x7f{i:x} for %s", i) for i in range(100)]
    assert [line is not None for line in lines] == [True] * 5 + [False] * 95
    assert lines[0] == "no file at 0x7f0 for 0"
    assert lines[4] == "no file at 0x7f4 for 4 (further lines of this kind are left out for 60 s)"
    assert write("another matter") == "another matter"
    now = 61.0
    assert write("no file at 0x7f for %s", 1) == "no file at 0x7f for 1 (95 more lines of this kind were left out)"
    assert write("no file at 0x7f for %s", 2) == "no file at 0x7f for 2"


def test_places_are_shared_and_given_back() -> None:
    places = Places(3, 2)
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(places.hold(client)) for client in ("a", "a", "a", "b", "c")]
        assert held == [True, True, False, True, False]
    assert not places.n_of
