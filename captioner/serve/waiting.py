"""Await work that another event may cancel."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def unless(end: Coroutine[Any, Any, Any], work: Coroutine[Any, Any, T], error: Exception) -> T:
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
