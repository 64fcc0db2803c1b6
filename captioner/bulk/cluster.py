"""The Ray cluster: a worker for each core takes one block after the other, and lost blocks are done again elsewhere."""

import logging
import os
import signal
import socket
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from captioner.bulk.home import asking_nobody
from captioner.bulk.memory import peak_memory
from captioner.bulk.model import PackedModel
from captioner.bulk.output import Output
from captioner.bulk.plan import Plan
from captioner.bulk.storage import Storage, reason
from captioner.bulk.tally import Tally
from captioner.bulk.worker import Worker
from captioner.errors import CaptionerError
from captioner.system.cores import available_cores
from captioner.system.home import home
from captioner.system.native_stderr import stderr_closed

if TYPE_CHECKING:
    import ray

ADDRESSES = ("local", "auto")

OBJECT_STORE = 200_000_000
"""Bytes of a local cluster's object store. It holds the model; photos and captions do not pass through it."""

IN_LINE = 2
"""Tasks that are sent to a worker: the one in work and the next, so that it need not wait for the driver."""

TRIES = 10
"""Retries of a task whose worker was lost, because a machine disappeared or a photo used up all memory."""

MEND = (
    "every worker must be able to read and write --output, and no other run may write there; fix that, and run the "
    "same command again"
)


class Found(NamedTuple):
    """The result of a block, and the worker that produced it.

    Attributes:
        line: where the block's line begins in the plan.
        tally: of its photos.
        worker: names the process.
        megabytes: the most memory that the process has held; 0 if its system does not report it.
        processor: seconds of a core that the process has had, the loading included.
        failure: why its part could not be written, or the plan not be read, or "".
    """

    line: int
    tally: Tally
    worker: str
    megabytes: float
    processor: float
    failure: str


@contextmanager
def cluster(address: str) -> Iterator[int]:
    """Join a cluster, or start one on this machine's cores that nobody else can reach; count its cores.

    Args:
        address: one of `ADDRESSES`.

    Raises:
        CaptionerError: there is no cluster to join.
    """
    # Read as Ray is imported, and by the processes that it starts
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # what a user can fix is reported here
    settings: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    # Read as NumPy is imported, whose products are too small to share, and as ONNX Runtime is
    environment = {"env_vars": {"OPENBLAS_NUM_THREADS": "1", "ORT_DISABLE_TELEMETRY": "1"}}
    if address == "local":
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # only so all of its ports are those of 127.0.0.1
        settings |= {
            "num_cpus": available_cores(),
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE,
            "_node_ip_address": "127.0.0.1",
        }
        environment["env_vars"]["HOME"] = str(home())
    import ray
    import ray.data

    on_termination = signal.getsignal(signal.SIGTERM)
    try:
        with stderr_closed(), asking_nobody() if address == "local" else nullcontext():  # it announces its log level
            ray.init(address, runtime_env=environment, **settings)
    except SystemExit:  # Ray has taken SIGTERM for itself
        if callable(on_termination):
            on_termination(signal.SIGTERM, None)
        raise
    except ConnectionError as error:
        raise CaptionerError(
            f"--ray-address {address}: no cluster is running that this machine belongs to; start one with `ray start "
            "--head` or `ray up`, or leave --ray-address out to use this machine alone"
        ) from error
    signal.signal(signal.SIGTERM, on_termination)
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    try:
        # It reports at length on each machine that goes
        with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
            yield int(ray.cluster_resources().get("CPU", 0))
    except ray.exceptions.RayError as error:
        raise CaptionerError(
            f"--ray-address {address}: the workers cannot continue ({_last_line(error)}); make sure that every machine "
            "has this package, its requirements and enough memory, and run the same command again"
        ) from error
    finally:
        ray.shutdown()


def caption(
    tasks: Sequence[tuple[int, int]], plan: Plan, model: "ray.ObjectRef", photos: Storage, output: Output, cores: int
) -> Iterator[Found]:
    """Caption blocks on the cluster that `cluster` has joined; yield the result of each, in any order.

    A worker that is lost is started again where there is room, and its tasks are begun again. Those that cannot be done
    are left out: what is missing in the output is known by looking there.

    Args:
        tasks: parts of the plan, from byte to byte.
        plan: what to do.
        model: a `PackedModel` in the object store.
        photos: reads the photos.
        output: takes the captions.
        cores: workers to begin with; more when the cluster grows.
    """
    import ray.data

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.max_errored_blocks = -1
    rows = [{"begin": begin, "end": end} for begin, end in tasks]
    with warnings.catch_warnings():
        # Without a number of retries a photo that takes all memory would be retried for ever; there is no other way yet
        warnings.simplefilter("ignore", ray.util.annotations.RayDeprecationWarning)
        found = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            _Actor,
            fn_constructor_args=(plan, model, photos, output),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(min_size=min(cores, len(rows)), max_tasks_in_flight_per_actor=IN_LINE),
            num_cpus=1,
            max_restarts=-1,
            max_task_retries=TRIES,
        )
    for row in found.iter_rows():
        tally = Tally(row["photos"])
        tally.errors.update(dict(zip(row["errors"], row["error_counts"], strict=True)))
        tally.notes.update(dict(zip(row["notes"], row["note_counts"], strict=True)))
        yield Found(row["line"], tally, row["worker"], row["megabytes"], row["processor"], row["failure"])


class _Actor:
    """A worker in a Ray process, which loads the model once."""

    def __init__(self, plan: Plan, model: "ray.ObjectRef", photos: Storage, output: Output) -> None:
        import ray

        packed: PackedModel = ray.get(model)
        self._plan = plan
        self._work = Worker(packed.unpack(), photos, output)
        self._name = f"{socket.gethostname()}-{os.getpid()}"

    def __call__(self, batch: dict[str, Any]) -> Iterator[dict[str, list[Any]]]:
        for begin, end in zip(batch["begin"], batch["end"], strict=True):
            line = int(begin)
            try:
                for line, block in self._plan.read(line, int(end)):  # noqa: B020
                    yield self._found(line, self._work(block))
            except CaptionerError as error:
                yield self._found(line, Tally(), str(error))
            except OSError as error:
                place = error.filename2 or error.filename or self._plan.place
                yield self._found(line, Tally(), f"{place}: {error.strerror or reason(error)}; {MEND}")

    def _found(self, line: int, tally: Tally, failure: str = "") -> dict[str, list[Any]]:
        return {
            "line": [line],
            "photos": [tally.photos],
            "errors": [list(tally.errors)],
            "error_counts": [list(tally.errors.values())],
            "notes": [list(tally.notes)],
            "note_counts": [list(tally.notes.values())],
            "worker": [self._name],
            "megabytes": [peak_memory() / 1e6],
            "processor": [time.process_time()],
            "failure": [failure],
        }


def kill_processes() -> None:
    """Kill Ray's processes on this machine at once; its own shutdown takes seconds."""
    try:
        import psutil
    except ImportError:
        return  # they end by themselves when this process has: most at once, some after a minute
    with suppress(psutil.Error):
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                process.kill()


def _last_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()
