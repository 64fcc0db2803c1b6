"""Run a stranger's LiteRT network once in a child process before this process loads it.

LiteRT checks little of what it reads: a flipped bit can make it crash, or never come back. What has been tried is noted
in the cache, by its checksum. Networks that were made here are noted as they are made, and those that come with this
installation are known, so that neither costs a trial.
"""

import contextlib
import os
import sys
from pathlib import Path

from captioner.errors import CaptionerError
from captioner.model_files.directory import NETWORK, CaptionerDirectory
from captioner.model_files.shipped import shipped_model
from captioner.system.files import write_json
from captioner.system.home import cache_directory
from captioner.system.processes import start

DEADLINE = 60.0
"""Seconds that a trial may take."""

PROCESSOR = 10
"""Seconds of a core that a trial may take, and one more for each `BYTES_A_SECOND` of the network."""

BYTES_A_SECOND = 20_000_000

MEMORY = 1_000_000_000
"""Bytes that a trial may take, and four more for each of the network, whose numbers are widened and copied."""


def read_network(model: CaptionerDirectory, name: str = NETWORK) -> bytes:
    """Read an encoder that a model directory has as a network for LiteRT, and try it if that has to be.

    Raises:
        CaptionerError: it is missing or damaged, or no encoder that LiteRT can run.
    """
    network = model.content(name)
    refuse_harmful(network, model.manifest[name], model.path)
    return network


def refuse_harmful(network: bytes, known_as: str, directory: Path) -> None:
    """Try a network, unless this was done before, or it was made here.

    Args:
        network: the content of the file.
        known_as: its checksum, which has been compared.
        directory: where it lies, for the message.

    Raises:
        CaptionerError: it is no encoder that LiteRT can run, or takes too much time or memory.
    """
    note = _note(known_as)
    if note.exists() or known_as in _shipped():
        return
    if reason := _tried(network):
        raise CaptionerError(
            f"the encoder of {directory} is no network that LiteRT can run ({reason}); copy or export the directory "
            "again"
        )
    remember(known_as)


def remember(known_as: str) -> None:
    """Note that the network with this checksum needs no trial; where the cache cannot be written, it is tried again."""
    with contextlib.suppress(OSError):
        write_json(_note(known_as), {})


def _note(known_as: str) -> Path:
    return cache_directory() / "litert" / f"tried-{known_as}.json"


def _shipped() -> set[str]:
    try:
        return set(CaptionerDirectory.read(shipped_model("compact")).manifest.values())
    except CaptionerError:  # it is not everywhere
        return set()


def _tried(network: bytes) -> str:
    """Return what is wrong with a network, "" where nothing is."""
    import subprocess  # which a start without a trial has no use for

    try:
        child = start("captioner.model_files.network_trial")
    except OSError as error:
        return f"the process that should try it cannot be started: {error.strerror}"
    try:
        output, _ = child.communicate(network, timeout=DEADLINE)
    except subprocess.TimeoutExpired:
        return f"it takes more than {DEADLINE:.0f} s"
    finally:
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()
    reason = output.decode(errors="replace").strip()
    if child.returncode == 0 and reason == _GOOD:
        return ""
    return reason if child.returncode == 0 and reason else "it takes too much time or memory, or LiteRT fails over it"


_GOOD = "good"


def main() -> None:
    """Run the network on stdin on an image, and write to stdout what is wrong with it."""
    network = sys.stdin.buffer.read()
    output = os.fdopen(os.dup(1), "w")
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), 1)
    try:
        reason = _run(network)
    except MemoryError:
        reason = "it takes too much memory"
    except Exception as error:  # LiteRT has several kinds
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    output.write(reason)
    output.flush()
    os._exit(0)  # whatever its destructors would still do


def _run(network: bytes) -> str:
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    _bound(len(network))
    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES  # as it is read for Keras
    Interpreter(model_content=network, experimental_op_resolver_type=plain).allocate_tensors()
    interpreter = Interpreter(model_content=network, num_threads=1)
    interpreter.allocate_tensors()
    if interpreter.num_subgraphs() != 1:  # loops and branches are subgraphs: another photo may take another way
        return "it has loops or branches, which no encoder has"
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    if len(inputs) != 1 or len(outputs) != 1:
        return f"expected one input and one output, found {len(inputs)} and {len(outputs)}"
    shape = inputs[0]["shape"]
    if inputs[0]["dtype"] != np.float32 or len(shape) != 4 or tuple(shape) != (1, shape[1], shape[1], 3):
        return f"expected an input float32 (1, S, S, 3), found {inputs[0]['dtype'].__name__} {tuple(shape.tolist())}"
    image = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    interpreter.set_tensor(inputs[0]["index"], image)
    interpreter.invoke()
    features = interpreter.get_tensor(outputs[0]["index"])
    if features.dtype != np.float32 or features.ndim != 3 or features.shape[0] != 1:
        return f"expected an output float32 (1, L, D), found {features.dtype} {features.shape}"
    if not np.isfinite(features).all():
        return "it gives NaN or infinite numbers"
    return "it takes too much memory" if _peak() > MEMORY + 4 * len(network) else _GOOD


def _bound(size: int) -> None:
    """Bound what this process may take for a network of so many bytes, as far as the platform can."""
    try:
        import resource
    except ImportError:  # Windows, where the deadline must do
        return
    seconds = PROCESSOR + size // BYTES_A_SECOND
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        reserved = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        most = reserved + 2 * MEMORY + 4 * size
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _peak() -> int:
    """Return the most bytes that this program has held, 0 if the platform does not report it.

    Linux's `ru_maxrss` is no answer: it begins with what the process that started this one held.
    """
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return 0


if __name__ == "__main__":
    main()
