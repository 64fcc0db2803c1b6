"""Thousands of broken photos: each gets a caption or a reason, in no time, and in little memory."""

import http.client
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captioner import Captioner
from captioner.errors import PhotoError
from captioner.photos.opening import open_photo
from captioner.photos.preprocessing import preprocess
from tests.soak.mutations import mutations, originals, scene

ROOT = Path(__file__).parents[2]
COMPACT = ROOT / "saved_models" / "compact"
MOST_MEGABYTES = 1500
MOST_SECONDS = 5


def test_a_sample_of_them_opens_or_is_told():
    told = 0
    for name, content in mutations(len(originals()) + 60, 1):
        began = time.process_time()
        try:
            assert preprocess(open_photo(content), 32).shape == (32, 32, 3)
        except PhotoError as error:
            assert "\n" not in str(error), name  # noqa: PT017
            told += 1
        assert time.process_time() - began < MOST_SECONDS, name
    assert told > 20


def test_the_eight_orientations_of_a_photo_have_one_caption():
    turned = [content for name, content in originals() if re.fullmatch(r"turned-1\.png", name)]
    upright = np.asarray(Image.open(io.BytesIO(turned[0])))
    stored = [
        *(upright, upright[:, ::-1], upright[::-1, ::-1], upright[::-1]),
        *(upright.transpose(1, 0, 2), np.rot90(upright), np.rot90(upright, 2).transpose(1, 0, 2), np.rot90(upright, 3)),
    ]
    files = []
    for orientation, pixels in enumerate(stored, start=1):
        exif, file = Image.Exif(), io.BytesIO()
        exif[0x0112] = orientation
        Image.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG", exif=exif)
        files.append(file.getvalue())
    captions = Captioner.load(COMPACT)(files)
    assert {caption.text for caption in captions} == {captions[0].text}
    np.testing.assert_allclose([caption.score for caption in captions], captions[0].score, atol=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows does not tell how much memory a process took")
def test_two_thousand_in_a_folder(forks, tmp_path):
    names = []
    (tmp_path / "photos").mkdir()
    for name, content in mutations(2000, 2):
        path = tmp_path / "photos" / f"{len(names):04d}-{name}"
        path.write_bytes(content)
        names.append(path.name)
    command = ["predict", "photos", "--model", COMPACT, "--format", "json", "--output", "captions.json"]
    ended = forks()(tmp_path, command, env={"XDG_CACHE_HOME": str(tmp_path / "cache")})
    assert ended["status"] == 1
    assert ended["megabytes"] < MOST_MEGABYTES
    captioned = [Path(json.loads(line)["image"]).name for line in (tmp_path / "captions.json").read_text().splitlines()]
    said = ended["said"].replace("\r", "\n")  # what follows the progress bar begins behind a carriage return
    told = re.findall(r"^captioner: photos/([^\n]+?): [^\n]+$", said, re.MULTILINE)
    assert sorted([*captioned, *told]) == sorted(names)
    print(f"{len(captioned)} captions, {len(told)} reasons, {ended['seconds']:.0f} s, {ended['megabytes']:.0f} MB")


@pytest.mark.slow
def test_none_of_them_takes_long():
    captioner = Captioner.load(COMPACT)
    longest = ("", 0.0)
    for name, content in mutations(2000, 2):
        began = time.process_time()
        try:
            captioner(content)
        except PhotoError as error:
            assert "\n" not in str(error)  # noqa: PT017
        longest = max(longest, (name, time.process_time() - began), key=lambda each: each[1])
    assert longest[1] < MOST_SECONDS, longest
    print(f"the longest took {longest[1]:.2f} s: {longest[0]}")


class Served:
    """The page with the compact model, as a process."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "captioner", "serve", "--port", "0", "--model", str(COMPACT)],
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder), "HOME": str(folder)},
        )
        said = ""
        for line in self.process.stderr:
            said += line
            if found := re.search(r"http://([\d.]+):(\d+)/", line):
                self.place = found[1], int(found[2])
                return
        raise AssertionError(said)

    def post(self, body: object, headers: dict[str, str] | None = None, timeout: float = 120) -> tuple[int, dict]:
        """Ask for a caption: the status, and the answer."""
        connection = http.client.HTTPConnection(*self.place, timeout=timeout)
        try:
            connection.request("POST", "/caption", body, headers or {}, encode_chunked=not isinstance(body, bytes))
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def megabytes(self) -> float:
        """The most memory that it has taken."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024

    def processes(self) -> list[int]:
        """The process and those that it has started."""
        found = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [self.process.pid, *(int(each) for path in found for each in path.read_text().split())]

    def seconds(self) -> float:
        """The time of a processor that it has taken."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> int:
        """Send SIGTERM, and return the exit status."""
        self.process.send_signal(signal.SIGTERM)
        _, said = self.process.communicate(timeout=60)
        assert "Traceback" not in said, said
        return self.process.returncode


@pytest.fixture
def served(tmp_path) -> Iterator[Served]:
    served = Served(tmp_path)
    yield served
    served.process.kill()
    served.process.communicate()


needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")


@pytest.mark.slow
@needs_proc
def test_two_thousand_through_the_page(served):
    statuses: Counter[int] = Counter()
    longest = ("", 0.0)
    for name, content in mutations(2000, 3):
        began = served.seconds()
        status, answer = served.post(content)
        longest = max(longest, (name, served.seconds() - began), key=lambda each: each[1])
        statuses[status] += 1
        assert ("caption" if status == 200 else "error") in answer, name
    assert set(statuses) <= {200, 400, 413, 422}
    assert longest[1] < MOST_SECONDS, longest
    assert served.megabytes() < MOST_MEGABYTES
    assert served.stop() == 0
    print(f"{dict(statuses)}, the longest {longest[1]:.2f} s: {longest[0]}")


@pytest.mark.slow
@needs_proc
def test_the_two_worst_whose_clients_have_gone_hold_nobody_up(served, slow_photo):
    worst = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (5000, 9000, 3), np.uint8)
    Image.fromarray(noise).save(worst, "JPEG", quality=50, progressive=True)
    photo = io.BytesIO()
    scene((512, 512)).save(photo, "JPEG")
    most, done = 0.0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.is_set():
            most = max(most, sum(resident(process) for process in served.processes()))
            time.sleep(0.02)

    watching = threading.Thread(target=watch)
    watching.start()
    for content in (slow_photo, worst.getvalue()):
        for _ in range(2):
            connection = http.client.HTTPConnection(*served.place)
            connection.request("POST", "/caption", content)
            time.sleep(0.5)
            connection.close()
    begun = time.monotonic()
    assert served.post(photo.getvalue())[0] == 200
    answered = time.monotonic() - begun
    waiting = [http.client.HTTPConnection(*served.place) for _ in range(4)]
    for connection in waiting:
        connection.request("POST", "/caption", slow_photo)
    time.sleep(0.5)
    begun = time.monotonic()
    assert served.stop() == 0
    stopped = time.monotonic() - begun
    done.set()
    watching.join()
    for connection in waiting:
        connection.close()
    print(f"answered after {answered:.1f} s, stopped after {stopped:.1f} s, {most:.0f} MB in all processes")
    assert answered < 10
    assert stopped < 10
    assert most < 2500


def resident(process: int) -> float:
    """The megabytes that a process holds; 0 where it has ended."""
    try:
        return int(Path(f"/proc/{process}/statm").read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except (OSError, IndexError):
        return 0.0


@pytest.mark.slow
@needs_proc
def test_twenty_clients_and_those_who_mean_no_good(served):
    photo = io.BytesIO()
    scene((512, 512)).save(photo, "JPEG")
    whole = io.BytesIO()
    scene((8000, 6000)).save(whole, "JPEG")
    expected = served.post(photo.getvalue())[1]["caption"]
    done = threading.Event()
    form = {"Content-Type": "multipart/form-data; boundary=x"}

    def slow() -> None:
        def drops() -> Iterator[bytes]:
            while not done.is_set():
                time.sleep(0.2)
                yield b"x"

        with suppress(OSError):  # it is cut off
            served.post(drops(), {"Transfer-Encoding": "chunked"}, timeout=200)

    def until_done(ask: Callable[[], tuple[int, dict]], allowed: set[int]) -> int:
        asked = 0
        while not done.is_set():
            try:
                status, _ = ask()
            except OSError:  # it may be cut off as it sends what nobody wants
                status = 0
            assert status in allowed | {0, 503}
            asked += 1
            time.sleep(0.05)
        return asked

    def patient() -> str:
        while True:
            status, answer = served.post(photo.getvalue())
            if status == 200:
                return answer["caption"]
            assert status == 503, answer
            time.sleep(1)

    with ThreadPoolExecutor(30) as pool:
        bad = [
            pool.submit(until_done, lambda: served.post(bytes(30_000_000)), {413}),
            pool.submit(until_done, lambda: served.post(b"--x\r\nContent-Dispo", form), {400}),
            pool.submit(until_done, lambda: served.post(b"--y\r\n\r\n--y--", form), {400}),
            pool.submit(until_done, lambda: served.post(whole.getvalue()), {200}),
            *(pool.submit(slow) for _ in range(3)),
        ]
        with ThreadPoolExecutor(20) as clients:
            captions = list(clients.map(lambda _: patient(), range(200)))
        done.set()
        asked = [each.result() for each in bad]
    assert captions == [expected] * 200
    assert all(asked[:4])
    assert served.megabytes() < MOST_MEGABYTES
    print(f"meanwhile {asked[:4]} bad requests; {served.megabytes():.0f} MB")
    assert served.stop() == 0
