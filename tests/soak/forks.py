"""Runs commands in processes that may be killed, from one that has imported what takes seconds: `python forks.py`.

Reads a JSON object a line: `argv`, commands one after the other; `cwd`; `env`; and where they are given `kill_at`, the
number of the file operation at which the process is killed; `kill_after`, seconds; `limit`, the most bytes of a file;
`limits`, the seconds of `processor` and bytes of `memory` that it may have.
Answers with one: `status`, as `os.waitstatus_to_exitcode` has it; `operations`, those it came to; `seconds`;
`processor`, seconds of it; `megabytes`, at most, of itself or of a child; `said`, its stderr; and `out`.
"""

import json
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod", "os.listdir")


def count_operations(kill_at: int | None, told: int) -> None:
    """Count what touches files from here on; die at one of them, before it happens."""
    seen = 0
    own = os.getpid()

    def hook(event: str, arguments: tuple) -> None:
        nonlocal seen
        writes = event == "open" and isinstance(arguments[1], str) and any(letter in arguments[1] for letter in "wax+")
        low = event == "open" and arguments[1] is None and isinstance(arguments[2], int) and arguments[2] & 3
        if not (writes or low or event in CHANGES) or os.getpid() != own:
            return
        seen += 1
        os.pwrite(told, b"%d\n" % seen, 0)
        if seen == kill_at:
            os.kill(own, signal.SIGKILL)

    sys.addaudithook(hook)


def tiny_training() -> None:
    """Give trainings an encoder that is built at once, one core, and archives that a test made."""
    import keras

    from captioner.data import flickr8k
    from captioner.models import networks, tuned_model
    from captioner.training import captioning, devices

    def build_encoder(config: object, weights: object) -> keras.Model:
        image = keras.Input((config.image_size, config.image_size, 3))
        half = config.image_size // 2
        grid = keras.layers.Conv2D(6, half, strides=half, activation="tanh", name="mixed6")(image)
        if config.feature_layer == "mixed8":
            grid = keras.layers.Conv2D(6, 1, activation="tanh", name="mixed8")(grid)
        model = keras.Model(image, keras.layers.Reshape((4, 6))(grid))
        model.trainable = False
        values = [
            keras.ops.sin(keras.ops.reshape(keras.ops.arange(keras.ops.size(each), dtype="float32"), each.shape))
            for each in model.weights
        ]
        model.set_weights(values)
        return model

    for module in (networks, captioning, tuned_model):
        module.build_encoder = build_encoder
    devices.available_cores = lambda: 1
    if "CAPTIONER_MD5" in os.environ:
        sums = json.loads(os.environ["CAPTIONER_MD5"])
        flickr8k.ARCHIVES = tuple(
            flickr8k.Archive(each.name, sums[each.name], each.folder) for each in flickr8k.ARCHIVES
        )


def child(job: dict, told: int, out: int, err: int) -> int:
    """Run the commands of a job in this process."""
    from captioner.cli.main import main

    os.dup2(out, 1)
    os.dup2(err, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", buffering=1, closefd=False)
    os.environ.update(job.get("env", {}))
    os.chdir(job["cwd"])
    if job.get("limit"):
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (job["limit"], job["limit"]))
    if job.get("limits"):
        import resource

        for kind, most in ((resource.RLIMIT_CPU, "processor"), (resource.RLIMIT_AS, "memory")):
            resource.setrlimit(kind, (job["limits"][most], job["limits"][most]))
    if TINY:
        tiny_training()
    if job.get("kill_after") is not None:
        killer = threading.Timer(job["kill_after"], os.kill, (os.getpid(), signal.SIGKILL))
        killer.daemon = True
        killer.start()
    count_operations(job.get("kill_at"), told)
    for argv in job["argv"]:
        status = main(argv)
        if status:
            return status
    return 0


def fork(job: dict) -> dict:
    """Run a job in a child, and tell how it ended."""
    with tempfile.TemporaryFile() as told:
        pipes = [os.pipe(), os.pipe()]  # which no limit of files holds for
        began = time.monotonic()
        pid = os.fork()
        if not pid:
            status = 70
            try:
                status = child(job, told.fileno(), *(end for _, end in pipes))
            except SystemExit as stopped:
                status = stopped.code if isinstance(stopped.code, int) else 1
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        with ThreadPoolExecutor(2) as pool:
            reading = [pool.submit(drained, *pipe) for pipe in pipes]
        _, status, used = os.wait4(pid, 0)
        told.seek(0)
        counted = told.read().split()
    return {
        "status": os.waitstatus_to_exitcode(status),
        "operations": int(counted[0]) if counted else 0,
        "out": reading[0].result(),
        "said": reading[1].result(),
        "seconds": time.monotonic() - began,
        "processor": used.ru_utime + used.ru_stime,
        "megabytes": used.ru_maxrss / 1024,
    }


def drained(end: int, other: int) -> str:
    """Read what comes through a pipe until nobody can write to it any more."""
    os.close(other)
    with os.fdopen(end, "rb") as file:
        return file.read().decode(errors="replace")


TINY = "--tensorflow" in sys.argv

if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever is printed by what is imported
    import captioner.cli.predict
    import captioner.library

    if TINY:
        os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1")
        import captioner.training.captioning
        import captioner.training.characters  # noqa: F401
    print("{}", file=answers)
    for line in sys.stdin:
        print(json.dumps(fork(json.loads(line))), file=answers)
