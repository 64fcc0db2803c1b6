"""Where photos queue for their captions: a few at a time, and not more in line than can be served soon."""

import asyncio
import base64
import io
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from PIL import Image

from captioner.cores import available_cores
from captioner.data.photos import PhotoError, TooManyPixelsError, open_photo
from captioner.plots import attention_colours
from captioner.runtime.caption import Candidate
from captioner.runtime.captioner import Captioner
from captioner.serve.limits import Limits, Refused

MOST_THREADS = 2
"""Photos that are decoded or captioned at once. The encoder takes all cores for one, while another is decoded or gets
its words; a very large photo takes up to a gigabyte, so there are not more."""

SHOWN = 1024
"""The longest side of a photo on the page."""

COLOURS = 96
"""The side of a picture of attention; the page stretches it over the photo."""


class Desk:
    """Captions photos in threads.

    Args:
        captioner: may be called from several threads.
        limits: the pixels of a photo, and how many may wait.
    """

    def __init__(self, captioner: Captioner, limits: Limits) -> None:
        self._captioner, self._limits = captioner, limits
        self._pool = ThreadPoolExecutor(min(MOST_THREADS, available_cores()), "caption")
        self._waiting, self._open = 0, True

    async def caption(self, content: bytes, attention: bool, pictures: bool) -> dict[str, Any]:
        """Caption the photo in a file's bytes; cancelled, it leaves the line.

        Returns:
            `{"caption", "score", "words", "candidates": [{"caption", "score", "words"}]}`. With `attention` each
            candidate, and the answer itself, has "attention" too: T rows of L weights. With `pictures` there is a
            "photo", and each candidate has "pictures", one a word: data URLs.

        Raises:
            Refused: the photo cannot be used (422) or has too many pixels (413); too many wait, or the server
                stops (503).
        """
        if not self._open:
            raise Refused(503, "the server is stopping")
        if self._waiting >= self._limits.waiting:
            raise Refused(503, "too many photos are waiting; try again in a moment", again=2)
        self._waiting += 1
        held = [content]
        del content
        try:
            return await asyncio.wrap_future(self._pool.submit(self._describe, held, attention, pictures))
        finally:
            held.clear()  # also where the pool has it still in its line, although nobody waits any more
            self._waiting -= 1

    def drop(self) -> None:
        """Take no more photos, and cancel those that are not begun."""
        self._open = False
        self._pool.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Do the same, and wait for those that are begun."""
        self._pool.shutdown(cancel_futures=True)

    def _describe(self, held: list[bytes], attention: bool, pictures: bool) -> dict[str, Any]:
        try:
            photo = open_photo(held.pop(), max_pixels=self._limits.pixels)
            caption = self._captioner(photo)
        except PhotoError as error:
            raise Refused(413 if isinstance(error, TooManyPixelsError) else 422, str(error)) from None
        except MemoryError:
            raise Refused(503, "not enough memory for this photo; make it smaller, or try again later") from None
        candidates = [_as_json(each, attention, pictures) for each in caption.candidates]
        answer = _as_json(caption, attention, pictures=False) | {"candidates": candidates}
        return answer | {"photo": _shown(photo)} if pictures else answer


def _as_json(candidate: Candidate, attention: bool, pictures: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"caption": candidate.text, "score": float(candidate.score), "words": list(candidate.words)}
    if attention:
        found["attention"] = np.round(candidate.attention.astype(float), 6).tolist()
    if pictures:
        found["pictures"] = [
            _data_url(Image.fromarray(attention_colours(weights, COLOURS)), 80) for weights in candidate.attention
        ]
    return found


def _shown(photo: np.ndarray) -> str:
    small = Image.fromarray(photo)
    small.thumbnail((SHOWN, SHOWN))
    return _data_url(small, 85)


def _data_url(image: Image.Image, quality: int) -> str:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
