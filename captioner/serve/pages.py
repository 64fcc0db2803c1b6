"""The files that a browser asks for, read once when the server starts."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

FILES = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/docs": ("docs.html", "text/html"),
    "/samples/cameraman.jpg": ("samples/cameraman.jpg", "image/jpeg"),
    "/samples/coffee.jpg": ("samples/coffee.jpg", "image/jpeg"),
}
"""The file beside this module, and its type, for each path. Nothing else of the disk is served."""


def page_routes() -> list[Route]:
    """Make a route for each file."""
    return [_route(path, *file) for path, file in FILES.items()]


def _route(path: str, name: str, media_type: str) -> Route:
    content = (Path(__file__).parent / name).read_bytes()

    async def give(request: Request) -> Response:
        return Response(content, media_type=media_type)

    return Route(path, give)
