"""A request's photo, read into memory within bounds. Nothing of it touches the disk."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from python_multipart.exceptions import FormParserError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from captioner.serve.limits import ApiError, Limits

AROUND = 10_000
"""Bytes that a form may have besides the photo."""


class Memory:
    """The memory that all uploads share. It belongs to one event loop."""

    def __init__(self, limit: int) -> None:
        self.limit, self.held = limit, 0

    @contextmanager
    def share(self) -> Iterator["Share"]:
        """Yield the share of a request, and release it at the end."""
        share = Share(self)
        try:
            yield share
        finally:
            self.held -= share.held


class Share:
    """The share of a request."""

    def __init__(self, memory: Memory) -> None:
        self._memory, self.held = memory, 0

    def take(self, count: int) -> None:
        """Add bytes to the share.

        Raises:
            ApiError: all requests together would hold too much.
        """
        if self._memory.held + count > self._memory.limit:
            raise ApiError(503, "memory_full", "too many photos at once; try again in a moment", again=2)
        self._memory.held += count
        self.held += count


class Upload(NamedTuple):
    """A photo's file, and the names and values of the other fields of its form."""

    content: bytes
    fields: list[tuple[str, str]]


async def read_upload(request: Request, limits: Limits, share: Share) -> Upload:
    """Read the file of a request: the body itself, or the one file of a multipart form, whatever its field is named.

    Too large a body is refused as soon as that is known: by its Content-Length, or at the byte that is too many.

    Raises:
        ApiError: the body is too large, too slow, empty, or a broken form.
        ClientDisconnect: the client has gone.
    """
    is_form = request.headers.get("content-type", "").lower().startswith("multipart/")
    most = limits.photo_bytes + (AROUND if is_form else 0)
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > most:
        raise too_large(limits)
    body = _bounded(request, limits, share, most)
    try:
        async with asyncio.timeout(limits.upload):
            if is_form:
                upload = await _from_form(request, body)
            else:
                upload = Upload(b"".join([chunk async for chunk in body]), [])
    except TimeoutError:
        raise ApiError(408, "too_slow", f"the upload took longer than {limits.upload:g} seconds") from None
    if not upload.content:
        message = "the request has no photo: expected the bytes of a file, or a form with a file"
        raise ApiError(400, "no_photo", message)
    if len(upload.content) > limits.photo_bytes:
        raise too_large(limits)
    return upload


def too_large(limits: Limits) -> ApiError:
    """Say that a file has too many bytes."""
    return ApiError(413, "too_large", f"the file is larger than {limits.photo_bytes / 1e6:g} MB; make it smaller")


async def _bounded(request: Request, limits: Limits, share: Share, most: int) -> AsyncGenerator[bytes, None]:
    chunks = aiter(request.stream())
    count = 0
    while True:
        try:
            async with asyncio.timeout(limits.silence):  # Python 3.11's wait_for can lose the end of the whole upload
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise ApiError(408, "too_slow", f"the upload stood still for {limits.silence:g} seconds") from None
        count += len(chunk)
        if count > most:
            raise too_large(limits)
        share.take(len(chunk))
        yield chunk


class _InMemory(MultiPartParser):
    spool_max_size = 1 << 62  # else files of 1 MB go to the disk


async def _from_form(request: Request, body: AsyncGenerator[bytes, None]) -> Upload:
    try:
        form = await _InMemory(request.headers, body, max_files=1, max_fields=20, max_part_size=AROUND).parse()
    except (
        MultiPartException,
        FormParserError,
        UnicodeError,
        LookupError,
    ) as error:  # no such encoding, or none at all
        message = error.message if isinstance(error, MultiPartException) else str(error)
        raise ApiError(400, "broken_form", f"the form cannot be read: {message}") from None
    files = [value for value in form.values() if isinstance(value, UploadFile)]
    fields = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
    return Upload(await files[0].read() if files else b"", fields)
