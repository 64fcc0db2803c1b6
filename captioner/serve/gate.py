"""The checks that every request passes: its path and host, its origin, and its count in the metrics."""

import time
from collections.abc import Callable, Collection

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from captioner.serve.delivery import with_deadline
from captioner.serve.limits import ApiError, Limits
from captioner.serve.metrics import Metrics
from captioner.serve.site import Site

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""The browser runs the page's own script alone, and asks nobody else for anything."""

HEADERS = tuple(
    (name.encode(), value.encode())
    for name, value in (
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cache-control", "no-store"),
    )
)
"""Of every answer."""


class Gate:
    """The outermost ASGI application, which checks every request.

    Args:
        app: what lies behind.
        site: where the server is, and who may ask it.
        limits: the seconds that a client may take to read an answer.
        metrics: counts the requests.
        routes: the paths that there are; the others are counted as one.
        refuse: makes the answer to a request that is refused.
    """

    def __init__(
        self,
        app: ASGIApp,
        site: Site,
        limits: Limits,
        metrics: Metrics,
        routes: Collection[str],
        refuse: Callable[[ApiError], Response],
    ) -> None:
        self._app, self._site, self._limits = app, site, limits
        self._metrics, self._routes, self._refuse = metrics, routes, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or pass it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        begun, status = time.monotonic(), 499
        deliver = with_deadline(send, self._limits.download, scope["state"])

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), *HEADERS]}
            await deliver(message)

        path = self._path(scope["path"])
        scope = {**scope, "path": path, "root_path": ""}
        try:
            await self._answer(scope)(scope, receive, send_with_headers)
        finally:
            route = path.removesuffix("/") or "/"
            route = route if route in self._routes else "other"
            self._metrics.count_request(route, status, time.monotonic() - begun)

    def _path(self, path: str) -> str:
        """Remove the root path if the proxy has left it on; other proxies remove it themselves."""
        root = self._site.root_path
        return path.removeprefix(root) if root and path.startswith(f"{root}/") else path

    def _answer(self, scope: Scope) -> ASGIApp:
        if scope["state"].get("is_surplus"):
            return self._refuse(ApiError(503, "too_many_connections", "too many connections; try again later", again=2))
        refused = self._site.refusal(scope["method"], Headers(scope=scope))
        if refused:
            return self._refuse(refused)
        if scope["path"] == self._site.root_path and scope["method"] in ("GET", "HEAD"):
            return RedirectResponse(f"{scope['path']}/", 308)  # the page's files are beside it
        return self._app
