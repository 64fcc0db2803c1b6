import io
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captioner.errors import PhotoError, TooManyPixelsError
from captioner.photos import process as photo_process
from captioner.photos.limits import Budget
from captioner.photos.opening import open_photo
from captioner.photos.process import OpeningCancelledError, PhotoOpener, Wanted

WHOLE = Wanted()
watched = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="the system has no /proc to look into")  # noqa: PTH110


def encoded(image, format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def noise(seed=0, size=(40, 30)):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8))


@pytest.fixture(scope="module")
def opener():
    with closing(PhotoOpener()) as shared:
        yield shared


def opening(**budget):
    return closing(PhotoOpener(Budget(**budget)))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "WEBP", "AVIF", "BMP", "TIFF"])
def test_another_process_sees_the_same_pixels(opener, tmp_path, format):
    content = encoded(noise(), format)
    path = tmp_path / "photo"
    path.write_bytes(content)
    expected = open_photo(content)
    for source in (content, path, str(path)):
        (photo,) = opener.open(source, WHOLE)
        np.testing.assert_array_equal(photo, expected)
    np.testing.assert_array_equal(open_photo(path, size=9, opener=opener), open_photo(content, size=9))


def test_a_square_and_a_small_one_come_together(opener):
    square, shown = opener.open(encoded(noise()), Wanted(size=8, shown=20))
    np.testing.assert_array_equal(square, open_photo(encoded(noise()), size=8))
    assert shown.shape == (15, 20, 3)


def test_a_jpeg_is_decoded_to_as_much_as_is_shown(opener):
    content = encoded(noise().resize((800, 600)), "JPEG")
    square, shown = opener.open(content, Wanted(size=8, shown=200))  # for the square an eighth would do
    assert (square.shape, shown.shape) == ((8, 8, 3), (150, 200, 3))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "the file is empty"),
        (b"text", "not an image that can be read"),
        (encoded(noise())[:900], "the file is truncated"),
        (None, "no such file"),
    ],
)
def test_another_process_says_the_same(opener, tmp_path, content, complaint):
    path = tmp_path / "p\udcffhoto.jpg" if sys.platform == "linux" else tmp_path / "photo.jpg"
    if content is not None:
        path.write_bytes(content)
    for keywords in ({"opener": opener}, {}):
        with pytest.raises(PhotoError) as found:
            open_photo(path, **keywords)
        assert str(found.value).startswith(f"{path}: {complaint}")


def test_the_kind_of_an_error_comes_through(opener):
    with pytest.raises(TooManyPixelsError, match="more than 1,199 pixels"):
        opener.open(encoded(noise()), Wanted(max_pixels=1199))


def test_a_relative_path_leads_to_the_same_file_after_a_change_of_directory(opener, tmp_path, monkeypatch):
    opener.open(encoded(noise()), WHOLE)
    (tmp_path / "a.png").write_bytes(encoded(noise(1)))
    monkeypatch.chdir(tmp_path)
    np.testing.assert_array_equal(opener.open("a.png", WHOLE)[0], np.asarray(noise(1)))


def test_many_threads_have_a_process_each(opener):
    contents = [encoded(noise(seed)) for seed in range(24)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda content: opener.open(content, WHOLE)[0], contents))
    for seed, photo in enumerate(found):
        np.testing.assert_array_equal(photo, np.asarray(noise(seed)))


def test_a_note_comes_through_and_stays_with_its_photo(opener, tmp_path):
    path = tmp_path / "cut.jpg"
    path.write_bytes(encoded(noise(), "JPEG")[:-2])
    notes = []
    for source in (path, encoded(noise(), "JPEG")):
        open_photo(source, opener=opener, on_note=notes.append)
    assert notes == [f"{path}: the file lacks its end marker, but no pixel is missing"]


@watched
def test_a_photo_that_takes_too_much_time_is_given_up_and_the_next_is_opened(slow_photo):
    with opening(processor=0.3) as opener:
        with pytest.raises(PhotoError, match=r"the image: takes too much time to open \(more than 0.3 seconds of"):
            opener.open(slow_photo, WHOLE)
        assert opener.open(encoded(noise()), WHOLE)[0].shape == (30, 40, 3)


def test_time_that_other_photos_took_does_not_count(opener, monkeypatch):
    opener.open(encoded(noise()), WHOLE)
    worker = opener._idle[-1]
    assert worker.processor > 0
    worker.begun = time.monotonic()
    monkeypatch.setattr(photo_process, "_taken", lambda process: (worker.processor + 3.9, 0))
    worker.look_after()
    assert worker.verdict == ""
    monkeypatch.setattr(photo_process, "_taken", lambda process: (worker.processor + 4.1, 0))
    worker.look_after()
    assert worker.verdict.startswith("takes too much time")
    opener._idle.remove(worker)
    worker.end()


def test_a_deadline_holds_where_nothing_else_is_known(monkeypatch, slow_photo):
    monkeypatch.setattr(photo_process, "_taken", lambda process: (0.0, 0))
    with opening(wall=0.3) as opener, pytest.raises(PhotoError, match=r"takes too much time to open \(more than 0.3"):
        opener.open(slow_photo, WHOLE)


@pytest.mark.skipif(sys.platform != "linux", reason="the system does not bound a process's memory")
def test_a_photo_that_takes_too_much_memory_is_given_up_and_the_next_is_opened():
    with opening(memory=200_000_000) as opener:
        with pytest.raises(PhotoError, match="the image: takes too much memory to open"):
            opener.open(encoded(Image.new("RGB", (7000, 5000))), WHOLE)
        assert opener.open(encoded(noise()), WHOLE)[0].shape == (30, 40, 3)


@watched
def test_memory_is_watched_from_outside_too(monkeypatch, slow_photo):
    monkeypatch.setattr(photo_process, "_taken", lambda process: (0.0, 10**12))
    with opening() as opener, pytest.raises(PhotoError, match=r"takes too much memory to open \(more than 950 MB\)"):
        opener.open(slow_photo, WHOLE)


@pytest.mark.skipif(sys.platform == "win32", reason="the system knows no signals")
@pytest.mark.parametrize(
    ("number", "complaint"),
    [("SIGSEGV", r"its decoder crashed \(signal 11\)"), ("SIGXCPU", "too much time"), ("SIGKILL", "too much memory")],
)
def test_a_decoder_that_crashes_costs_one_photo(number, complaint, slow_photo):
    with opening() as opener:

        def crash():
            while not opener._busy:
                time.sleep(0.001)
            time.sleep(0.1)
            os.kill(next(iter(opener._busy)).process.pid, getattr(signal, number))

        killer = threading.Thread(target=crash)
        killer.start()
        with pytest.raises(PhotoError, match=complaint):
            opener.open(slow_photo, WHOLE)
        killer.join()
        assert opener.open(encoded(noise()), WHOLE)[0].shape == (30, 40, 3)


def test_who_no_longer_waits_ends_the_work(slow_photo):
    with opening() as opener:
        cancelled = threading.Event()
        threading.Timer(0.1, cancelled.set).start()
        with pytest.raises(OpeningCancelledError):
            opener.open(slow_photo, Wanted(cancelled=cancelled))
        assert opener.open(encoded(noise()), WHOLE)[0].shape == (30, 40, 3)


def test_closing_ends_every_process(slow_photo):
    with opening() as opener:
        opener.open(encoded(noise()), WHOLE)
        idle = opener._idle[0].process
        threading.Timer(0.2, opener.close).start()
        with pytest.raises(OpeningCancelledError):
            opener.open(slow_photo, WHOLE)
    assert idle.poll() is not None
    assert not opener._idle
    assert not opener._busy


def test_an_opener_that_nobody_holds_ends_its_processes():
    opener = PhotoOpener()
    opener.open(encoded(noise()), WHOLE)
    process = opener._idle[0].process
    del opener
    deadline = time.monotonic() + 10
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process.poll() is not None


def test_a_process_ends_with_the_one_that_started_it(tmp_path):
    script = (
        "import os, sys, numpy as np\n"
        "from captioner.photos.process import PhotoOpener, Wanted\n"
        "opener = PhotoOpener()\n"
        "opener.open(sys.argv[1], Wanted())\n"
        "print(opener._idle[0].process.pid, flush=True)\n"
        "os._exit(0)\n"  # as a kill would, without any cleaning up
    )
    path = tmp_path / "a.png"
    path.write_bytes(encoded(noise()))
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
    process = int(done.stdout)
    deadline = time.monotonic() + 10
    while alive(process) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not alive(process)


def alive(process):
    try:
        os.kill(process, 0)
    except OSError:
        return False
    return True


def test_a_script_without_a_guard_is_not_run_again(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(noise()))
    script = tmp_path / "script.py"
    script.write_text(
        "print('begun')\n"
        "from captioner.photos.process import PhotoOpener, Wanted\n"
        "print(PhotoOpener().open('a.png', Wanted())[0].shape)\n"
    )
    (tmp_path / "PIL.py").write_text("raise SystemExit('imported from the working directory')\n")
    root = str(Path(photo_process.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-P", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("begun\n(30, 40, 3)\n", "")


def test_a_process_that_was_killed_while_it_waited_costs_no_photo():
    with opening() as opener:
        opener.open(encoded(noise()), WHOLE)
        opener._idle[0].process.kill()
        opener._idle[0].process.wait()
        assert opener.open(encoded(noise()), WHOLE)[0].shape == (30, 40, 3)


def test_nothing_is_killed_once_it_has_ended_well(monkeypatch):
    cancelled = threading.Event()
    with opening() as opener:
        opener.open(encoded(noise()), Wanted(cancelled=cancelled))
        worker = opener._idle[0]
        cancelled.set()
        worker.look_after()
        assert worker.verdict == ""
        assert worker.process.poll() is None


def test_processes_may_be_started_ahead():
    with opening() as opener:
        opener.prepare(2)
        processes = [worker.process.pid for worker in opener._idle]
        assert opener.open(encoded(noise()), WHOLE)[0].shape == (30, 40, 3)
        assert [worker.process.pid for worker in opener._idle] == processes
        opener.prepare(1)
        assert len(opener._idle) == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
def test_a_fork_starts_processes_of_its_own():
    script = (
        "import os, sys, io\n"
        "from captioner.photos.process import Wanted, shared_opener\n"
        "opener = shared_opener()\n"
        "print(opener.open(sys.argv[1], Wanted())[0].shape, flush=True)\n"
        "if not (child := os.fork()):\n"
        "    print(opener.open(sys.argv[1], Wanted())[0].shape)\n"
        "    sys.exit()\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "print(opener.open(sys.argv[1], Wanted())[0].shape, len(opener._idle))\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.png")
        path.write_bytes(encoded(noise()))
        done = subprocess.run(
            [sys.executable, "-c", script, path], capture_output=True, text=True, check=True, timeout=60
        )
    assert done.stdout == "(30, 40, 3)\n" * 2 + "(30, 40, 3) 1\n"
