"""Web application of the browse page: JSON of the steps' answers, pictures, and the page's own files.

Handlers that are plain functions run in threads: a query or a decode keeps nobody else waiting.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import datetime
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from vidpipe.browse.gate import Gate
from vidpipe.browse.labelling import Labelling
from vidpipe.errors import ConfigurationError, LeaseHeld, NotFound, TransientError, VidpipeError
from vidpipe.ports import Ports
from vidpipe.steps import browse
from vidpipe.steps.pictures import STILL, STRIP, NoPicture, picture

KINDS = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
STATUS = ((NotFound, 404), (ConfigurationError, 400), (LeaseHeld, 409), (TransientError, 503))
"""HTTP status of an error's class; of others: 500."""
MOST_BYTES = 64 << 10
"""Of what is written in one request: a label is a few."""
DECODERS = 2
"""Pictures made at once; others wait for their turn."""
MOST = 200
"""Rows of one answer."""


def make_app(ports: Ports, labelling: Labelling, token: str) -> ASGIApp:
    """ASGI application of the browse page, behind the token check."""
    pages = _Pages(ports, labelling)
    routes = [
        Route("/api/collections", _read(lambda asked: browse.collections(ports))),
        Route("/api/facets", _read(lambda asked: browse.facets(ports, asked("collection")))),
        Route("/api/videos", _read(pages.videos)),
        Route("/api/video", _read(pages.video)),
        Route("/api/similar", _read(pages.similar)),
        Route("/api/queue", _read(pages.queue)),
        Route("/api/state", _read(lambda asked: labelling.state())),
        Route("/api/label", _write(pages.label), methods=["POST"]),
        Route("/api/undo", _write(pages.undo), methods=["POST"]),
        Route("/api/write", _write(pages.write), methods=["POST"]),
        Route("/picture/{video_id:str}/{kind:str}", pages.picture),
        *(Route(path, _constant(body, kind)) for path, body, kind in _own_files()),
    ]
    return Gate(Starlette(routes=routes), token)


class _Asked:
    """Parameters of a request by name; calling it demands one."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.given = given

    def __call__(self, name: str) -> str:
        value = self.given.get(name)
        if not isinstance(value, str) or not value:
            raise ConfigurationError(f"{name} is missing.")
        return value

    def number(self, name: str, default: int) -> int:
        text = str(self.given.get(name, default))
        if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MOST:
            raise ConfigurationError(f"{name} is a number from 1 to {MOST}; got {text[:40]!r}.")
        return int(text)


class _Pages:
    """Handlers that need the ports."""

    def __init__(self, ports: Ports, labelling: Labelling) -> None:
        self._ports, self._labelling = ports, labelling
        self._decoders = threading.BoundedSemaphore(DECODERS)

    def videos(self, asked: _Asked) -> Any:
        given = dict(asked.given)
        after, most = given.pop("after", None), asked.number("most", browse.PAGE)
        given.pop("most", None)
        return browse.page(self._ports, browse.Filters.of(given), after, most)

    def video(self, asked: _Asked) -> Any:
        return browse.video(self._ports, asked("video_id"), asked.given.get("collection"))

    def similar(self, asked: _Asked) -> Any:
        most = asked.number("most", 12)
        return browse.similar_to(self._ports, asked("video_id"), asked.given.get("collection"), most)

    def queue(self, asked: _Asked) -> Any:
        return browse.next_to_label(self._ports, asked("collection"), asked.number("most", 50))

    def label(self, asked: _Asked) -> Any:
        label, is_new = self._labelling.give(asked("collection"), asked("video_id"), asked("label"))
        return {"label": label, "is_new": is_new, **self._labelling.state()}

    def undo(self, asked: _Asked) -> Any:  # noqa: ARG002  (every handler's signature)
        undone, found = self._labelling.undo(), None
        if undone:
            now = browse.video(self._ports, undone.video_id, undone.collection)
            named = ("video_id", "path", "known_label", "is_waiting")
            found = {"label": undone.label, **{name: now[name] for name in named}}
        return {"undone": found, **self._labelling.state()}

    def write(self, asked: _Asked) -> Any:  # noqa: ARG002
        return {"written": self._labelling.write(), **self._labelling.state()}

    def picture(self, request: Request) -> Response:
        video_id, kind = request.path_params["video_id"], request.path_params["kind"]
        if kind not in (STILL, STRIP) or not video_id.isalnum() or not video_id.isascii():
            return Response(status_code=404)
        try:
            jpeg = self._ports.pictures.get(video_id, kind)
            if jpeg is None:
                with self._decoders:
                    jpeg = picture(self._ports, video_id, kind)
        except NoPicture as why:
            return _json({"error": {"class": "NoPicture", "message": str(why), "next": ""}}, 404)
        return Response(jpeg, media_type="image/jpeg")


# -- requests and answers ------------------------------------------------------------------------


def _read(answer: Callable[[_Asked], Any]) -> Callable[[Request], Response]:
    """Handler of a GET whose parameters stand in the address."""

    def handle(request: Request) -> Response:
        return _answered(answer, dict(request.query_params))

    return handle


def _write(answer: Callable[[_Asked], Any]) -> Callable[[Request], Any]:
    """Handler of a POST whose parameters are a JSON object."""

    async def handle(request: Request) -> Response:
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BYTES:
                return Response(status_code=413)
        try:
            given = json.loads(body or b"{}")
        except ValueError:
            given = None
        if not isinstance(given, dict):
            return Response("a JSON object is expected\n", 400)
        return await run_in_threadpool(_answered, answer, given)

    return handle


def _answered(answer: Callable[[_Asked], Any], given: dict[str, Any]) -> Response:
    try:
        return _json(answer(_Asked(given)))
    except VidpipeError as error:
        status = next((code for kind, code in STATUS if isinstance(error, kind)), 500)
        said = {"class": type(error).__name__, "message": error.message, "next": error.next_step}
        return _json({"error": said}, status)


def _json(value: Any, status: int = 200) -> Response:
    text = json.dumps(value, default=_plain)
    return Response(text, status, media_type="application/json")


def _plain(value: Any) -> str:
    return value.isoformat(sep=" ", timespec="seconds") if isinstance(value, datetime) else str(value)


def _constant(body: bytes, kind: str) -> Callable[[Request], Response]:
    return lambda request: Response(body, media_type=kind)


def _own_files() -> list[tuple[str, bytes, str]]:
    """Path, bytes and media type of the page's own files."""
    found = []
    for file in files("vidpipe.browse").joinpath("pages").iterdir():
        path = "/" if file.name == "index.html" else f"/{file.name}"
        found.append((path, file.read_bytes(), KINDS[file.name.rpartition(".")[2]]))
    return found
