"""The queue: who leaves, what is given up, and what is kept of it."""

import asyncio
import io
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from captioner.errors import PhotoError
from captioner.serve.caption_queue import MOST_THREADS, CaptionQueue
from captioner.serve.limits import ApiError, Limits
from captioner.system.cores import available_cores

AT_ONCE = min(MOST_THREADS, available_cores())


class Slow:
    """A captioner that waits until it is let go on, and then fails."""

    def __init__(self) -> None:
        self.calls, self.encoder = 0, SimpleNamespace(image_size=4)
        self.begun, self.go_on = threading.Semaphore(0), threading.Event()

    def __call__(self, photo: np.ndarray) -> None:
        self.calls += 1
        self.begun.release()
        self.go_on.wait(10)
        raise PhotoError("enough")


class SlowQueue(CaptionQueue):
    """Its photos take until they are given up, as a hostile file's in a child process."""

    def __init__(self, captioner, limits) -> None:
        super().__init__(captioner, limits)
        self.begun, self.ended = threading.Semaphore(0), threading.Semaphore(0)

    def _decode(self, job, pictures, on_note):
        job.take()
        self.begun.release()
        assert job.cancelled.wait(10)
        self.ended.release()
        return [np.zeros((4, 4, 3), np.uint8)]


@pytest.fixture
def photo() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "PNG")
    return file.getvalue()


def test_the_bytes_of_who_has_gone_are_not_kept_in_the_line(photo):
    captioner, content = Slow(), bytes(1000)

    async def leave() -> int:
        queue = CaptionQueue(captioner, Limits())
        busy = [asyncio.create_task(queue.caption(photo, False, False)) for _ in range(AT_ONCE)]
        await asyncio.to_thread(captioner.begun.acquire)
        before = sys.getrefcount(content)
        waiting = [asyncio.create_task(queue.caption(content, False, False)) for _ in range(5)]
        await asyncio.sleep(0.1)
        assert (queue.queue_length, queue.in_work) == (5, AT_ONCE)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        kept = sys.getrefcount(content) - before
        assert queue.queue_length == 0
        captioner.go_on.set()
        await asyncio.gather(*busy, return_exceptions=True)
        queue.close()
        assert (queue.queue_length, queue.in_work) == (0, 0)
        return kept

    assert asyncio.run(leave()) == 0


def test_a_photo_is_given_up_when_its_client_leaves_and_the_next_one_gets_its_thread(photo):
    captioner = Slow()

    async def leave() -> None:
        queue = SlowQueue(captioner, Limits())
        tasks = [asyncio.create_task(queue.caption(photo, False, False)) for _ in range(AT_ONCE + 1)]
        for _ in range(AT_ONCE):
            assert await asyncio.to_thread(queue.begun.acquire, timeout=10)
        assert not await asyncio.to_thread(queue.begun.acquire, timeout=0.1)  # so many and no more are in work
        tasks[0].cancel()
        assert await asyncio.to_thread(queue.ended.acquire, timeout=10)
        assert await asyncio.to_thread(queue.begun.acquire, timeout=10)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        queue.close()

    asyncio.run(leave())
    assert captioner.calls == 0  # nobody waits for these captions


def test_a_queue_that_closes_gives_up_the_photos_in_work(photo):
    async def close() -> list:
        queue = SlowQueue(Slow(), Limits())
        tasks = [asyncio.create_task(queue.caption(photo, False, False)) for _ in range(AT_ONCE + 1)]
        for _ in range(AT_ONCE):
            assert await asyncio.to_thread(queue.begun.acquire, timeout=10)
        await asyncio.to_thread(queue.close)
        assert queue.ended.acquire(blocking=False)
        found = await asyncio.gather(*tasks, return_exceptions=True)
        with pytest.raises(ApiError, match="the server is stopping"):
            await queue.caption(photo, False, False)
        return found

    found = asyncio.run(close())
    assert [type(each) for each in found] == [ApiError] * AT_ONCE + [asyncio.CancelledError]


def test_close_does_not_wait_for_a_library_that_hangs(photo, monkeypatch):
    monkeypatch.setattr("captioner.serve.caption_queue.LAST", 0.05)
    captioner = Slow()

    async def close() -> int:
        queue = CaptionQueue(captioner, Limits())
        task = asyncio.create_task(queue.caption(photo, False, False))
        await asyncio.to_thread(captioner.begun.acquire)
        await asyncio.to_thread(queue.close)
        in_work = queue.in_work
        captioner.go_on.set()
        await asyncio.gather(task, return_exceptions=True)
        return in_work

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(asyncio.run, close()).result(10) == 1
