import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from captioner.config.decoding import DecodingConfig
from captioner.runtime.captioner import Captioner
from captioner.system.cores import one_blas_thread
from captioner.text import SPECIAL_TOKENS, Vocabulary


def blas_threads() -> list[int]:
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def set_blas_threads(count: int) -> None:
    """Set the threads by a thread that ends, since threadpoolctl lets no other change them while the first lives."""
    thread = threading.Thread(target=threadpool_limits, args=(count, "blas"))
    thread.start()
    thread.join()


@pytest.fixture
def before(monkeypatch) -> Iterator[list[int]]:
    """The threads of a program that has set nothing, on two cores."""
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    initially = blas_threads()
    set_blas_threads(2)
    found = blas_threads()
    if set(found) != {2}:
        pytest.skip("the threads of NumPy's BLAS cannot be set here")
    yield found
    set_blas_threads(max(initially))


class Watched:
    """An encoder and a decoder that note how many threads NumPy may use, and let captions end soon."""

    image_size = 8

    def __init__(self) -> None:
        self.encoding: list[list[int]] = []
        self.searching: list[list[int]] = []

    def __call__(self, image: np.ndarray, single_threaded: bool = False) -> np.ndarray:
        self.encoding.append(blas_threads())
        return np.zeros((4, 3), np.float32)

    def start(self, features):
        self.searching.append(blas_threads())
        return self.step, [np.zeros((len(features), 1, 2))]

    def step(self, tokens, states):
        self.searching.append(blas_threads())
        log_probs = np.full((*tokens.shape, 5), -10.0)
        log_probs[..., Vocabulary.end] = -0.1
        return log_probs, states, np.zeros((*tokens.shape, 4))


def test_a_library_searches_with_one_thread_and_leaves_the_setting(before):
    watched, photo = Watched(), np.zeros((10, 10, 3), np.uint8)
    vocabulary = Vocabulary([*SPECIAL_TOKENS, "dog"])
    captioner = Captioner(vocabulary, watched, watched, DecodingConfig(beam_width=1))
    captioner(photo)
    assert watched.encoding == [before]
    captioner([photo] * 3)
    assert len(watched.searching) == 6  # each begins, and takes a step for the word and one for the end
    assert all(threads == [1] * len(before) for threads in watched.searching)
    assert blas_threads() == before


def test_the_setting_comes_back_after_an_error(before):
    with pytest.raises(ZeroDivisionError), one_blas_thread():
        1 / sum(threads - 1 for threads in blas_threads())
    assert blas_threads() == before


def test_the_setting_comes_back_after_threads_that_search_side_by_side(before):
    def search(_: int) -> list[int]:
        with one_blas_thread():
            return blas_threads()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(search, range(200))) == [[1] * len(before)] * 200
    assert blas_threads() == before


def test_where_the_commands_have_set_one_thread_nothing_is_changed(before, monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    with one_blas_thread():
        assert blas_threads() == before
