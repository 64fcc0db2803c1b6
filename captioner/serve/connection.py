"""A uvicorn connection that closes when idle, and reports errors in JSON as the other routes do.

uvicorn has no setting for how long a client may take to send a request's headers, nor a way to abort a connection whose
client does not read. So its class is extended here in places that are not documented, and requirements-serve.txt pins
uvicorn to the version with which that was tested.
"""

import asyncio
import json

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

CONNECTIONS = 500
"""Connections at once; further ones are answered with 503."""


class Connection(H11Protocol):
    """A connection that closes when no new request comes for too long; a single byte would keep uvicorn waiting.

    The application finds two entries in a request's `scope["state"]`: `abort`, a function that drops the connection
    with all that is not yet sent, and `is_surplus`, whether there are more connections than `CONNECTIONS`.
    """

    silence: float
    """Seconds without a request; set by a subclass."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, dict(app_state), _loop)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(0)  # so that a `send` waits until the one before it has left this process
        self.app_state |= {"abort": transport.abort, "is_surplus": len(self.connections) > CONNECTIONS}
        self._wait(None)

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        answered = self.cycle
        super().on_response_complete()  # which may begin with a request that is there already
        self._wait(answered)

    def send_400_response(self, msg: str) -> None:
        """Answer a request that is not HTTP."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):  # an answer is on its way
            self.transport.close()
            return
        body = json.dumps({"error": "the request is not valid HTTP/1.1"}).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Connection", "close")]
        events = (h11.Response(status_code=400, headers=headers, reason="Bad Request"), h11.Data(data=body))
        for event in (*events, h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _wait(self, answered: object) -> None:
        self.loop.call_later(self.silence, self._end_if_silent, answered)

    def _end_if_silent(self, answered: object) -> None:
        if self.cycle is answered:
            self.transport.abort()
