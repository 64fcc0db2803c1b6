"""Responses that scripts of other sites may read, if the server was started with `--allow-origin`."""

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response


class JSONCORSMiddleware(CORSMiddleware):
    """Starlette's CORS middleware, with errors in JSON instead of plain text."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answer a preflight request."""
        response = super().preflight_response(request_headers)
        if response.status_code < 400:
            return response
        headers = {name: value for name, value in response.headers.items() if not name.startswith("content-")}
        return JSONResponse({"error": bytes(response.body).decode()}, response.status_code, headers)
