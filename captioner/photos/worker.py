"""`python -m captioner.photos.worker`: open photos for another process, which may kill this one.

It reads requests from its input and answers on its output (`photos.messages`), until its input ends. Where the system
can, it bounds its own processor time and memory, so that the bounds hold even when nobody watches it any more.
"""

import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from captioner.errors import PhotoError
from captioner.photos.decoding import ReserveMemory, checked, decode, explaining, kept_for, read_file, reason, squash
from captioner.photos.limits import Budget
from captioner.photos.protocol import exactly, receive, send

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

LIBRARIES = 50_000_000
"""Bytes of the memory that are programs' code and not data."""

ASK = 30_000_000
"""Bytes from which on a photo waits for memory that others may have taken."""


def main() -> None:
    """Answer requests until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other process decides
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no answer
    with suppress(EOFError, OSError):
        _, values = receive(requests)
        budget = Budget(**values)
        if resource:
            _bound_memory(budget)
        while True:
            _, request = receive(requests)
            content = exactly(requests, request["length"]) if "length" in request else None
            if resource:
                _bound_processor(budget)
            _answer(requests, answers, request, content)


def _answer(requests: BinaryIO, answers: BinaryIO, request: dict[str, Any], content: bytes | None) -> None:
    """Open a photo, and send its pictures or what is wrong with it."""
    name = request["name"]
    notes: list[str] = []
    try:
        pictures = _pictures(request, content, partial(_granted, requests, answers), notes.append)
    except PhotoError as error:
        send(answers, b"E", error=type(error).__name__, message=str(error), **_taken())
        return
    except Exception as error:
        send(answers, b"E", error="PhotoError", message=f"{name}: {reason(error)}", **_taken())
        return
    send(answers, b"P", sizes=[picture.size for picture in pictures], notes=notes, **_taken())
    for picture in pictures:
        answers.write(picture.tobytes())
    answers.flush()


def _pictures(
    request: dict[str, Any], content: bytes | None, reserve: ReserveMemory, on_note: Callable[[str], object]
) -> list[Image.Image]:
    """Return the photo, whole or squashed to a square, and where it is wanted a small one to be shown."""
    name, size, shown = request["name"], request["size"], request["shown"]
    found = read_file(Path(request["path"]), name) if content is None else content
    with explaining(name, found):
        photo = decode(found, checked(found, name, request["max_pixels"]), reserve, on_note, kept_for(size, shown))
    pictures = [squash(photo, size) if size else photo]
    if shown:
        photo.thumbnail((shown, shown))
        pictures.append(photo)
    return pictures


@contextmanager
def _granted(requests: BinaryIO, answers: BinaryIO, count: int) -> Iterator[None]:
    """Ask the other process whether so many bytes may be taken, and wait for it."""
    if count >= ASK:
        send(answers, b"R", count=count, **_taken())
        receive(requests)
    yield


def _taken() -> dict[str, float]:
    """Return the seconds of a processor that this process has taken, and the bytes that it holds now."""
    try:
        pages = int(Path("/proc/self/statm").read_bytes().split()[1])
        held = pages * resource.getpagesize()
    except (OSError, AttributeError):  # another system
        held = 0
    return {"processor": time.process_time(), "held": held}


def _bound_memory(budget: Budget) -> None:
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        data = budget.memory - LIBRARIES
        resource.setrlimit(resource.RLIMIT_DATA, (data, data))


def _bound_processor(budget: Budget) -> None:
    """Let the system kill this process some time after the other one would have."""
    with suppress(ValueError, OSError):
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        soft = math.ceil(time.process_time() + budget.processor) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (soft if hard < 0 else min(soft, hard), hard))


if __name__ == "__main__":
    main()
