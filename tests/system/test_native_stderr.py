import ast
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from captioner.system.native_stderr import load_onnxruntime, stderr_closed

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "captioner"


def test_what_goes_past_python_is_not_seen(capfd):
    with stderr_closed():
        os.write(2, b"a remark\n")
    os.write(2, b"an error\n")
    assert capfd.readouterr().err == "an error\n"


def test_two_threads_leave_stderr_as_it_was(capfd):
    def close() -> None:
        with stderr_closed():
            time.sleep(0.05)

    with stderr_closed():
        other = threading.Thread(target=close)
        other.start()
        time.sleep(0.05)
    other.join()
    os.write(2, b"an error\n")
    assert capfd.readouterr().err == "an error\n"


def test_it_may_be_closed_twice(capfd):
    with stderr_closed(), stderr_closed():
        pass
    os.write(2, b"an error\n")
    assert capfd.readouterr().err == "an error\n"


def test_what_python_says_comes_through():
    code = """
import os, sys
from captioner.system.native_stderr import stderr_closed
with stderr_closed():
    os.write(2, b"a remark\\n")
    print("a message", file=sys.stderr)
print("the end", file=sys.stderr)
os.write(2, b"an error\\n")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stderr == "a message\nthe end\nan error\n"


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_commands_close_stderr(path):
    row = path.relative_to(PACKAGE).parts[0]
    if row != "cli" and str(path.relative_to(PACKAGE)) not in ("bulk/cluster.py", "system/native_stderr.py"):
        assert "stderr_closed" not in path.read_text(encoding="utf-8")


FOLDERS = ("captioner", "tests", "benchmarks", "docs", "release")
SOURCES = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]


def test_onnxruntime_is_imported_in_one_place():
    importing = {
        path.relative_to(ROOT)
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Import) and any(each.name.split(".")[0] == "onnxruntime" for each in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "onnxruntime")
    }
    assert importing == {Path("captioner/system/native_stderr.py")}


def test_onnxruntime_leaves_nothing_in_an_empty_home(tmp_path):
    code = """
from captioner.system.native_stderr import load_onnxruntime
print(load_onnxruntime().get_available_providers())
"""
    hidden = ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**environment, "HOME": str(tmp_path)},
    )
    assert "CPUExecutionProvider" in done.stdout
    assert list(tmp_path.rglob("*")) == []


def test_who_wants_telemetry_may_have_it(monkeypatch):
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    monkeypatch.setitem(sys.modules, "onnxruntime", SimpleNamespace(set_default_logger_severity=lambda level: None))
    load_onnxruntime()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "0"
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY")
    load_onnxruntime()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "1")  # so that it is put back


@pytest.mark.skipif(os.name == "nt", reason="descriptors are no matter of files there")
def test_a_thread_that_writes_to_stderr_while_a_library_call_loads_loses_no_line():
    """LiteRT and ONNX Runtime, in a process of their own, since they say what they say once."""
    code = """
import os, sys, threading
from captioner import Captioner
from captioner.system.native_stderr import load_onnxruntime
done, count = threading.Event(), 0
def write():
    global count
    while not done.is_set():
        os.write(2, b"line %d\\n" % count)
        count += 1
        done.wait(0.0005)
writer = threading.Thread(target=write)
writer.start()
Captioner.load(sys.argv[1])
load_onnxruntime()
done.set()
writer.join()
print(count)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(ROOT / "saved_models" / "compact")],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("line ")]
    assert lines == [f"line {number}" for number in range(int(done.stdout))]
    assert len(lines) > 10
