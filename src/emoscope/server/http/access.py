"""Who may ask: a request's headers in, a refusal or nothing out. Tokens, sessions, Host and Origin, rates."""

import hashlib
import hmac
import math
import time
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.types import Scope

from emoscope.core.errors import InputError
from emoscope.server.http.openapi import OPEN
from emoscope.server.http.problems import create_answer, create_problem
from emoscope.server.server_options import PAGE, ServerOptions, is_loopback

COOKIE = "emoscope_session"
SIGN_IN = PAGE / "sign-in.html"
OPEN_FOR_SIGN_IN = frozenset({"/session", "/sign-in.css"})
FAILURES = "20/minute"
"""Wrong tokens per client: a short token cannot be found by trying."""


class Access:
    """Decides about requests."""

    def __init__(self, options: ServerOptions) -> None:
        """Prepare the checks.

        Raises:
            InputError: the rate is none.
        """
        self.token = options.token.encode() if options.token else None
        try:
            self.rate, self.failures = parse(options.rate), parse(FAILURES)
        except ValueError as e:
            raise InputError(f"{options.rate!r} is no rate; expected such as 200/second or 1000/minute") from e
        self.limiter = MovingWindowRateLimiter(MemoryStorage())

    def refuse(self, scope: Scope) -> Response | None:
        """Return the answer that refuses a request, or None where it may pass.

        Args:
            scope: of HTTP or a WebSocket.
        """
        headers: dict[bytes, bytes] = dict(scope["headers"])
        client = scope["client"][0] if scope.get("client") else ""
        if not self.limiter.hit(self.rate, "request", client):
            return self._answer_rate("request", client)
        if scope["path"] in OPEN:
            return None
        if self.token is None and not is_own_host(headers.get(b"host", b"")):
            return _refuse(403, "the request names another host, expected this machine's own address; open that")
        if not self._is_own_origin(scope, headers):
            return _refuse(403, "the request comes from the page of another site; open the server's address itself")
        if self.token is None or scope["path"] in OPEN_FOR_SIGN_IN:
            return None
        return self._check_token(scope, headers, client)

    def is_token(self, token: bytes) -> bool:
        """Tell whether a token is the right one, in the same time whatever it is."""
        return self.token is None or hmac.compare_digest(token, self.token)

    def check_sign_in(self, token: str, scope: Scope) -> Response:
        """Answer someone who signs in: a cookie and the page, or the form once more."""
        client = scope["client"][0] if scope.get("client") else ""
        if not self.limiter.test(self.failures, "failure", client):
            return self._answer_rate("failure", client)
        if not self.is_token(token.encode()):
            self.limiter.hit(self.failures, "failure", client)
            return FileResponse(SIGN_IN, 401)
        # Relative: a server behind another one may have a longer address.
        answer = RedirectResponse("./", 303)
        is_secure = scope["scheme"] == "https"
        answer.set_cookie(COOKIE, self._create_session(), httponly=True, samesite="strict", secure=is_secure)
        return answer

    def _check_token(self, scope: Scope, headers: dict[bytes, bytes], client: str) -> Response | None:
        kind, _, token = headers.get(b"authorization", b"").partition(b" ")
        is_root = scope["type"] == "http" and scope["path"] == "/" and scope["method"] in ("GET", "HEAD")
        if is_root and (given := parse_qs(scope["query_string"].decode("latin-1")).get("token")):
            return self.check_sign_in(given[0], scope)
        if not self.limiter.test(self.failures, "failure", client):
            return self._answer_rate("failure", client)
        if kind.lower() == b"bearer":
            if self.is_token(token.strip()):
                return None
            self.limiter.hit(self.failures, "failure", client)
        if self._is_session(headers.get(b"cookie", b"")):
            return None
        if is_root:
            return FileResponse(SIGN_IN, 401)
        detail = "a token is needed; send it as `Authorization: Bearer TOKEN`, or sign in at /"
        return create_answer(create_problem(401, detail), {"WWW-Authenticate": "Bearer"})

    def _create_session(self) -> str:
        # Not the token itself: a browser's store is not its place.
        return hmac.new(self.token or b"", b"emoscope session", hashlib.sha256).hexdigest()

    def _is_session(self, cookie: bytes) -> bool:
        try:
            found = SimpleCookie(cookie.decode("latin-1")).get(COOKIE)
        except CookieError:
            return False
        return found is not None and hmac.compare_digest(found.value.encode(), self._create_session().encode())

    def _is_own_origin(self, scope: Scope, headers: dict[bytes, bytes]) -> bool:
        origin = headers.get(b"origin")
        # A form of a page without referrer has the origin `null`; the form carries the token itself.
        if origin is None or scope["path"] == "/session":
            return True
        host = headers.get(b"host", b"").lower()
        scheme = b"https" if scope["scheme"] in ("https", "wss") else b"http"
        if self.token is None:
            return origin.lower() == scheme + b"://" + host
        # Encryption may end in front of this server.
        return origin.lower() in (b"http://" + host, b"https://" + host)

    def _answer_rate(self, kind: str, client: str) -> Response:
        item = self.rate if kind == "request" else self.failures
        seconds = max(1, math.ceil(self.limiter.get_window_stats(item, kind, client).reset_time - time.time()))
        what = "requests" if kind == "request" else "wrong tokens"
        detail = f"more than {item.amount} {what} in {item.get_expiry()} s; try again in {seconds} s"
        return create_answer(create_problem(429, detail), {"Retry-After": str(seconds)})


def is_own_host(host: bytes) -> bool:
    """Tell whether a Host header names this machine itself: other names may point here by DNS rebinding."""
    try:
        name = urlsplit(f"//{host.decode('ascii')}").hostname
    except ValueError:
        return False
    return name is not None and is_loopback(name)


def _refuse(status: int, detail: str) -> Response:
    return create_answer(create_problem(status, detail))
