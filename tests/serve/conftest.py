"""Servers with a tiny captioner, each a process of its own with a home and a place for temporary files of its own."""

import http.client
import importlib.util
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
TINY = Path(__file__).with_name("tiny.py")


@dataclass(frozen=True)
class Running:
    """A server that answers, and what it said before it did."""

    process: subprocess.Popen
    host: str
    port: int
    folder: Path
    before: str

    def ask(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict | str]:
        """Return the status, and the body as JSON where it is."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {}, encode_chunked="chunked" in str(headers))
            answer = connection.getresponse()
            text = answer.read().decode()
            return answer.status, json.loads(text) if text and "json" in answer.headers["content-type"] else text
        finally:
            connection.close()

    def caption(self, content: bytes, query: str = "") -> dict:
        status, answer = self.ask("POST", f"/caption{query}", content)
        assert status == 200, answer
        return answer

    def files(self) -> list[Path]:
        """All that lies where the server could leave something."""
        return [path for path in self.folder.rglob("*") if path.is_file()]

    def stop(self, number: int) -> tuple[int, str]:
        """Send the signal: the exit status, and what was said since the start."""
        self.process.send_signal(number)
        out, said = self.process.communicate(timeout=30)
        assert out == ""
        assert "Traceback" not in said
        return self.process.returncode, said


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Running]]:
    """A function that starts a server: limits by name, the seconds that a photo takes, and more of the command line."""
    running = []

    def start(*argv: str, seconds: float = 0, **limits: float) -> Running:
        folder = tmp_path_factory.mktemp("server")
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        environment |= {name: str(folder) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")}
        environment.pop("MPLCONFIGDIR", None)
        process = subprocess.Popen(
            [sys.executable, str(TINY), json.dumps(limits), str(seconds), *argv],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=folder,
        )
        running.append(process)
        before = ""
        for line in process.stderr:
            if found := re.fullmatch(r"captioner: the page is at http://([\d.]+):(\d+)/ \(Ctrl-C stops it\)\n", line):
                return Running(process, found[1], int(found[2]), folder, before)
            before += line
        raise AssertionError(before)

    yield start
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def server(start: Callable[..., Running]) -> Running:
    return start()


@pytest.fixture(scope="session")
def tiny() -> ModuleType:
    """The module that the servers run."""
    spec = importlib.util.spec_from_file_location("tiny", TINY)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def photos() -> list[bytes]:
    """Nine photos of 120 x 90 pixels, of four colours each."""
    draw = np.random.default_rng(22)
    arrays = [draw.integers(256, size=(2, 2, 3)).astype(np.uint8).repeat(45, 0).repeat(60, 1) for _ in range(9)]
    files = []
    for number, array in enumerate(arrays):
        file = io.BytesIO()
        Image.fromarray(array).save(file, "PNG" if number % 2 else "JPEG")
        files.append(file.getvalue())
    return files
