"""The server's routes: `POST /caption`, information about the server, and the page."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from captioner import __version__
from captioner.runtime.captioner import Captioner
from captioner.serve.caption_queue import CaptionQueue
from captioner.serve.cors import JSONCORSMiddleware
from captioner.serve.gate import Gate
from captioner.serve.limits import STOPPING, ApiError, Limits
from captioner.serve.metrics import CONTENT_TYPE, Metrics
from captioner.serve.openapi import openapi
from captioner.serve.pages import page_routes
from captioner.serve.refusal import Refusal
from captioner.serve.request_options import read_flag, read_options
from captioner.serve.site import SAFE, Site
from captioner.serve.upload import Memory, read_upload
from captioner.serve.waiting import unless


class App:
    """The application that uvicorn runs.

    Args:
        captioner: describes the photos; it is called from several threads.
        limits: what the server takes on.
        site: its name and place, and who may ask it.

    Attributes:
        paths: all that there are.
    """

    def __init__(self, captioner: Captioner, limits: Limits, site: Site) -> None:
        self._limits, self._site = limits, site
        self._queue, self._memory, self._stopping = (
            CaptionQueue(captioner, limits),
            Memory(limits.held_bytes),
            asyncio.Event(),
        )
        self._metrics = Metrics(
            site.model,
            {
                "queue_length": ("Photos that wait until others are done.", lambda: self._queue.queue_length),
                "photos_in_work": ("Photos that are decoded or captioned.", lambda: self._queue.in_work),
                "upload_bytes": ("Bytes of photos held in memory.", lambda: self._memory.held),
            },
        )
        self._openapi = openapi(limits)
        routes = [
            *page_routes(),
            *(Route(path, self._caption, methods=["POST"]) for path in ("/caption", "/caption/")),
            Route("/health", self._health),
            Route("/metrics", self._tell_metrics),
            Route("/openapi.json", self._describe),
        ]
        app = Starlette(
            routes=routes,
            exception_handlers={HTTPException: self._refuse_path, Exception: self._apologise},
            lifespan=self._lifespan,
        )
        app.router.redirect_slashes = False
        cors = JSONCORSMiddleware(app, site.origins, (*SAFE, "POST"), ("*",), allow_private_network=True)
        self.paths = frozenset(route.path for route in routes)
        self._gate = Gate(cors, site, limits, self._metrics, self.paths, self._refuse)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await self._gate(scope, receive, send)

    def stop(self) -> None:
        """Notify the requests in progress that the server stops."""
        self._stopping.set()
        self._queue.drop()

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(self._queue.close)

    async def _caption(self, request: Request) -> Response:
        stopped = ApiError(503, "stopping", STOPPING)
        with self._memory.share() as share:
            try:
                upload = await unless(self._stopping.wait(), read_upload(request, self._limits, share), stopped)
                attention, pictures = (read_flag(request.query_params, name) for name in ("attention", "pictures"))
                options = read_options([*request.query_params.multi_items(), *upload.fields])
                answer = self._queue.caption(upload.content, attention, pictures, options)
                del upload
                return JSONResponse(await unless(_gone(request), answer, ClientDisconnect()))
            except ApiError as refused:
                return self._refuse(refused)
            except ClientDisconnect:
                return Response(status_code=499)  # which nobody reads
            except asyncio.CancelledError:
                if not self._stopping.is_set():
                    raise
                return self._refuse(stopped)

    async def _health(self, request: Request) -> Response:
        limits = self._limits
        return JSONResponse(
            {
                "status": "ok",
                "model": self._site.model,
                "version": __version__,
                "max_megabytes": limits.photo_bytes / 1e6,
                "max_megapixels": limits.pixels / 1e6,
            }
        )

    async def _tell_metrics(self, request: Request) -> Response:
        return Response(self._metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    async def _describe(self, request: Request) -> Response:
        return JSONResponse(self._openapi)

    def _refuse(self, refused: ApiError) -> Response:
        self._metrics.count_refusal(refused.reason)
        return Refusal(refused, self._stopping)

    async def _refuse_path(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        path = request.scope["path"][:100]
        if error.status_code == 404:
            return self._refuse(ApiError(404, "not_found", f"{path}: not found; /docs lists what there is"))
        methods = ", ".join(sorted((error.headers or {}).get("Allow", "").split(", ")))
        message = f"{path}: expected {methods.replace(', ', ' or ')}, found {request.method[:20]}"
        return self._refuse(ApiError(405, "method", message, headers={"Allow": methods}))

    async def _apologise(self, request: Request, error: Exception) -> Response:
        return self._refuse(ApiError(500, "internal_error", "the server has a bug; its log has the details"))


async def _gone(request: Request) -> None:
    """Wait until the client disconnects; its request has been read to the end."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
