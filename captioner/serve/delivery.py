"""Send responses in pieces, and disconnect clients that do not read them."""

import asyncio

from starlette.types import Message, Send

PIECE = 65_536
"""Bytes that are handed to the connection at once; a slow client keeps so many in this process's memory."""


def with_deadline(send: Send, seconds: float, state: dict) -> Send:
    """Wrap an ASGI `send`: from the first byte on, the client has so many seconds to read the response.

    Args:
        send: of the request.
        seconds: for headers and body together.
        state: the request's `scope["state"]`; its `abort` ends the connection (see `captioner.serve.connection`).
    """
    deadline: float | None = None
    gone = False

    async def send_one(message: Message) -> None:
        nonlocal deadline, gone
        if gone:
            return
        loop = asyncio.get_running_loop()
        deadline = deadline or loop.time() + seconds
        try:
            async with asyncio.timeout_at(deadline):
                await send(message)
        except TimeoutError:
            gone = True
            state["abort"]()
            await asyncio.sleep(0)  # in which uvicorn learns that the client has gone

    async def send_all(message: Message) -> None:
        body = message.get("body", b"")
        if not body:
            await send_one(message)
            return
        for at in range(0, len(body), PIECE):
            await send_one({"type": message["type"], "body": body[at : at + PIECE], "more_body": True})
        if not message.get("more_body", False):  # which waits until the last piece has been taken
            await send_one({"type": message["type"], "body": b"", "more_body": False})

    return send_all
