"""Open photos in other processes, each under a budget of processor time and memory."""

import errno
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np

from captioner.errors import CaptionerError, PhotoError, TooManyPixelsError
from captioner.photos.limits import BUDGET, MAX_PIXELS, Budget
from captioner.photos.memory_budget import DECODING
from captioner.photos.protocol import fill, receive, send
from captioner.photos.streams import name_of
from captioner.system.processes import start

WORKER = "captioner.photos.worker"

TICK = 0.05
"""Seconds between two looks at a process. Good photos are open before the first."""

RETIRED = 200_000_000
"""Bytes that a process may hold between two photos; one that has not given more back is replaced."""

SPARE = 8
"""Processes that wait for photos at most."""


class OpeningCancelledError(Exception):
    """The opening of a photo was cancelled."""


class Wanted(NamedTuple):
    """The pictures to make of a photo.

    Attributes:
        max_pixels: above which it is refused.
        size: side of the square that it is squashed to; None for the photo as it is.
        shown: longest side of a small one that comes besides; None for none.
        cancelled: ends the work when it is set.
        on_note: takes a line about a photo that is odd, and was opened nevertheless.
    """

    max_pixels: int = MAX_PIXELS
    size: int | None = None
    shown: int | None = None
    cancelled: threading.Event | None = None
    on_note: Callable[[str], object] | None = None


class _Worker:
    """A process, and its current request. One thread talks to it, another enforces its budget."""

    def __init__(self, budget: Budget) -> None:
        self.budget, self.owner = budget, os.getpid()
        self.process = start(WORKER)
        self.processor = 0.0  # seconds of one that it had taken when it was last heard of
        self.held = 0  # bytes
        self.begun: float | None = None  # where nothing is being opened
        self.lock = threading.Lock()  # so that nothing is killed that has just ended well
        self.cancelled: threading.Event | None = None
        self.verdict = ""
        self.notes: list[str] = []  # on the photo that was opened last
        self.input, self.output = cast(BinaryIO, self.process.stdin), cast(BinaryIO, self.process.stdout)
        with suppress(OSError):  # it has ended already; the first photo shows why
            send(self.input, b"B", **budget._asdict())

    def look_after(self) -> None:
        """Kill the process if it has used up its budget, or if its request was cancelled."""
        with self.lock:
            if self.begun is not None and not self.verdict:
                self.verdict = self._judge(self.begun)
                if self.verdict:
                    self.process.kill()

    def _judge(self, begun: float) -> str:
        """Return the reason to kill the process, "" if there is none."""
        if self.cancelled and self.cancelled.is_set():
            return "cancelled"
        if time.monotonic() - begun > self.budget.wall:
            return f"takes too much time to open (more than {self.budget.wall:g} seconds)"
        processor, memory = _taken(self.process.pid)
        if processor - self.processor > self.budget.processor:
            return f"takes too much time to open (more than {self.budget.processor:g} seconds of a processor)"
        if memory > self.budget.memory:
            return f"takes too much memory to open (more than {self.budget.memory / 1e6:g} MB)"
        return ""

    def open(self, content: bytes | None, request: dict[str, Any]) -> list[np.ndarray]:
        """Send a request, and return the pictures.

        Raises:
            EOFError: the process has ended.
            PhotoError: the photo cannot be used.
        """
        try:
            send(self.input, b"O", **request)
            if content is not None:
                self.input.write(content)
                self.input.flush()
        except OSError as error:
            raise EOFError from error
        kind, answer = self._answer()
        if kind != b"R":
            return self._pictures(kind, answer)
        self.begun = None
        with DECODING.take(answer["count"]):
            self.begun = time.monotonic()
            with suppress(OSError):  # where it has ended, there is no answer either
                send(self.input, b"G")
            return self._pictures(*self._answer())

    def _answer(self) -> tuple[bytes, dict[str, Any]]:
        kind, answer = receive(self.output)
        self.processor, self.held = answer["processor"], answer["held"]
        return kind, answer

    def _pictures(self, kind: bytes, answer: dict[str, Any]) -> list[np.ndarray]:
        if kind == b"E":
            raise (TooManyPixelsError if answer["error"] == "TooManyPixelsError" else PhotoError)(answer["message"])
        self.notes = answer["notes"]
        pictures = [np.empty((height, width, 3), np.uint8) for width, height in answer["sizes"]]
        for picture in pictures:
            fill(self.output, picture.data.cast("B"))
        return pictures

    def is_ready(self) -> bool:
        """Return whether the process still runs, and was started by this process and not before a fork."""
        return self.owner == os.getpid() and self.process.poll() is None

    def end(self) -> None:
        """Kill the process, and close the pipes to it; where this process is a fork, only its ends of them."""
        if self.owner == os.getpid():
            self.process.kill()
        for pipe in (self.input, self.output):
            with suppress(OSError):  # what it has not read
                pipe.close()
        if self.owner == os.getpid():
            self.process.wait()

    def last_words(self) -> str:
        """Return the reason why the process has ended."""
        status = self.process.wait()
        if self.verdict:
            return self.verdict
        if sys.platform != "win32":
            import signal

            if status == -signal.SIGXCPU:
                return "takes too much time to open"
            if status == -signal.SIGKILL:
                return "takes too much memory to open"
            if status < 0:
                return f"its decoder crashed (signal {-status})"
        return f"its decoder ended (status {status})"


class PhotoOpener:
    """A pool of processes that open photos, started when needed, and killed when a photo breaks its budget.

    May be called from several threads, which have a process each. `close` ends them all, as does the end of this one.

    Args:
        budget: of one photo.
    """

    def __init__(self, budget: Budget = BUDGET) -> None:
        self._budget = budget
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._lock = threading.Lock()
        self._open = True
        self._work = threading.Event()
        self._watching: threading.Thread | None = None
        self._finalizer = weakref.finalize(self, _end_all, self._idle, self._busy)

    def prepare(self, count: int) -> None:
        """Start so many processes before the first photo comes.

        Raises:
            CaptionerError: no process can be started.
        """
        for _ in range(count - len(self._idle)):
            worker = self._start()
            with self._lock:
                self._idle.append(worker)

    def open(self, source: str | Path | bytes, wanted: Wanted) -> list[np.ndarray]:
        """Open a photo's file, or the bytes of one, and return the wanted pictures: uint8 (H, W, 3), one or two.

        Raises:
            PhotoError: the photo cannot be used, or breaks its budget.
            OpeningCancelledError: it was cancelled.
            CaptionerError: no process can be started.
        """
        if wanted.cancelled and wanted.cancelled.is_set():
            raise OpeningCancelledError
        request: dict[str, Any] = {"max_pixels": wanted.max_pixels, "size": wanted.size, "shown": wanted.shown}
        name = name_of(source)
        content = source if isinstance(source, bytes) else None
        request |= {"name": name}
        request |= {"path": _absolute(name)} if content is None else {"length": len(content)}
        worker = self._take(wanted.cancelled)
        answered = False
        try:
            pictures, notes = worker.open(content, request), worker.notes
            answered = True
        except PhotoError:
            answered = True
            raise
        except EOFError:
            why = worker.last_words()
        finally:
            self._put_back(worker, answered)
        if not answered:
            if why == "cancelled" or not self._open:
                raise OpeningCancelledError
            raise PhotoError(f"{name}: {why}")
        if wanted.on_note:
            for note in notes:
                wanted.on_note(f"{name}: {note}")
        return pictures

    def close(self) -> None:
        """End all processes; photos that are being opened are cancelled."""
        self._open = False
        self._work.set()
        self._finalizer()

    def _take(self, cancelled: threading.Event | None) -> _Worker:
        with self._lock:
            while self._idle and not self._idle[-1].is_ready():
                self._idle.pop().end()
            worker = self._idle.pop() if self._idle else None
        worker = worker or self._start()
        worker.cancelled, worker.begun = cancelled, time.monotonic()
        with self._lock:
            self._busy.add(worker)
            if self._watching is None:
                self._watching = threading.Thread(target=_watch, args=(weakref.ref(self),), daemon=True)
                self._watching.start()
        self._work.set()
        return worker

    def _start(self) -> _Worker:
        try:
            return _Worker(self._budget)
        except OSError as error:
            advice = "; close other programs" if error.errno in (errno.EAGAIN, errno.ENOMEM) else ""
            raise CaptionerError(f"cannot start a process to open photos in: {error.strerror}{advice}") from error

    def _put_back(self, worker: _Worker, answered: bool) -> None:
        with worker.lock:
            worker.begun = None
            keep = answered and not worker.verdict and worker.held < RETIRED
        with self._lock:
            self._busy.discard(worker)
            if keep and self._open and len(self._idle) < SPARE:
                self._idle.append(worker)
                return
        worker.end()

    def _look_after_all(self) -> bool:
        """Check the processes that are opening photos; return whether to check again."""
        with self._lock:
            busy = list(self._busy)
            if not busy:
                self._work.clear()
        for worker in busy:
            worker.look_after()
        return self._open


@cache
def shared_opener() -> PhotoOpener:
    """Return the opener that all captioners of this process share."""
    return PhotoOpener()


def _watch(opener: "weakref.ref[PhotoOpener]") -> None:
    while (strong := opener()) is not None and strong._look_after_all():
        work = strong._work
        del strong  # it may go while nobody uses it
        work.wait(1)
        time.sleep(TICK)


def _end_all(idle: list[_Worker], busy: set[_Worker]) -> None:
    for worker in idle:
        worker.end()
    idle.clear()
    for worker in list(busy):  # those who wait for it close its pipes
        worker.verdict = worker.verdict or "cancelled"
        if worker.owner == os.getpid():
            worker.process.kill()


def _absolute(name: str) -> str:
    """Return a path that leads to the same file from the directory that a process was started in."""
    try:
        return os.path.abspath(name)  # noqa: PTH100  # a name need not be text
    except OSError:  # the current directory is gone
        return name


def _taken(process: int) -> tuple[float, int]:
    """Return the processor time in seconds and the memory in bytes of a process; 0 if unknown."""
    try:
        fields = Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()
        pages = int(Path(f"/proc/{process}/statm").read_bytes().split()[1])
    except (OSError, IndexError, ValueError):
        return 0.0, 0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE")
