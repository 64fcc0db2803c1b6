"""The queue of photos: a few are captioned at a time, and no more wait than can be served soon."""

import asyncio
import base64
import io
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import numpy as np
from PIL import Image

from captioner.errors import CaptionerError, PhotoError, TooManyPixelsError
from captioner.photos.process import OpeningCancelledError, PhotoOpener, Wanted
from captioner.pictures import attention_colours
from captioner.runtime.caption import Candidate
from captioner.runtime.captioner import Captioner
from captioner.serve.limits import STOPPING, ApiError, Limits
from captioner.serve.request_options import CaptionOptions
from captioner.system.cores import available_cores

MOST_THREADS = 2
"""Photos that are decoded or captioned at once. The encoder takes all cores for one, while another is decoded or gets
its words; each is decoded in a process that may take up to a gigabyte, so there are not more."""

SHOWN = 1024
"""The longest side of a photo on the page."""

COLOURS = 96
"""The side of a picture of attention; the page stretches it over the photo."""

DIGITS = 4
"""Of probabilities and confidence; the digits behind them differ from one machine to another."""

AS_STARTED = CaptionOptions()

LAST = 2.0
"""Seconds that a photo in work gets to notice that it is given up."""


class _Job:
    """A photo in the queue.

    Attributes:
        content: the file's bytes, until they are decoded or nobody wants them.
        cancelled: set once nobody waits any more: the client has gone, or the server stops.
    """

    def __init__(self, content: bytes) -> None:
        self.content: bytes | None = content
        self.cancelled = threading.Event()

    def take(self) -> bytes:
        """Return the bytes and release them.

        Raises:
            ApiError: nobody waits for them.
        """
        content, self.content = self.content, None
        if content is None or self.cancelled.is_set():
            raise ApiError(503, "stopping", STOPPING)
        return content

    def cancel(self) -> None:
        """Release the photo, even if it is still in the pool's queue."""
        self.cancelled.set()
        self.content = None


class CaptionQueue:
    """A captioner that uses threads, and decodes photos in processes that may be killed.

    Args:
        captioner: may be called from several threads.
        limits: the pixels of a photo, and how many may wait.
    """

    def __init__(self, captioner: Captioner, limits: Limits) -> None:
        self._captioner, self._limits = captioner, limits
        self._pool = ThreadPoolExecutor(min(MOST_THREADS, available_cores()), "caption")
        self._opener = PhotoOpener()
        self._jobs: dict[Future, _Job] = {}  # threads take out what they have done
        self._waiting, self._open = 0, True

    @property
    def in_work(self) -> int:
        """The number of photos that are being decoded or captioned, including those of disconnected clients."""
        return sum(future.running() for future in list(self._jobs))

    @property
    def queue_length(self) -> int:
        """The number of photos that wait."""
        return sum(not (future.running() or job.cancelled.is_set()) for future, job in list(self._jobs.items()))

    async def caption(
        self, content: bytes, attention: bool, pictures: bool, options: CaptionOptions = AS_STARTED
    ) -> dict[str, Any]:
        """Caption the photo in a file's bytes; if cancelled, it leaves the queue.

        Returns:
            `{"caption", "score", "confidence", "certainty", "words", "probabilities", "familiar", "doubtful",
            "candidates"}`; each candidate has all but the last three. With `attention` each candidate, and the answer
            itself, has "attention" too: T rows of L weights. With `pictures` there is a "photo", and each candidate has
            "pictures", one a word: data URLs. "notes" lists the faults of a file that was captioned nevertheless.

        Raises:
            ApiError: the photo cannot be used (422) or has too many pixels (413); an option cannot be fulfilled
                (400); too many wait, or the server stops (503).
        """
        if not self._open:
            raise ApiError(503, "stopping", STOPPING)
        if self._waiting >= self._limits.waiting:
            raise ApiError(503, "queue_full", "too many photos are waiting; try again in a moment", again=2)
        self._waiting += 1
        job = _Job(content)
        del content
        future = self._pool.submit(self._describe, job, attention, pictures, options)
        self._jobs[future] = job
        try:
            return await asyncio.wrap_future(future)
        finally:
            job.cancel()
            self._waiting -= 1
            future.add_done_callback(self._forget)
            del future  # else an error that it holds would hold this frame, and what was decoded, until it is collected

    def drop(self) -> None:
        """Accept no more photos, and cancel those that wait."""
        self._open = False
        self._pool.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Do the same, cancel those that are being decoded, and wait a short time for them to end."""
        self.drop()
        jobs = list(self._jobs.items())
        for _, job in jobs:
            job.cancel()
        self._opener.close()
        wait([future for future, _ in jobs if future.running()], LAST)

    def _forget(self, future: Future) -> None:
        self._jobs.pop(future, None)

    def _describe(self, job: _Job, attention: bool, pictures: bool, options: CaptionOptions) -> dict[str, Any]:
        notes: list[str] = []
        captioner = options.applied(self._captioner)
        try:
            pixels, *shown = self._decode(job, pictures, notes.append)
            if job.cancelled.is_set():
                raise OpeningCancelledError
            caption = captioner(pixels)
        except OpeningCancelledError:
            raise ApiError(503, "stopping", STOPPING) from None
        except PhotoError as error:
            if isinstance(error, TooManyPixelsError):
                raise ApiError(413, "too_many_pixels", str(error)) from None
            raise ApiError(422, "unreadable_photo", str(error)) from None
        except MemoryError:
            message = "not enough memory for this photo; make it smaller, or try again later"
            raise ApiError(503, "out_of_memory", message) from None
        except CaptionerError as error:  # there is no room for another process
            raise ApiError(503, "out_of_memory", str(error)) from None
        candidates = [_as_json(each, attention, pictures) for each in caption.candidates]
        answer = _as_json(caption, attention, pictures=False)
        answer |= {"familiar": caption.familiar, "doubtful": caption.doubtful, "candidates": candidates}
        if shown:
            answer["photo"] = _data_url(Image.fromarray(shown[0]), 85)
        return answer | {"notes": notes} if notes else answer

    def _decode(self, job: _Job, pictures: bool, on_note: Callable[[str], object]) -> list[np.ndarray]:
        """Return the photo as the encoder wants it, uint8 (S, S, 3), and where it is wanted as the page shows it."""
        size, shown = self._captioner.encoder.image_size, SHOWN if pictures else None
        return self._opener.open(job.take(), Wanted(self._limits.pixels, size, shown, job.cancelled, on_note))


def _as_json(candidate: Candidate, attention: bool, pictures: bool) -> dict[str, Any]:
    sure = candidate.confidence
    found: dict[str, Any] = {
        "caption": candidate.text,
        "score": float(candidate.score),
        "confidence": None if sure is None else round(sure, DIGITS),
        "certainty": candidate.certainty,
        "words": list(candidate.words),
        "probabilities": _rounded(candidate.probabilities),
    }
    if attention:
        found["attention"] = np.round(candidate.attention.astype(float), 6).tolist()
    if pictures:
        found["pictures"] = [
            _data_url(Image.fromarray(attention_colours(weights, COLOURS)), 80) for weights in candidate.attention
        ]
    return found


def _rounded(probabilities: np.ndarray | None) -> list[float]:
    return [] if probabilities is None else np.round(probabilities.astype(float), DIGITS).tolist()


def _data_url(image: Image.Image, quality: int) -> str:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
