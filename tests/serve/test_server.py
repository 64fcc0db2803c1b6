"""The endpoint as programs meet it, and what a server must survive."""

import io
import os
import re
import signal
import socket
import struct
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import pytest
from PIL import Image

from captioner.cli.main import main
from captioner.config.decoding import SamplingConfig, WordingConfig
from captioner.errors import CaptionerError
from captioner.serve.limits import ApiError, Limits
from captioner.serve.request_options import CaptionOptions
from captioner.serve.server import listen, make_server, url
from captioner.serve.site import Site

MB = 1_000_000
HEAD = b"POST /caption HTTP/1.1\r\nHost: localhost\r\n"


def form(content: bytes, name: str = "photo", filename: str | None = "a.jpg", boundary: str = "edge") -> tuple:
    """The body and the headers of a form with one field."""
    named = f'; filename="{filename}"' if filename else ""
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'
    body = head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
    return body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}


def png(width: int, height: int) -> bytes:
    """The first bytes of a PNG of that size."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(b"\0" * 100))]
    parts = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def connect(server) -> socket.socket:
    return socket.create_connection((server.host, server.port), timeout=30)


def answer_of(connection: socket.socket) -> str:
    """All that comes until the server closes the connection."""
    with connection.makefile("rb") as file:
        return file.read().decode()


def test_strangers_write_nothing_into_the_log(start):
    server = start()
    broken = b'--x\r\nContent-Disposition; name="a"\r\n\r\nabc\r\n--x--\r\n'
    for body in (broken, b"--y", b"--x\r\n:\r\n\r\n"):
        assert server.ask("POST", "/caption", body, {"Content-Type": "multipart/form-data; boundary=x"})[0] == 400
    for path in ("/\x1b[31m".replace("\x1b", "%1b"), "/nothing%0acaptioner:%20stopped"):
        assert server.ask("GET", path)[0] == 404
    assert server.stop(signal.SIGTERM) == (0, "captioner: stopped\n")


def test_the_endpoint_says_what_the_captioner_says(server, tiny, photos):
    captioner = tiny.tiny_captioner()
    expected = [captioner(photo) for photo in photos]
    assert len({caption.text for caption in expected}) > 3
    for photo, caption in zip(photos, expected, strict=True):
        found = server.caption(photo)
        assert found["caption"] == caption.text
        assert found["score"] == pytest.approx(caption.score, rel=1e-5)
        assert found["words"] == list(caption.words)
        assert [each["caption"] for each in found["candidates"]] == [each.text for each in caption.candidates]
        assert (found["confidence"], found["certainty"], found["familiar"], found["doubtful"]) == (
            None,
            "",
            None,
            False,
        )
        for each, candidate in zip(found["candidates"], caption.candidates, strict=True):
            assert each["probabilities"] == pytest.approx(candidate.probabilities, abs=6e-5)
            assert len(each["probabilities"]) == len(each["words"])
        assert server.ask("POST", "/caption", *form(photo, name="anything")) == (200, found)

    found = server.caption(photos[0], "?attention=true")
    for each, candidate in zip([found, *found["candidates"]], [expected[0], *expected[0].candidates], strict=True):
        assert each["attention"] == [pytest.approx(row, abs=1e-5) for row in candidate.attention.tolist()]


def test_the_endpoint_says_how_sure_it_is(start, tiny, photos, monkeypatch):
    monkeypatch.setenv("TINY_CALIBRATED", "1")
    server, captioner = start(), tiny.tiny_captioner()
    captioner.calibration = tiny.tiny_calibration()
    red = io.BytesIO()
    Image.new("RGB", (40, 40), (250, 2, 2)).save(red, "PNG")
    seen = set()
    for photo in (*photos, red.getvalue()):
        found, caption = server.caption(photo), captioner(photo)
        assert (found["familiar"], found["doubtful"]) == (caption.familiar, caption.doubtful)
        for each, candidate in zip([found, *found["candidates"]], [caption, *caption.candidates], strict=True):
            assert each["confidence"] == pytest.approx(candidate.confidence, abs=1e-4)
            assert each["certainty"] == candidate.certainty
            seen.add(candidate.certainty)
        seen.add(caption.familiar)
    assert seen >= {"sure", "probably", "a guess", True, False}
    assert server.stop(signal.SIGTERM)[0] == 0


def fields(photo: bytes, **options: str) -> tuple:
    """The body and the headers of a form with a photo and other fields."""
    parts = [f'Content-Disposition: form-data; name="{name}"\r\n\r\n{text}'.encode() for name, text in options.items()]
    parts.append(b'Content-Disposition: form-data; name="photo"; filename="a.jpg"\r\n\r\n' + photo)
    body = b"".join(b"--edge\r\n" + part + b"\r\n" for part in parts) + b"--edge--\r\n"
    return body, {"Content-Type": "multipart/form-data; boundary=edge"}


def test_options_of_a_request_are_those_of_the_captioner(server, tiny, photos):
    plain = tiny.tiny_captioner()
    wording = WordingConfig("The cat", ("dog", "runs"))
    expected = plain.with_settings(
        decoding=replace(plain.decoding, max_length=5),
        num_captions=2,
        wording=wording,
        sampling=SamplingConfig(1.5, 4, 0.95, 3),
    )
    given = {"begin": "The cat", "exclude": "dog,runs", "num_captions": "2", "max_length": "5"}
    given |= {"temperature": "1.5", "top_k": "4", "top_p": "0.95", "seed": "3"}
    for photo in photos[:3]:
        texts = [each.text for each in expected(photo).candidates]
        found = server.caption(photo, f"?{urlencode(given)}")
        assert [each["caption"] for each in found["candidates"]] == texts
        assert server.ask("POST", "/caption", *fields(photo, **given)) == (200, found)
        assert server.caption(photo, "?exclude=dog&exclude=runs&begin=&seed=")["caption"] == (
            plain.with_settings(wording=WordingConfig(exclude=("dog", "runs")))(photo).text
        )
    assert server.caption(photos[0])["caption"] == plain(photos[0]).text  # as it was started


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("begin=a+unicorn", "begin: the model does not know 'unicorn'; begin with other words"),
        ("begin=a&begin=the", "begin: given 2 times, expected once"),
        ("begin=" + "a" * 501, "begin: expected at most 500 characters"),
        ("exclude=dog&exclude=" + "a" * 498, "exclude: expected at most 500 characters"),
        ("begin=a+dog&exclude=dog", "exclude: 'dog' stands in begin too; leave it out of one of them"),
        ("num_captions=11", "num_captions: expected a value from 1 to 10, found 11"),
        ("max_length=0", "max_length: expected a value from 1 to 100, found 0"),
        ("temperature=hot", "temperature: expected a number, found 'hot'"),
        ("temperature=nan", "temperature: expected a value from 0.0 to 100.0, found nan"),
        ("temperature=1&seed=-1", "seed: expected a value from 0 to 2147483647, found -1"),
        ("temperature=1&top_k=1.5", "top_k: expected a whole number, found '1.5'"),
        ("top_p=0.5", "top_p: for captions that are drawn at random; give temperature too"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(server, photos, query, error):
    assert server.ask("POST", f"/caption?{query}", photos[0]) == (400, {"error": error})


def test_words_that_the_server_excludes_stay_excluded(tiny, photos):
    excluding = tiny.tiny_captioner().with_settings(wording=WordingConfig("the", ("dog",)))
    for options in (CaptionOptions(exclude=("cat",)), CaptionOptions(begin="a", exclude=("cat",))):
        captioner = options.applied(excluding)
        assert captioner.wording == WordingConfig(options.begin or "the", ("dog", "cat"))
    with pytest.raises(ApiError, match="'dog' stands in begin too"):
        CaptionOptions(begin="a dog").applied(excluding)


def test_what_is_odd_about_a_photo_is_told(server):
    file = io.BytesIO()
    Image.effect_noise((40, 40), 80).save(file, "JPEG")
    whole = server.caption(file.getvalue())
    without_end = server.caption(file.getvalue().removesuffix(b"\xff\xd9"))
    notes = ["the image: the file lacks its end marker, but no pixel is missing"]
    assert without_end == {**whole, "notes": notes}


def test_the_pictures_are_the_photo_and_one_for_each_word(server, photos):
    found = server.caption(photos[0], "?pictures=1")
    assert found["photo"].startswith("data:image/jpeg;base64,")
    for candidate in found["candidates"]:
        assert len(candidate["pictures"]) == len(candidate["words"]) > 0
        assert all(each.startswith("data:image/jpeg;base64,") for each in candidate["pictures"])


TRUNCATED = io.BytesIO()
Image.effect_noise((200, 200), 80).save(TRUNCATED, "JPEG")
REFUSED = {
    "text": (b"not a photo at all", {"Content-Type": "text/plain"}, 422, "not an image that can be read"),
    "truncated": (TRUNCATED.getvalue()[:2000], {}, 422, "truncated"),
    "empty": (b"", {}, 400, "the request has no photo"),
    "too many pixels": (png(10_000, 5_001), {}, 413, "more than 50,000,000 pixels"),
    "bomb": (png(30_000, 30_000), {}, 413, "more than 50,000,000 pixels"),
    "form without a file": (*form(b"words", filename=None), 400, "the request has no photo"),
    "form without a boundary": (
        b"--",
        {"Content-Type": "multipart/form-data"},
        400,
        "the form cannot be read: Missing",
    ),
    "broken form": (b"garbage", form(b"")[1], 400, "the form cannot be read"),
    "form that ends early": (form(b"x" * 100)[0][:80], form(b"")[1], 400, "the request has no photo"),
    "long field": (*form(b"x" * 20_000, filename=None), 400, "the form cannot be read: Part exceeded"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_photo_is_told_so(server, name):
    body, headers, status, message = REFUSED[name]
    found, answer = server.ask("POST", "/caption", body, headers)
    assert (found, set(answer)) == (status, {"error"})
    assert message in answer["error"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health", 200),
        ("GET", "/", 200),
        ("GET", "/caption", 405),
        ("POST", "/health", 405),
        ("POST", "/", 405),
        ("GET", "/nothing", 404),
        ("GET", "/file=/etc/hostname", 404),
        ("GET", "/proxy=http://127.0.0.1/", 404),
        ("GET", "/docs/", 404),
        ("GET", "/page.html", 404),
        ("GET", "/samples/", 404),
        ("GET", "/samples/ORIGIN.md", 404),
        ("GET", "/samples/../page.py", 404),
        ("GET", "/%2e%2e/limits.py", 404),
        ("GET", "//", 404),
        ("HEAD", "/", 200),
        ("HEAD", "/health", 200),
        ("HEAD", "/nothing", 404),
        ("OPTIONS", "/caption", 405),
        ("DELETE", "/caption", 405),
        ("GET", "/static/page.js", 404),
    ],
)
def test_nothing_else_is_open(server, method, path, status):
    assert server.ask(method, path, b"x" if method == "POST" else None)[0] == status


PEAK = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory's peak is read from Linux's /proc")


def memory(server, name: str) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith(f"{name}:")]
    return int(line.split()[1]) * 1024


@PEAK
@pytest.mark.parametrize("way", ["announced", "in chunks", "as a form in chunks"])
def test_fifty_megabytes_are_refused_and_not_kept(server, photos, way):
    def pieces():
        if "form" in way:
            yield form(b"")[0].partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        for _ in range(500):
            yield bytes(100_000)

    server.caption(photos[0])
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")  # the peak begins anew
    before = memory(server, "VmRSS")
    headers = {"Content-Length": str(50 * MB)} if way == "announced" else {"Transfer-Encoding": "chunked"}
    if "form" in way:
        headers |= form(b"")[1]
    status, answer = server.ask("POST", "/caption", pieces(), headers)
    assert (status, answer) == (413, {"error": "the file is larger than 20 MB; make it smaller"})
    grown = memory(server, "VmHWM") - before
    assert grown < (5 * MB if way == "announced" else 45 * MB)
    assert server.files() == []


@PEAK
@pytest.mark.parametrize("end", ["refused", "gone", "no photo"])
def test_what_was_sent_is_let_go(server, photos, end):
    server.caption(photos[0])
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")
    before = memory(server, "VmRSS")
    for _ in range(12):
        if end == "no photo":
            assert server.ask("POST", "/caption", b"no" * 9_500_000)[0] == 422
            continue
        with connect(server) as connection:
            connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
            connection.sendall(b"1312D00\r\n" + bytes(19_900_000))  # of 20,000,000
            if end == "refused":
                connection.sendall(bytes(100_000) + b"\r\n1\r\nx\r\n0\r\n\r\n")
                assert answer_of(connection).startswith("HTTP/1.1 413 ")
    assert server.caption(photos[0])
    assert memory(server, "VmHWM") - before < 85 * MB  # twice what one upload holds, and not twelve times


def test_who_asks_before_sending_need_not_send(server):
    with connect(server) as connection:
        connection.sendall(HEAD + b"Content-Length: 50000000\r\nExpect: 100-continue\r\n\r\n")
        answer = answer_of(connection)
    assert answer.startswith("HTTP/1.1 413 ")
    assert "100 Continue" not in answer


def test_photos_that_come_at_once_get_their_own_captions(server, photos):
    alone = [server.caption(photo) for photo in photos]
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(server.caption, photos * 4)) == alone * 4


def test_clients_that_go_leave_nothing_behind(server, photos):
    for sent in (b"", b"abc", photos[0]):
        with connect(server) as connection:
            connection.sendall(HEAD + f"Content-Length: {len(photos[0])}\r\n\r\n".encode() + sent)
    with connect(server) as connection:
        connection.sendall(b"nonsense\r\n\r\n")
        assert answer_of(connection).startswith("HTTP/1.1 400 ")
    assert server.caption(photos[0])["caption"]
    assert server.files() == []


def test_all_uploads_together_are_bounded_and_none_may_stand_still(start, photos):
    server = start(held_bytes=100_000, silence=2, upload=4)
    head = HEAD + b"Content-Length: 100000\r\n\r\n"
    with connect(server) as slow, connect(server) as dripping, connect(server) as silent, connect(server) as half:
        half.sendall(HEAD[:20])
        slow.sendall(head + bytes(60_000))
        time.sleep(0.3)
        status, answer = server.ask("POST", "/caption", bytes(60_000))
        assert status == 503
        assert "too many photos at once" in answer["error"]
        dripping.sendall(head)
        for _ in range(6):  # never silent for long, and never done
            time.sleep(0.5)
            try:
                dripping.sendall(b"x")
            except OSError:
                break
        assert answer_of(slow).endswith('{"error":"the upload stood still for 2 seconds"}')
        assert answer_of(dripping).endswith('{"error":"the upload took longer than 4 seconds"}')
        for each in (silent, half):  # no request has come, so there is nothing to answer
            each.settimeout(5)
            assert each.recv(1) == b""
    with connect(server) as answered:  # and begins no other
        answered.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n")
        answered.settimeout(5)
        assert answered.recv(10_000).startswith(b"HTTP/1.1 200")
        answered.sendall(b"x")
        while answered.recv(10_000):
            pass
    assert server.ask("POST", "/caption", bytes(60_000))[0] == 422  # there is room again
    assert server.stop(signal.SIGTERM)[0] == 0


@pytest.mark.skipif(os.name == "nt", reason="signals are sent otherwise on Windows")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_server_stops_at_once_and_leaves_nothing(start, photos, number, status):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        server = start(seconds=1)
    finally:
        signal.signal(signal.SIGINT, before)
    body = f"Content-Length: {len(photos[0])}\r\nConnection: close\r\n\r\n".encode() + photos[0]
    with connect(server), connect(server) as half, ThreadPoolExecutor(9) as pool:
        half.sendall(HEAD + b"Content-Length: 1000\r\n\r\nabc")
        asked = [connect(server) for _ in range(9)]
        for each in asked:
            each.sendall(HEAD + body)
        time.sleep(0.5)
        answers = [pool.submit(answer_of, each) for each in asked]
        begun = time.monotonic()
        assert server.stop(number) == (status, "captioner: stopped\n")
        assert time.monotonic() - begun < 8
        assert '"error":"the server is stopping"' in answer_of(half)
        found = [answer.result().split(maxsplit=2)[1] for answer in answers]
        for each in asked:
            each.close()
    assert set(found) == {"200", "503"}  # those that were begun, and those in line
    assert list(server.folder.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="signals are sent otherwise on Windows")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_server_stops_although_a_photo_takes_for_ever(start, photos, number, status):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        server = start(seconds=1000, stopping=1)
    finally:
        signal.signal(signal.SIGINT, before)
    with connect(server) as asked:
        asked.sendall(HEAD + f"Content-Length: {len(photos[0])}\r\n\r\n".encode() + photos[0])
        time.sleep(0.5)
        assert server.stop(number) == (status, "captioner: stopped\n")
        assert '"error":"the server is stopping"' in answer_of(asked)
    assert list(server.folder.iterdir()) == []


def test_who_goes_while_waiting_leaves_the_line(start, photos):
    server = start(seconds=0.5)
    head = HEAD + f"Content-Length: {len(photos[0])}\r\n\r\n".encode()
    impatient = [connect(server) for _ in range(40)]
    for each in impatient:
        each.sendall(head + photos[0])
    time.sleep(0.3)
    for each in impatient:
        each.close()
    begun = time.monotonic()
    server.caption(photos[1])
    assert time.monotonic() - begun < 40 * 0.5 / 3  # two at a time would take ten seconds
    assert server.stop(signal.SIGTERM)[0] == 0


def test_a_line_that_is_too_long_is_closed(start, photos):
    server = start(seconds=1, waiting=2)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda photo: server.ask("POST", "/caption", photo), photos[:4]))
    assert sorted(status for status, _ in found) == [200, 200, 503, 503]
    assert {answer.get("error") for _, answer in found} == {
        None,
        "too many photos are waiting; try again in a moment",
    }
    assert server.stop(signal.SIGTERM)[0] == 0


def test_a_port_that_is_taken_is_named():
    with listen("127.0.0.1", 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        assert url(taken) == f"http://127.0.0.1:{port}/"
        with pytest.raises(
            CaptionerError, match=rf"^127\.0\.0\.1, port {port}: address already in use; choose another"
        ):
            listen("127.0.0.1", port)
    for host in ("no.such.host.invalid", "192.168..5", "a" * 64):
        with pytest.raises(CaptionerError, match=rf"^--host {re.escape(host)}: "):
            listen(host, 0)


@pytest.mark.parametrize("package", ["starlette", "uvicorn", "python_multipart", "prometheus_client"])
def test_without_its_packages_the_command_tells_how_to_get_them(monkeypatch, capsys, package):
    monkeypatch.setitem(sys.modules, package, None)
    assert main(["serve"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"captioner: the page needs {package}, which is not installed; install it with: ")
    assert err.endswith("pip install -r requirements-serve.txt, or: pip install '.[serve]', in Captioner's folder\n")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "argv",
    [
        ["--port", "65536"],
        ["--port", "x"],
        ["--max-megabytes", "0"],
        ["--max-megabytes", "401"],
        ["--num-captions", "-1"],
        ["--root-path", "captions"],
        ["--root-path", "//example.org"],
        ["--root-path", "/with space"],
        ["--allow-origin", "*"],
        ["--allow-origin", "example.org"],
        ["--allow-origin", "https://example.org/page"],
    ],
)
def test_what_makes_no_sense_is_refused(capsys, argv):
    with pytest.raises(SystemExit) as caught:
        main(["serve", *argv])
    assert caught.value.code == 2
    assert f"argument {argv[0]}: expected " in capsys.readouterr().err


@pytest.mark.parametrize("path", ["/caption", "/docs/", "/samples", "/page.css"])
def test_a_root_path_that_hides_a_path_is_refused(path):
    with pytest.raises(CaptionerError, match=rf"^--root-path {path.rstrip('/')}: the server has a path of that name"):
        make_server(None, Limits(), Site("tiny", root_path=path.rstrip("/")))


def test_an_open_door_is_pointed_out(start, server):
    assert server.before == ""
    open_to_all = start("--host", "0.0.0.0")
    expected = "captioner: --host 0.0.0.0: whoever reaches this address can use the page; there is no password\n"
    assert open_to_all.before == expected
    assert open_to_all.stop(signal.SIGTERM)[0] == 0


def test_a_form_in_a_charset_that_is_none_is_refused(server, photos):
    form = (
        b'--x\r\nContent-Disposition: form-data; name="photo"; filename="\xc3\xa9.jpg"\r\n\r\n'
        + photos[0]
        + b"\r\n--x--"
    )
    kind = "multipart/form-data; boundary=x; charset=undefined"
    status, answer = server.ask("POST", "/caption", form, {"content-type": kind})
    assert status == 400
    assert answer["error"].startswith("the form cannot be read: ")
