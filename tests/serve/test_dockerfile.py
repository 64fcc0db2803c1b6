"""The Dockerfile names files, extras, options and commands that exist; the image itself is not built here."""

import http.server
import json
import re
import shlex
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = ("python", "useradd")
"""What RUN may call: part of the image python:3.13-slim."""


class Instruction(NamedTuple):
    """A line of the Dockerfile, continued lines joined."""

    name: str
    value: str


@pytest.fixture(scope="module")
def instructions() -> list[Instruction]:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [Instruction(*line.split(maxsplit=1)) for line in lines]


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture
def value_of(instructions: list[Instruction]) -> Callable[[str], str]:
    """Returns a function that gives the value of an instruction that stands there once."""

    def find(name: str) -> str:
        (value,) = (each.value for each in instructions if each.name == name)
        return value

    return find


@pytest.fixture
def commands(instructions: list[Instruction]) -> list[list[str]]:
    """What RUN calls."""
    runs = [each.value.split("&&") for each in instructions if each.name == "RUN"]
    return [shlex.split(command) for run in runs for command in run]


def copied(instructions: list[Instruction]) -> list[str]:
    """Name what comes from the repository."""
    copies = [each.value.split() for each in instructions if each.name == "COPY" and "--from" not in each.value]
    return [source for *sources, _ in copies for source in sources]


def test_what_is_copied_is_there_and_not_ignored(instructions):
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    kept = [line.removeprefix("!") for line in lines if line.startswith("!")]
    assert [line for line in lines if not line.startswith(("!", "#"))] == ["*", "**/__pycache__"]
    assert all((ROOT / each).exists() for each in kept)
    for source in copied(instructions):
        assert any(each == source or each.startswith(f"{source}/") for each in kept), source


def test_what_the_build_reads_is_copied(instructions, project):
    sources = copied(instructions)
    hatch = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
    needed = [
        project["readme"],
        *project["license-files"],
        *hatch["targets"]["wheel"]["include"],
        "pyproject.toml",
        "constraints.txt",
    ]
    for each in needed:
        assert any(each == source or each.startswith(f"{source}/") for source in sources), each


def test_the_version_of_python_is_one_that_the_package_takes(instructions, project):
    versions = {re.match(r"python:(3\.\d+)-slim\b", each.value)[1] for each in instructions if each.name == "FROM"}
    (version,) = versions
    (least,) = re.findall(r">=3\.(\d+)", project["requires-python"])
    limit = re.findall(r"<3\.(\d+)", project["requires-python"])
    minor = int(version.split(".")[1])
    assert int(least) <= minor
    assert all(minor < int(each) for each in limit)


def test_its_commands_have_extras_and_options_that_exist(commands, project):
    assert {command[0].rpartition("/")[2] for command in commands} <= set(PROGRAMS)
    (install,) = (command for command in commands if "pip" in command)
    extras = re.findall(r"^\.\[([\w,]+)\]$", install[-1])[0].split(",")
    assert set(extras) <= set(project["optional-dependencies"])
    told = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--help"], capture_output=True, text=True, check=True
    )
    assert {each for each in install if each.startswith("--")} <= set(re.findall(r"--[\w-]+", told.stdout))


@pytest.mark.skipif(not shutil.which("useradd"), reason="no useradd here")
def test_the_user_is_made_and_owns_the_volume(commands, value_of):
    (adding,) = (command for command in commands if command[0] == "useradd")
    told = subprocess.run(["useradd", "--help"], capture_output=True, text=True, check=True).stdout
    assert {each for each in adding if each.startswith("--")} <= set(re.findall(r"--[\w-]+", told))
    assert adding[-1] == value_of("USER") != "root"
    assert "--create-home" in adding
    assert adding[adding.index("--home-dir") + 1] == value_of("VOLUME")


def test_it_serves_on_the_port_that_it_exposes(value_of, project):
    program, command, *arguments = json.loads(value_of("ENTRYPOINT"))
    assert program in project["scripts"]
    assert command == "serve"
    parsed = import_module("captioner.cli.serve").make_parser("serve").parse_args(arguments)
    assert parsed.host == "0.0.0.0"
    assert str(parsed.port) == value_of("EXPOSE")
    assert f"http://127.0.0.1:{parsed.port}/health" in value_of("HEALTHCHECK")


@pytest.fixture
def check_health(value_of) -> Callable[[int], int]:
    """Returns a function that runs the check against another port: its exit status."""
    program, *arguments = json.loads(value_of("HEALTHCHECK").partition("CMD")[2])
    assert program == "python"

    def check(port: int) -> int:
        code = [each.replace(":7860/", f":{port}/") for each in arguments]
        return subprocess.run([sys.executable, *code], capture_output=True, timeout=30).returncode

    return check


@pytest.fixture
def refusing() -> Iterator[int]:
    """The port of a server that answers 503."""

    class Refusing(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(503)

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_its_check_tells_a_server_that_answers_from_one_that_does_not(check_health, start, refusing):
    running = start("--host", "0.0.0.0", "--port", "0")
    assert check_health(running.port) == 0
    assert check_health(refusing) == 1
    running.process.kill()
    running.process.wait()
    assert check_health(running.port) == 1


def test_the_documents_run_it_with_its_port_and_its_volume(value_of):
    text = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [shlex.split(line) for line in text.splitlines() if line.startswith("docker run ") and "captioner" in line]
    lines = [line for line in lines if "tensorflow/serving" not in line]
    assert len(lines) > 1
    for line in lines:
        (volume,) = (after for option, after in pairwise(line) if option == "--volume")
        assert volume.partition(":")[2] == value_of("VOLUME")
        ports = [after for option, after in pairwise(line) if option == "--publish"]
        assert {port.rpartition(":")[2] for port in ports} <= {value_of("EXPOSE")}
    assert any("--read-only" in line and "--publish" in line for line in lines)
