"""The number of processor cores that may be used, and that NumPy uses."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

_limiting = threading.Lock()


def available_cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit each of NumPy's matrix products to one thread during the block, and restore the setting afterwards.

    The limit is the whole process's. So one thread at a time is in such a block, or two would restore it out of order.
    Where `OPENBLAS_NUM_THREADS` is 1, as the commands set it before they import NumPy, the block just runs.
    """
    if os.environ.get("OPENBLAS_NUM_THREADS") == "1":
        yield
        return
    with _limiting, _blas().limit(limits=1):
        yield


@cache
def _blas() -> Any:
    """Return the controller of the threads of NumPy's BLAS."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")
