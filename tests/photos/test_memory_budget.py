import threading
import time
from concurrent.futures import ThreadPoolExecutor

from captioner.photos.memory_budget import MemoryBudget


def test_only_so_many_bytes_are_taken_at_once():
    budget, most, now, lock = MemoryBudget(1000), 0, 0, threading.Lock()

    def decode(share):
        nonlocal most, now
        with budget.take(share):
            with lock:
                now += min(share, 1000)
                most = max(most, now)
            time.sleep(0.001)
            with lock:
                now -= min(share, 1000)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(decode, [300, 5000, 400, 1, 999, 600, 1000] * 6))
    assert 600 <= most <= 1000
