"""Programs that are compared: each in a process of its own, since threads are set for a process, taking turns."""

import contextlib
import multiprocessing
import statistics
from collections.abc import Callable
from typing import Any

from made_up import seconds

Orders = dict[str, Callable[[], Any]]


class Contender:
    """A process that does what it is asked, and waits between.

    Args:
        make: called in the process with `arguments`; returns what to do for each order. `run` is called once to warm
            up, and is what `time_in_turns` times.
        arguments: of `make`; they can be pickled.
        a_core_a_shard: whether to set TensorFlow's threads as `train.py` does, or to leave them as they come.
    """

    def __init__(self, make: Callable[..., Orders], *arguments: Any, a_core_a_shard: bool) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        context.Process(target=_serve, args=(make, arguments, a_core_a_shard, other), daemon=True).start()
        other.close()  # the process has its own; so its end is heard here
        self._pipe.recv()

    def ask(self, order: str) -> Any:
        """Return what came of an order."""
        self._pipe.send(order)
        return self._pipe.recv()


def time_in_turns(contenders: dict[str, Contender], rounds: int) -> dict[str, float]:
    """Return the median of the seconds that each contender takes for its `run`."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            times[name].append(contender.ask("time"))
    return {name: statistics.median(taken) for name, taken in times.items()}


def _serve(make: Callable[..., Orders], arguments: tuple[Any, ...], a_core_a_shard: bool, pipe: Any) -> None:
    if a_core_a_shard:
        from captioner.training.devices import give_each_shard_its_core

        give_each_shard_its_core()
    orders = make(*arguments)
    orders["run"]()
    orders["time"] = lambda: seconds(orders["run"])
    pipe.send("ready")
    with contextlib.suppress(EOFError):  # the one who asks has gone
        while True:
            pipe.send(orders[pipe.recv()]())
