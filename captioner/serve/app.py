"""The server's answers: `POST /caption`, `GET /health`, and the page."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from types import MappingProxyType
from typing import Any, TypeVar

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from captioner.runtime.captioner import Captioner
from captioner.serve.desk import Desk
from captioner.serve.limits import Limits, Refused
from captioner.serve.page import mount_page
from captioner.serve.upload import Memory, read_photo

T = TypeVar("T")

LINGER, PAUSE = 10.0, 1.0
"""Seconds in which a refused client may go on sending before its connection is closed: in all, and without a byte."""

POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",  # Gradio's page holds its configuration as a script
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "media-src 'self' blob:",
        "frame-ancestors 'self'",
    )
)
"""The browser is told to ask nobody else for anything."""


STOPPING = "the server is stopping"


def make_app(captioner: Captioner, limits: Limits) -> "Gate":
    """Make the application that uvicorn runs.

    Args:
        captioner: describes the photos; it is called from several threads.
        limits: what the server takes on.
    """
    desk, memory, stopping = Desk(captioner, limits), Memory(limits.held_bytes), asyncio.Event()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(desk.close)

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)

    async def caption(request: Request) -> Response:
        attention, pictures = (request.query_params.get(name) in ("1", "true") for name in ("attention", "pictures"))
        with memory.share() as share:
            try:
                content = await _unless(stopping.wait(), read_photo(request, limits, share), Refused(503, STOPPING))
                answer = desk.caption(content, attention, pictures)
                return JSONResponse(await _unless(_gone(request), answer, ClientDisconnect()))
            except Refused as refused:
                return Refusal(refused, stopping)
            except ClientDisconnect:
                return Response(status_code=499)  # which nobody reads
            except asyncio.CancelledError:
                if not stopping.is_set():
                    raise
                return Refusal(Refused(503, STOPPING), stopping)

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def other(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)

    app.add_route("/caption", caption, methods=["POST"])
    app.add_route("/health", health)
    app.add_exception_handler(HTTPException, other)

    def stop() -> None:
        stopping.set()
        desk.drop()

    return Gate(mount_page(app, limits), stopping, stop)


async def _unless(end: Coroutine[Any, Any, Any], work: Coroutine[Any, Any, T], error: Exception) -> T:
    """Await the work, unless `end` comes first: then the work is cancelled, and the error raised."""
    ending, working = asyncio.ensure_future(end), asyncio.ensure_future(work)
    try:
        await asyncio.wait((ending, working), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise error
        return working.result()
    finally:
        ending.cancel()
        working.cancel()
        # An error holds this frame, and the task the error: a circle that would keep a photo until it is collected
        del ending, working


async def _gone(request: Request) -> None:
    """Wait until the client has gone; its request has been read to the end."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


class Refusal(JSONResponse):
    """Says no, and then lets a client that is still sending find that out.

    A connection that is closed on bytes nobody has read is reset, and a client that only reads after it has sent, such
    as a browser, would never see the answer. So what comes after it is read for a while, and thrown away.
    """

    def __init__(self, refused: Refused, stopping: asyncio.Event) -> None:
        self._stopping = stopping
        headers = {"Connection": "close"}
        if refused.again:
            headers["Retry-After"] = str(refused.again)
        super().__init__({"error": str(refused)}, refused.status, headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer, then read on."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        # Who asked whether to send has the answer to that too
        asked_first = (b"expect", b"100-continue") in [(name, value.lower()) for name, value in scope["headers"]]
        if not asked_first:
            with suppress(TimeoutError):
                async with asyncio.timeout(LINGER):
                    await _unless(self._stopping.wait(), _read_out(receive), TimeoutError())
        await send({"type": "http.response.body", "body": b""})


async def _read_out(receive: Receive) -> None:
    while True:
        async with asyncio.timeout(PAUSE):
            message = await receive()
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return


class Gate:
    """Lets through what the page and the endpoint need, and nothing else of Gradio.

    Gradio has routes that take files to the disk, fetch addresses and keep sessions. The page uses none of them:
    whatever is sent here goes to `/caption`.

    Args:
        app: what lies behind.
        stopping: set when the server stops.
        stop: lets the requests that are being answered know.
    """

    OURS = MappingProxyType({"/caption": ("POST",), "/health": ("GET", "HEAD")})
    NOT_NEEDED = ("/gradio_api/", "/proxy=", "/file=", "/file/", "/login", "/svelte/", "/monitoring")

    def __init__(self, app: ASGIApp, stopping: asyncio.Event, stop: Callable[[], None]) -> None:
        self._app, self._stopping, self.stop = app, stopping, stop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = (("content-security-policy", POLICY), ("x-content-type-options", "nosniff"))
                given = [(name.encode(), value.encode()) for name, value in headers]
                message = {**message, "headers": [*message.get("headers", ()), *given]}
            await send(message)

        refused = self._refusal(scope)
        await (Refusal(refused, self._stopping) if refused else self._app)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> Refused | None:
        if scope["type"] != "http":
            return Refused(404, "Not Found")
        path = scope["path"]
        if path.startswith(self.NOT_NEEDED):
            return Refused(404, "Not Found")
        methods = self.OURS.get(path, ("GET", "HEAD"))
        return None if scope["method"] in methods else Refused(405, f"{path}: expected {' or '.join(methods)}")
