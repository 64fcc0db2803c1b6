"""The answer to a request that is refused."""

import asyncio
from contextlib import suppress

from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from captioner.serve.limits import ApiError
from captioner.serve.waiting import unless

LINGER, PAUSE = 10.0, 1.0
"""Seconds in which a refused client may go on sending before its connection is closed: in all, and without a byte."""


class Refusal(JSONResponse):
    """A refusal that reads on for a while, so that a client that is still sending can receive it.

    A connection that is closed on bytes nobody has read is reset, and a client that only reads after it has sent, such
    as a browser, would never see the answer. So what comes after it is read for a while, and thrown away.

    Args:
        refused: why.
        stopping: set when the server stops, so that it does not wait for such clients.
    """

    def __init__(self, refused: ApiError, stopping: asyncio.Event) -> None:
        self._stopping = stopping
        headers = {"Connection": "close"} | refused.headers
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
                    await unless(self._stopping.wait(), _read_out(receive), TimeoutError())
        await send({"type": "http.response.body", "body": b""})


async def _read_out(receive: Receive) -> None:
    while True:
        async with asyncio.timeout(PAUSE):
            message = await receive()
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return
