"""The command on Ray: all cores of this machine, and two nodes of which one goes half-way."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="no Ray here: pip install -r requirements-cluster.txt")

import pyarrow.dataset

from captioner.data.formats import read_dataset

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F"}
"""127.0.0.1, and the same for IPv6, as Linux writes them."""

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def tiny(seconds: float, *argv: object) -> list[str]:
    """The command line with a captioner that takes so long for a photo."""
    return [sys.executable, str(HERE / "tiny.py"), str(seconds), *map(str, argv), "--model", "tiny"]


def call(*command: object) -> subprocess.CompletedProcess:
    found = subprocess.run([*map(str, command)], capture_output=True, text=True, env=ENVIRONMENT, cwd=ROOT, timeout=600)
    assert "Traceback" not in found.stderr
    return found


def rows(output: Path) -> list[dict]:
    return pyarrow.dataset.dataset(output).to_table().to_pylist()


def listening(process: int) -> set[str]:
    """The local addresses, as Linux writes them, on which a process and all that it started listen."""
    family, sockets = {process}, set()
    for each in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        try:
            if int((each / "stat").read_text().rpartition(")")[2].split()[1]) in family:
                family.add(int(each.name))
            if int(each.name) in family:
                sockets |= {str(file.readlink()) for file in (each / "fd").iterdir()}
        except OSError:  # gone since
            continue
    rows = [row.split() for table in ("tcp", "tcp6") for row in Path("/proc/net", table).read_text().splitlines()[1:]]
    return {row[1].split(":")[0] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets}


def family(process: int) -> set[int]:
    """A process and all that it has started."""
    found = {process}
    for each in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        try:
            if int((each / "stat").read_text().rpartition(")")[2].split()[1]) in found:
                found.add(int(each.name))
        except OSError:  # gone since
            continue
    return found


def is_running(process: int) -> bool:
    """Tell whether a process has not ended; what has may wait for its parent to take notice."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let processes hear Ctrl-C also where the tests do not: a shell's background jobs ignore it, and so their own."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def many(tmp_path: Path, photos: Path) -> Path:
    """Six hundred names of those photos."""
    sources = sorted(photos.rglob("*.png"))
    (tmp_path / "many").mkdir()
    for number in range(600):
        (tmp_path / "many" / f"{number}.png").symlink_to(sources[number % len(sources)])
    return tmp_path / "many"


@pytest.mark.long
def test_a_folder_on_the_cores_of_this_machine_and_once_more(photos, captioner, tmp_path):
    found = call(*tiny(0, photos, "--output", tmp_path / "out", "--format", "json"))
    assert (found.returncode, found.stdout) == (1, ""), found.stderr
    lines = found.stderr.splitlines()
    assert re.fullmatch(r"captioner: 8 photos, 7 captions in \d+ s: [\d.]+ photos a second, [\d.]+ a core", lines[-3])
    assert re.fullmatch(r"captioner: [\d.]+ processor seconds a photo; a worker held up to \d+ MB", lines[-2])
    assert lines[-1] == "captioner: 1 left out: not an image that can be read"
    (part,) = (tmp_path / "out").glob("part-*.jsonl")
    written = [json.loads(line) for line in part.read_text().splitlines()]
    assert [row["path"] for row in written] == sorted(row["path"] for row in written)
    for row in written:
        assert (row["caption"] is None) == row["path"].endswith("broken.jpg")
        assert row["caption"] is None or row["caption"] == captioner(row["path"]).text
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["_captioner.json", part.name]

    again = call(*tiny(0, photos, "--output", tmp_path / "out", "--format", "json"))
    assert (again.returncode, again.stdout) == (0, "")
    assert again.stderr == f"captioner: {tmp_path / 'out'} holds 8 photos; nothing more to do\n"


@pytest.mark.long
@pytest.mark.skipif(os.name == "nt", reason="signals are sent otherwise on Windows")
@pytest.mark.usefixtures("interruptible")
def test_a_run_that_was_stopped_goes_on(many, tmp_path):
    output = tmp_path / "out"
    command = tiny(0.05, many, "--output", output)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT, cwd=ROOT) as process:
        while process.poll() is None and not list(output.glob("part-*")):
            time.sleep(0.1)
        if sys.platform == "linux":
            assert listening(process.pid) <= LOOPBACK
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 130, said
    assert said.endswith("captioner: stopped; finished parts are kept, and the same command resumes after them\n")
    assert "Traceback" not in said
    before = {part: part.stat().st_mtime_ns for part in output.glob("part-*")}
    held = len(rows(output))
    assert 0 < held < 600

    found = call(*command)
    assert found.returncode == 0, found.stderr
    assert f"captioner: {output} holds {held} photos; continuing with the others\n" in found.stderr
    assert sorted(row["path"] for row in rows(output)) == sorted(map(str, many.iterdir()))
    assert all(part.stat().st_mtime_ns == written for part, written in before.items())


@pytest.mark.long
@pytest.mark.skipif(os.name == "nt", reason="signals are sent otherwise on Windows")
@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("when", ["with parts", "while Ray starts"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_all_that_it_has_started(many, tmp_path, number, when):
    output = tmp_path / "out"
    with subprocess.Popen(
        tiny(0.05, many, "--output", output), stderr=subprocess.PIPE, text=True, env=ENVIRONMENT, cwd=ROOT
    ) as process:
        wanted = "part-*" if when == "with parts" else "_plan.jsonl"
        while process.poll() is None and not list(output.glob(wanted)):
            time.sleep(0.1)
        if when == "while Ray starts":
            time.sleep(2)
        began = family(process.pid)
        process.send_signal(number)
        said = process.communicate(timeout=5)[1]
    assert process.returncode == 128 + number, said
    assert said.endswith("captioner: stopped; finished parts are kept, and the same command resumes after them\n")
    assert "Traceback" not in said
    time.sleep(1)
    assert not [each for each in began if is_running(each)]


@pytest.mark.long
def test_a_node_is_lost_and_every_photo_is_there_once(many, captioner, tmp_path):
    output = tmp_path / "out"
    command = tiny(0.03, many, "--output", output, "--ray-address", "auto")
    found = call(sys.executable, "benchmarks/two_nodes.py", output, 1, *command)
    assert found.returncode == 0, found.stderr
    written = rows(output)
    assert sorted(row["path"] for row in written) == sorted(map(str, many.iterdir()))
    expected = {path: captioner(path).text for path in {Path(row["path"]).resolve() for row in written}}
    for row in written:
        assert row["caption"] == expected[Path(row["path"]).resolve()]


@pytest.mark.long
def test_a_node_is_lost_and_the_captions_are_those_of_predict():
    photos = []  # made up where there are none
    if data := os.environ.get("CAPTIONER_DATA"):
        photos = ["--folder", read_dataset(Path(data)).split("dev")[0].image.parent]
    found = call(sys.executable, "benchmarks/bulk.py", "--photos", 200, "--only", "loss", *photos)
    assert found.returncode == 0, found.stderr
    assert "| 200 | 200 | 200 | 200 | a node was killed when " in found.stdout


def test_without_a_cluster_to_join(photos, tmp_path):
    environment = {name: value for name, value in ENVIRONMENT.items() if name != "RAY_ADDRESS"}
    found = subprocess.run(
        tiny(0, photos, "--output", tmp_path / "out", "--ray-address", "auto"),
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
    )
    assert found.returncode == 1
    assert found.stderr.startswith("captioner: --ray-address auto: no cluster is running that this machine belongs to")
    assert found.stderr.count("\n") == 1
