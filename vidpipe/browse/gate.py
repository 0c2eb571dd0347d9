"""ASGI middleware that lets only the person in who was given the address, and tells browsers to be strict.

The address holds a random token as its first path segment. A page from elsewhere can neither guess it (CSRF),
nor read it (`no-referrer`), nor reach the server under a name of its own (DNS rebinding). There is no cookie:
browsers would send one to every port of the host.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
"""Host names of this machine; the port may be another one at the near end of an SSH tunnel."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Source: https://www.w3.org/TR/CSP3/; nothing inline, nothing from elsewhere."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
SAFE = frozenset({"GET", "HEAD"})


def new_token() -> str:
    """A random token of 256 bits, as it stands in an address."""
    return secrets.token_urlsafe(32)


class Gate:
    """Middleware that checks host, token and origin, cuts the token off the path, and adds the headers."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":  # no websockets here, and the server starts no lifespan
            return
        headers = Headers(scope=scope)
        inside, rest = self._cut(scope["path"])

        async def strictly(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        if why := _refusal(scope["method"], headers):
            await PlainTextResponse(f"{why}\n", 403)(scope, receive, strictly)
        elif not inside:
            text = "Open the address that vidpipe browse printed: it ends in a token.\n"
            await PlainTextResponse(text, 404)(scope, receive, strictly)
        else:
            path = {"path": rest, "raw_path": rest.encode(), "root_path": ""}
            await self._app({**scope, **path}, receive, strictly)

    def _cut(self, path: str) -> tuple[bool, str]:
        """Whether the path begins with the token, in constant time, and what follows it."""
        segment, slash, rest = path.removeprefix("/").partition("/")
        return secrets.compare_digest(segment.encode(), self._token) and bool(slash), f"/{rest}"


def _refusal(method: str, headers: Headers) -> str:
    """Reason to refuse a request; empty where there is none."""
    if _host_names(headers.getlist("host")) - LOOPBACK or len(headers.getlist("host")) != 1:
        return "This server answers to 127.0.0.1 and localhost only."
    if method in SAFE:
        return ""
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != headers["host"]:
        return "Another page may not write here."
    if headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return "Another page may not write here."
    if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        return "What is written is sent as application/json."
    return ""


def _host_names(hosts: Iterable[str]) -> set[str]:
    try:
        return {urlsplit(f"//{host}").hostname or "" for host in hosts}
    except ValueError:
        return {""}
