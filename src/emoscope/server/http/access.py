"""Who may ask: a request's headers in, a refusal or nothing out. Tokens, sessions, Host and Origin, rates."""

import hmac
import logging
import math
import secrets
import time
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.types import Scope

from emoscope.core.errors import InputError
from emoscope.server.http.openapi import COOKIE, OPEN
from emoscope.server.http.problems import create_answer, create_problem
from emoscope.server.server_options import PAGE, ServerOptions, is_loopback

log = logging.getLogger(__name__)

SIGN_IN = PAGE / "sign-in.html"
FORMS = frozenset({"/session", "/session/end"})
OPEN_FOR_SIGN_IN = FORMS | {"/sign-in.css"}
FAILURES = "20/minute"
"""Wrong tokens per client; more are refused and not logged. The right one passes all the same: clients behind one
proxy share an address, and one of them must not lock out the others."""


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
        self.ended: set[str] = set()
        """Sessions that were signed out; only who knew the token can add one."""

    def refuse(self, scope: Scope) -> Response | None:
        """Return the answer that refuses a request, or None where it may pass.

        Args:
            scope: of HTTP or a WebSocket.
        """
        headers: dict[bytes, bytes] = dict(scope["headers"])
        client = get_client(scope)
        is_known = self.token is not None and self._is_known(headers)
        # Counted apart: nobody can use up what those who know the token have.
        if not self.limiter.hit(self.rate, "request", client, str(is_known)):
            return self._answer_rate(self.rate, "requests", "request", client, str(is_known))
        if scope["path"] in OPEN:
            return None
        if self.token is None and not is_own_host(headers.get(b"host", b"")):
            return _refuse(403, "the request names another host, expected this machine's own address; open that")
        if not self._is_own_origin(scope, headers):
            return _refuse(403, "the request comes from the page of another site; open the server's address itself")
        if self.token is None or is_known or scope["path"] in OPEN_FOR_SIGN_IN:
            return None
        return self._refuse_unknown(scope, headers)

    def is_token(self, token: bytes) -> bool:
        """Tell whether a token is the right one, in the same time whatever it is."""
        return self.token is None or hmac.compare_digest(token, self.token)

    def check_sign_in(self, token: str, scope: Scope) -> Response:
        """Answer someone who signs in: a cookie and the page, or the form once more."""
        if not self.is_token(token.encode()):
            return self._refuse_wrong(scope) or FileResponse(SIGN_IN, 401)
        # Relative: a server behind another one may have a longer address.
        answer = RedirectResponse("./", 303)
        is_secure = scope["scheme"] == "https"
        answer.set_cookie(COOKIE, self._create_session(), httponly=True, samesite="strict", secure=is_secure)
        return answer

    def sign_out(self, scope: Scope) -> Response:
        """End the session that a request carries."""
        answer = RedirectResponse("../", 303)
        # Another site's page sends no such cookie, so it can end no session.
        if session := self._find_session(dict(scope["headers"])):
            self.ended.add(session)
            answer.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=scope["scheme"] == "https")
        return answer

    def _is_known(self, headers: dict[bytes, bytes]) -> bool:
        """Tell whether a request carries the token, or the cookie of a session."""
        kind, _, token = headers.get(b"authorization", b"").partition(b" ")
        return (kind.lower() == b"bearer" and self.is_token(token.strip())) or self._find_session(headers) is not None

    def _refuse_unknown(self, scope: Scope, headers: dict[bytes, bytes]) -> Response:
        is_root = scope["type"] == "http" and scope["path"] == "/" and scope["method"] in ("GET", "HEAD")
        if is_root and (given := parse_qs(scope["query_string"].decode("latin-1")).get("token")):
            return self.check_sign_in(given[0], scope)
        if b"authorization" in headers and (refusal := self._refuse_wrong(scope)):
            return refusal
        if is_root:
            return FileResponse(SIGN_IN, 401)
        detail = "a token is needed; send it as `Authorization: Bearer TOKEN`, or sign in at /"
        return create_answer(create_problem(401, detail), {"WWW-Authenticate": "Bearer"})

    def _refuse_wrong(self, scope: Scope) -> Response | None:
        """Count and log a wrong token; return the answer where there were too many."""
        client = get_client(scope)
        if not self.limiter.hit(self.failures, "failure", client):
            return self._answer_rate(self.failures, "wrong tokens", "failure", client)
        log.warning("a wrong token came from %s", client)
        return None

    def _create_session(self) -> str:
        # Not the token itself: a browser's store is not its place.
        return self._sign(secrets.token_hex(16))

    def _sign(self, name: str) -> str:
        return f"{name}.{hmac.digest(self.token or b'', f'emoscope session {name}'.encode(), 'sha256').hex()}"

    def _find_session(self, headers: dict[bytes, bytes]) -> str | None:
        """Return the session whose cookie a request carries, None where it is none of ours or was ended."""
        try:
            found = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1")).get(COOKIE)
        except CookieError:
            return None
        if found is None or self.token is None:
            return None
        name = found.value.partition(".")[0]
        is_ours = hmac.compare_digest(found.value.encode(), self._sign(name).encode())
        return name if is_ours and name not in self.ended else None

    def _is_own_origin(self, scope: Scope, headers: dict[bytes, bytes]) -> bool:
        origin = headers.get(b"origin")
        # A form of a page without referrer has the origin `null`; it carries the token itself, or a strict cookie.
        if origin is None or scope["path"] in FORMS:
            return True
        host = headers.get(b"host", b"").lower()
        scheme = b"https" if scope["scheme"] in ("https", "wss") else b"http"
        if self.token is None:
            return origin.lower() == scheme + b"://" + host
        # Encryption may end in front of this server.
        return origin.lower() in (b"http://" + host, b"https://" + host)

    def _answer_rate(self, item: RateLimitItem, what: str, *key: str) -> Response:
        seconds = max(1, math.ceil(self.limiter.get_window_stats(item, *key).reset_time - time.time()))
        detail = f"more than {item.amount} {what} in {item.get_expiry()} s; try again in {seconds} s"
        return create_answer(create_problem(429, detail), {"Retry-After": str(seconds)})


def get_client(scope: Scope) -> str:
    """Return the address that a request comes from; behind a named proxy, the one that this names."""
    return scope["client"][0] if scope.get("client") else ""


def is_own_host(host: bytes) -> bool:
    """Tell whether a Host header names this machine itself: other names may point here by DNS rebinding."""
    try:
        name = urlsplit(f"//{host.decode('ascii')}").hostname
    except ValueError:
        return False
    return name is not None and is_loopback(name)


def _refuse(status: int, detail: str) -> Response:
    return create_answer(create_problem(status, detail))
