"""The guard around the application: access, size and pace of bodies, security headers, faults, counting.

Plain ASGI: Starlette's BaseHTTPMiddleware would copy every body through a queue.
"""

import asyncio
import logging
import time
from typing import Final

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emoscope.server.http.access import Access
from emoscope.server.http.problems import create_answer, create_problem
from emoscope.server.http.prometheus import Metrics
from emoscope.server.server_options import ServerOptions

log = logging.getLogger(__name__)

CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "media-src 'self' blob:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    b"content-security-policy": CSP.encode(),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"permissions-policy": b"camera=(self)",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
}
"""On every answer that has none of its own."""
FORM_BYTES = 1 << 16
"""What a form may have beside its file; also the limit of all other bodies."""
EVENTS_BYTES = 4_000_000
"""What a file of marked segments may have; a day's coding in ELAN is a tenth of it."""
SILENCE_S = 30.0
"""A body of which nothing comes for so long is given up: its connection would be held for ever."""
SLOWEST_BYTES_S = 10_000
"""A body that comes slower than this for longer than SILENCE_S in all is given up too."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
POLICY_VIOLATION = 1008
"""WebSocket close code."""


class Guard:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, options: ServerOptions, access: Access, metrics: Metrics) -> None:
        self.app, self.metrics, self.access = app, metrics, access
        self.limits = {
            "/v1/images": options.max_picture_bytes + FORM_BYTES,
            "/v1/videos": options.max_upload_bytes + FORM_BYTES,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "http":
            await _Exchange(self, scope, receive, send).run()
        elif scope["type"] == "websocket" and self.access.refuse(scope) is not None:
            await receive()
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})
        else:
            scope["access"] = self.access
            await self.app(scope, receive, send)


class _Exchange:
    """One request and its answer."""

    def __init__(self, guard: Guard, scope: Scope, receive: Receive, send: Send) -> None:
        self.guard, self.scope, self._receive, self._send = guard, scope, receive, send
        self.status, self.n_bytes, self.is_whole = 0, 0, False
        self.waited_s = 0.0
        """For the client: what the server itself takes does not count against it."""
        is_marking = scope["path"].endswith("/segments")
        self.limit = guard.limits.get(scope["path"], EVENTS_BYTES if is_marking else FORM_BYTES)

    async def run(self) -> None:
        """Answer."""
        start = time.perf_counter()
        scope = self.scope
        scope["access"] = self.guard.access
        try:
            app: ASGIApp = self.guard.access.refuse(scope) or self._refuse_length() or self.guard.app
            await app(scope, self.receive, self.send)
        # Whatever it was, the client learns no more than that it was not the client's fault.
        except Exception as e:
            # As Python writes it: whoever asked chose the path, line breaks in it too.
            log.error("%s %a failed", scope["method"], scope["path"][:200], exc_info=e)
            if self.status:
                raise
            detail = "the server made a mistake, which its log describes; try again, or report it"
            await create_answer(create_problem(500, detail))(scope, self.receive, self.send)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            method = scope["method"] if scope["method"] in METHODS else "other"
            self.guard.metrics.requests.labels(route, method, str(self.status)).inc()
            self.guard.metrics.request_seconds.labels(route).observe(time.perf_counter() - start)

    async def send(self, message: Message) -> None:
        """Send a part of the answer; headers are completed."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = list(message["headers"])
            present = {name.lower() for name, _ in headers}
            headers += [(name, value) for name, value in HEADERS.items() if name not in present]
            if b"cache-control" not in present:
                is_page = getattr(self.scope.get("route"), "path", "") in ("/", "/{name}")
                headers.append((b"cache-control", b"no-cache" if is_page else b"no-store"))
            message = {**message, "headers": headers}
        await self._send(message)

    async def receive(self) -> Message:
        """Receive a part of the body.

        Raises:
            HTTPException: it is larger than allowed, or nothing came for too long.
        """
        if self.is_whole:
            return await self._receive()
        start, owed_s = time.monotonic(), self.n_bytes / SLOWEST_BYTES_S
        patience_s = min(SILENCE_S, SILENCE_S + owed_s - self.waited_s)
        try:
            async with asyncio.timeout(patience_s):
                message = await self._receive()
        except TimeoutError as e:
            detail = f"nothing came for {SILENCE_S:.0f} s; send the request again"
            if patience_s < SILENCE_S / 2:
                detail = f"less than {SLOWEST_BYTES_S // 1000} kB came in a second; send it over a faster connection"
            raise HTTPException(408, detail, {"Connection": "close"}) from e
        self.waited_s += time.monotonic() - start
        self.n_bytes += len(message.get("body", b""))
        self.is_whole = not message.get("more_body", False)
        if self.n_bytes > self.limit:
            raise HTTPException(413, self._describe_size("more than allowed"), {"Connection": "close"})
        return message

    def _refuse_length(self) -> ASGIApp | None:
        """Return the answer to a body whose announced length is too much: it need not be sent at all."""
        text = dict(self.scope["headers"]).get(b"content-length", b"0")
        if not text.isdigit():
            return create_answer(create_problem(400, "the length of the body is no number; send one"))
        if int(text[:20]) <= self.limit:
            return None
        problem = create_problem(413, self._describe_size(f"{int(text[:20])} bytes"))
        return create_answer(problem, {"Connection": "close"})

    def _describe_size(self, what: str) -> str:
        return f"the request has {what}, expected at most {self.limit} bytes; send a smaller file"
