import threading

import pytest

from captioner.system.prefetch import prefetch_map


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("count", [0, 1, 3, 20])
def test_the_results_come_in_order(threads, count):
    assert list(prefetch_map(lambda number: number**2, range(count), threads)) == [number**2 for number in range(count)]


def test_no_more_is_taken_than_the_lead():
    taken = []

    def items():
        for number in range(10):
            taken.append(number)
            yield number

    results = prefetch_map(lambda number: number, items(), lead=3)
    for number in range(5):
        assert next(results) == number
        assert taken == list(range(min(10, number + 4)))


def test_work_runs_in_as_many_threads_as_asked():
    together = threading.Barrier(2, timeout=20)  # passes when two are at it at once
    assert len(list(prefetch_map(lambda number: together.wait(), range(4), threads=2))) == 4


def test_an_exception_comes_in_its_turn():
    results = prefetch_map(lambda number: 1 // number, [1, 1, 0, 1])
    assert [next(results), next(results)] == [1, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_who_stops_early_leaves_nothing_running():
    done, begun, hold = [], threading.Event(), threading.Event()

    def work(number):
        if number:
            begun.set()
            hold.wait(20)
        done.append(number)

    results = prefetch_map(work, range(100), lead=50)
    next(results)
    assert begun.wait(20)
    threading.Timer(0.05, hold.set).start()
    results.close()
    assert done == [0, 1]  # what had begun was finished, the others were given up
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ThreadPoolExecutor")]
