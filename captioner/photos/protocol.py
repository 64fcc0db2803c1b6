"""Messages between processes over a pipe: one letter for the kind, a length, JSON."""

import json
import struct
from typing import Any, BinaryIO

_HEAD = struct.Struct("<cI")


def send(pipe: BinaryIO, kind: bytes, **values: Any) -> None:
    """Write a message.

    Raises:
        OSError: nobody reads it.
    """
    body = json.dumps(values).encode()
    pipe.write(_HEAD.pack(kind, len(body)) + body)
    pipe.flush()


def receive(pipe: BinaryIO) -> tuple[bytes, dict[str, Any]]:
    """Read a message: its kind and its values.

    Raises:
        EOFError: the other process has ended.
    """
    kind, length = _HEAD.unpack(exactly(pipe, _HEAD.size))
    return kind, json.loads(exactly(pipe, length))


def exactly(pipe: BinaryIO, count: int) -> bytes:
    """Read exactly `count` bytes.

    Raises:
        EOFError: the other process has ended.
    """
    content = pipe.read(count)
    if len(content) < count:
        raise EOFError
    return content


def fill(pipe: BinaryIO, buffer: memoryview) -> None:
    """Read bytes until a buffer is full.

    Raises:
        EOFError: the other process has ended.
    """
    filled = 0
    while filled < len(buffer):
        count = pipe.readinto(buffer[filled:])  # type: ignore[attr-defined]
        if not count:
            raise EOFError
        filled += count
