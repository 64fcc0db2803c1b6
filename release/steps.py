"""Steps of a release: commands that make files of files, each left out while neither has changed."""

import hashlib
import json
import os
import shlex
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from captioner.errors import CaptionerError
from captioner.system.files import write_json


@dataclass(frozen=True)
class Step:
    """A command of the plan.

    Attributes:
        name: as the command line and the progress call it.
        command: Python and its arguments, run in the root of the repository.
        reads: the files that it depends on; those that do not exist count as empty.
        writes: the files that it makes, or changes.
        without: a variable of the environment that it must not see.
    """

    name: str
    command: tuple[str, ...]
    reads: tuple[Path, ...]
    writes: tuple[Path, ...]
    without: str = ""

    @property
    def typed(self) -> str:
        """The command as somebody would type it."""
        return shlex.join((*(("env", "-u", self.without) if self.without else ()), "python", *self.command[1:]))

    def stamp(self) -> str:
        """Return a checksum of the command and of the content of all files."""
        digest = hashlib.blake2b(self.typed.encode(), digest_size=16)
        for path in (*self.reads, *self.writes):
            digest.update(hashlib.blake2b(path.read_bytes() if path.is_file() else b"").digest())
        return digest.hexdigest()


def run_steps(steps: Sequence[Step], root: Path, stamps: Path, again: bool = False) -> None:
    """Run those whose files have changed since they last ran, and say of each what is done.

    A step that ends well is noted in `stamps` at once, so the same call resumes after an interruption.

    Args:
        steps: in order.
        root: the folder to run them in.
        stamps: a JSON file.
        again: run all of them.

    Raises:
        CaptionerError: one fails; those after it are not begun.
        OSError: the stamps cannot be written.
    """
    known = read_stamps(stamps)
    for number, step in enumerate(steps, start=1):
        title = f"[{number}/{len(steps)}] {step.name}"
        if not again and known.get(step.name) == step.stamp():
            print(f"{title}: up to date", flush=True)
            continue
        print(f"{title}: {step.typed}", flush=True)
        before, began = {path: _content(path) for path in step.writes}, time.monotonic()
        environment = {name: value for name, value in os.environ.items() if name != step.without}
        status = subprocess.run(step.command, cwd=root, env=environment, check=False).returncode
        if status:
            raise CaptionerError(f"{step.name} ended with status {status}, see above; the same command resumes there")
        changed = [path.relative_to(root).as_posix() for path in step.writes if _content(path) != before[path]]
        said = f"changed {', '.join(changed)}" if changed else "changed nothing"
        print(f"{title}: {said} ({time.monotonic() - began:.0f} s)", flush=True)
        known = {**read_stamps(stamps), step.name: step.stamp()}
        stamps.parent.mkdir(parents=True, exist_ok=True)
        write_json(stamps, known)


def read_stamps(path: Path) -> Mapping[str, str]:
    """Return the stamps of steps by name; none where there are none, or the file is damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
