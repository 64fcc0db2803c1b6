"""Routes, headers and failures: what a browser, a proxy and a program find, and what a stranger does not."""

import contextlib
import http.client
import io
import json
import re
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from captioner import __version__, pictures
from captioner.serve import pages
from captioner.serve.app import App
from captioner.serve.limits import REASONS, Limits
from captioner.serve.openapi import openapi
from captioner.serve.site import Site

SERVE = Path(pages.__file__).parent


def raw(server, method: str, path: str, headers: dict[str, str] | None = None, body: bytes | None = None) -> tuple:
    """Ask with these headers alone: the status, the headers with names in lower case, and the body."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=30)
    try:
        given = headers or {}
        connection.putrequest(method, path, skip_host="Host" in given, skip_accept_encoding=True)
        for name, value in given.items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def until(condition: Callable[[], bool], seconds: float = 10) -> bool:
    """Wait until it holds, at most so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


ALL = [*pages.FILES, "/health", "/metrics", "/openapi.json"]


@pytest.mark.parametrize("path", ALL)
def test_head_is_get_without_a_body(server, path):
    status, headers, body = raw(server, "GET", path)
    assert status == 200
    found = raw(server, "HEAD", path)
    assert (found[0], found[2]) == (200, b"")
    assert found[1]["content-type"] == headers["content-type"]
    if path != "/metrics":  # which counts the former
        assert found[1]["content-length"] == headers["content-length"] == str(len(body))


@pytest.mark.parametrize("path", [*ALL, "/nothing"])
def test_every_answer_binds_the_browser(server, path):
    _, headers, _ = raw(server, "GET", path)
    policy = dict(each.split(" ", 1) for each in headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data: blob:",
        "media-src": "'self' blob:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in headers
    assert "server" not in headers


def test_the_files_of_the_page_are_served_as_they_are(server):
    for path, (name, media_type) in pages.FILES.items():
        _, headers, body = raw(server, "GET", path)
        assert body == (SERVE / name).read_bytes()
        assert headers["content-type"].split(";")[0] == media_type


def test_the_page_names_no_other_address_and_no_inline_script():
    for name in ("page.html", "page.css", "page.js", "docs.html"):
        text = (SERVE / name).read_text(encoding="utf-8")
        addresses = set(re.findall(r"(?:https?:)?//[\w.]+", text)) - {"http://www.w3.org"}  # the name of SVG
        assert addresses <= {"http://127.0.0.1"}, name  # in the examples
        assert not re.search(r"<script(?! src)|<style|\sstyle=|\son\w+=|url\(|@import|(?:src|href)=\"/", text), name


def test_the_page_lays_attention_over_the_photo_as_predict_does():
    css = (SERVE / "page.css").read_text(encoding="utf-8")
    assert re.findall(r"\.looked \{[^}]*opacity: ([\d.]+);", css) == [str(pictures.ATTENTION_OPACITY)]


def test_the_samples_are_small_and_their_origin_is_told():
    samples = sorted((SERVE / "samples").glob("*.jpg"))
    assert samples
    assert sum(path.stat().st_size for path in samples) < 100_000
    origin = (SERVE / "samples" / "ORIGIN.md").read_text(encoding="utf-8")
    page = (SERVE / "page.html").read_text(encoding="utf-8")
    for path in samples:
        assert f"`{path.name}`" in origin
        assert f'data-sample="samples/{path.name}"' in page
        assert f"/samples/{path.name}" in pages.FILES


def test_health_names_the_model_and_the_version(server):
    assert server.ask("GET", "/health") == (
        200,
        {"status": "ok", "model": "tiny", "version": __version__, "max_megabytes": 20, "max_megapixels": 50},
    )


def test_the_document_describes_what_there_is(server, photos):
    status, document = server.ask("GET", "/openapi.json")
    assert status == 200
    assert document == openapi(Limits())
    app = App(None, Limits(), Site("tiny"))
    assert set(document["paths"]) == app.paths - set(pages.FILES)
    for path, methods in document["paths"].items():
        for method in ("get", "post", "put", "delete"):
            status, _ = server.ask(method.upper(), path, photos[0] if method == "post" else None)
            assert (status == 405) == (method not in methods), (method, path)
            assert status == 405 or str(status) in methods[method]["responses"]

    schemas = document["components"]["schemas"]
    answer = server.caption(photos[0], "?attention=true&pictures=true")
    assert set(answer) | {"notes"} == set(schemas["Answer"]["properties"])  # of an odd file
    assert set(answer["candidates"][0]) == set(schemas["Candidate"]["properties"])
    assert set(server.caption(photos[0])) == set(schemas["Answer"]["required"])
    assert set(server.ask("GET", "/health")[1]) == set(schemas["Health"]["required"])
    references = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert references == set(schemas)


def test_the_docs_tell_what_the_document_tells(server):
    document, text = openapi(Limits()), (SERVE / "docs.html").read_text(encoding="utf-8")
    caption = document["paths"]["/caption"]["post"]
    assert all(f"<td>{status}</td>" in text for status in caption["responses"] if status != "200")
    for each in caption["parameters"]:
        assert f"<code>{each['name']}={'true</code>' if 'enum' in each['schema'] else ''}" in text
    assert all(path in text or f'href="{path[1:]}"' in text for path in document["paths"])
    assert all(f'"{name}": ' in text for name in document["components"]["schemas"]["Answer"]["required"])
    assert set(re.findall(r"captioner_\w+", text)) <= set(
        re.findall(r"captioner_\w+", server.ask("GET", "/metrics")[1])
    )


def test_a_slash_at_the_end_is_the_same(server, photos):
    assert server.ask("POST", "/caption/", photos[0]) == (200, server.caption(photos[0]))


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("GET", "/nothing", 404, "/nothing: not found; /docs lists what there is"),
        ("POST", "/nothing", 404, "/nothing: not found; /docs lists what there is"),
        ("GET", "/caption", 405, "/caption: expected POST, found GET"),
        ("POST", "/health", 405, "/health: expected GET or HEAD, found POST"),
        ("BREW", "/", 405, "/: expected GET or HEAD, found BREW"),
    ],
)
def test_a_wrong_path_or_method_is_told_in_json(server, method, path, status, error):
    found, headers, body = raw(server, method, path, body=b"x" if method == "POST" else None)
    assert (found, json.loads(body)) == (status, {"error": error})
    assert headers["content-type"] == "application/json"
    if status == 405:
        assert headers["allow"] == error.removeprefix(f"{path}: expected ").split(", found")[0].replace(" or ", ", ")


def test_what_is_no_http_is_told_in_json(server):
    for sent in (b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"):
        with socket.create_connection((server.host, server.port), timeout=10) as connection:
            connection.sendall(sent)
            with connection.makefile("rb") as file:
                head, _, body = file.read().partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 Bad Request")
        assert json.loads(body) == {"error": "the request is not valid HTTP/1.1"}


def test_nonsense_behind_a_refused_request_ends_it(server):
    with socket.create_connection((server.host, server.port), timeout=15) as connection:
        connection.sendall(
            b"POST /caption HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
            b"Content-Type: multipart/form-data\r\n\r\n"
        )
        assert connection.recv(10_000).startswith(b"HTTP/1.1 400")
        connection.sendall(b"nonsense\r\n")
        connection.settimeout(5)
        while connection.recv(10_000):
            pass
    assert server.ask("GET", "/health")[0] == 200


def test_a_bug_is_told_in_json_and_in_the_log(start, photos):
    server = start()
    white = io.BytesIO()
    Image.new("RGB", (9, 9), "white").save(white, "PNG")
    status, answer = server.ask("POST", "/caption", white.getvalue())
    assert (status, answer) == (500, {"error": "the server has a bug; its log has the details"})
    assert server.caption(photos[0])["caption"]
    server.process.send_signal(signal.SIGTERM)
    _, said = server.process.communicate(timeout=30)
    assert "RuntimeError: a bug" in said


def test_a_request_for_another_host_is_refused(server, photos):
    for method, path in (("GET", "/"), ("POST", "/caption"), ("GET", "/health"), ("OPTIONS", "/caption")):
        status, headers, body = raw(server, method, path, {"Host": "evil.example:7860"}, photos[0])
        assert status == 421
        assert "'evil.example:7860'" in json.loads(body)["error"]
        assert "evil" not in str(headers)
    for host in (f"localhost:{server.port}", "127.0.0.1", "[::1]:1"):
        assert raw(server, "GET", "/health", {"Host": host})[0] == 200


def test_other_sites_may_post_only_where_they_are_named(start, server, photos):
    friend, evil = {"Origin": "https://friend.example"}, {"Origin": "https://evil.example"}
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-more"}
    for headers in (friend, evil, friend | asks):
        method = "OPTIONS" if "Access-Control-Request-Method" in headers else "POST"
        status, found, body = raw(server, method, "/caption", headers, photos[0])
        assert status == 403
        assert headers["Origin"] in json.loads(body)["error"]
        assert not [name for name in found if name.startswith("access-control")]

    open_to = start("--allow-origin", "https://other.example", "--allow-origin", "HTTPS://Friend.example:443/")
    status, found, body = raw(open_to, "POST", "/caption", friend | {"Sec-Fetch-Site": "cross-site"}, photos[0])
    assert (status, json.loads(body)["caption"]) == (200, server.caption(photos[0])["caption"])
    assert (found["access-control-allow-origin"], found["vary"]) == ("https://friend.example", "Origin")
    status, found, body = raw(open_to, "POST", "/caption", friend, b"no photo")  # which scripts read too
    assert (status, found["access-control-allow-origin"]) == (422, "https://friend.example")

    status, found, _ = raw(open_to, "OPTIONS", "/caption", friend | asks)
    assert (status, found["access-control-allow-origin"]) == (200, "https://friend.example")
    assert found["access-control-allow-methods"] == "GET, HEAD, POST"
    assert found["access-control-allow-headers"] == "content-type,x-more"
    status, found, body = raw(open_to, "OPTIONS", "/caption", friend | asks | {"Access-Control-Request-Method": "PUT"})
    assert (status, json.loads(body)) == (400, {"error": "Disallowed CORS method"})
    for headers in (evil, evil | asks, {"Sec-Fetch-Site": "cross-site"}):
        status, found, _ = raw(
            open_to, "OPTIONS" if "Origin" in headers and len(headers) > 1 else "POST", "/caption", headers
        )
        assert status == 403
        assert not [name for name in found if name.startswith("access-control")]
    assert raw(open_to, "GET", "/health", {"Host": "friend.example"})[0] == 200  # a proxy's name for it
    assert raw(open_to, "GET", "/health", {"Host": "evil.example"})[0] == 421
    assert open_to.stop(signal.SIGTERM)[0] == 0


def test_a_proxy_may_take_the_root_path_off_or_leave_it_on(start, photos):
    server = start("--root-path", "/captions/")
    for root in ("", "/captions"):
        for path in ALL:
            assert raw(server, "GET", f"{root}{path}")[0] == 200
        assert server.ask("POST", f"{root}/caption", photos[0])[0] == 200
        assert server.ask("GET", f"{root}/nothing")[0] == 404
        assert server.ask("GET", f"{root}/openapi.json")[1]["servers"] == [{"url": "."}]
    status, headers, _ = raw(server, "GET", "/captions")
    assert (status, headers["location"]) == (308, "/captions/")
    assert server.ask("GET", "/captionsx/health")[0] == 404
    assert server.ask("GET", "/captions/captions/health")[0] == 404
    assert server.stop(signal.SIGTERM)[0] == 0


def metrics_of(server) -> dict[str, float]:
    status, headers, body = raw(server, "GET", "/metrics")
    assert status == 200
    assert headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = [line for line in body.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_metrics_count_requests_refusals_seconds_and_the_queue(start, photos):
    server = start(seconds=1, waiting=9)
    assert {f'captioner_refusals_total{{reason="{reason}"}}' for reason in REASONS} < set(metrics_of(server))
    server.caption(photos[0])
    server.ask("POST", "/caption/", photos[0])
    server.ask("POST", "/caption", b"no photo")
    server.ask("POST", "/caption", b"")
    for number in range(5):
        server.ask("GET", f"/nothing/{number}")
    raw(server, "GET", "/health", {"Host": "evil.example"})
    found = metrics_of(server)
    assert found['captioner_requests_total{route="/caption",status="200"}'] == 2
    assert found['captioner_requests_total{route="/caption",status="422"}'] == 1
    assert found['captioner_requests_total{route="other",status="404"}'] == 5
    assert found['captioner_requests_total{route="/health",status="421"}'] == 1
    assert found['captioner_refusals_total{reason="unreadable_photo"}'] == 1
    assert found['captioner_refusals_total{reason="no_photo"}'] == 1
    assert found['captioner_refusals_total{reason="not_found"}'] == 5
    assert found['captioner_refusals_total{reason="host"}'] == 1
    assert found['captioner_request_seconds_count{route="/caption"}'] == 4
    assert 2 < found['captioner_request_seconds_sum{route="/caption"}'] < 60
    assert found[f'captioner_model_info{{model="tiny",version="{__version__}"}}'] == 1
    assert (found["captioner_queue_length"], found["captioner_photos_in_work"], found["captioner_upload_bytes"]) == (
        0,
        0,
        0,
    )

    head = f"POST /caption HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(photos[0])}\r\n\r\n".encode()
    asked = [socket.create_connection((server.host, server.port)) for _ in range(9)]
    for each in asked:
        each.sendall(head + photos[0])
    assert until(lambda: metrics_of(server)["captioner_queue_length"] >= 4)
    found = metrics_of(server)
    assert found["captioner_photos_in_work"] >= 1
    assert found["captioner_upload_bytes"] > 0
    for each in asked:
        each.close()
    assert until(lambda: metrics_of(server)["captioner_upload_bytes"] == 0)
    assert metrics_of(server)['captioner_requests_total{route="/caption",status="499"}'] > 0
    assert server.stop(signal.SIGTERM)[0] == 0


def test_a_client_that_does_not_read_loses_its_connection(start):
    server = start(download=1, silence=2)
    sample = b"GET /samples/coffee.jpg HTTP/1.1\r\nHost: localhost\r\n\r\n"
    size, count = len((SERVE / "samples" / "coffee.jpg").read_bytes()), 300

    def read(connection: socket.socket) -> int:
        """Count the bytes that come until the end, or until as many answers as were asked for have come."""
        got = 0
        with contextlib.suppress(ConnectionResetError):
            while got < size * count and (content := connection.recv(1 << 20)):
                got += len(content)
        return got

    with socket.socket() as deaf, socket.socket() as reading:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for each in (deaf, reading):
            each.connect((server.host, server.port))
            each.settimeout(20)
            each.sendall(sample * count)  # together 12 MB, which no system keeps for a connection
        assert read(reading) >= size * count
        time.sleep(3)
        assert read(deaf) < size * count
    assert server.stop(signal.SIGTERM) == (0, "captioner: stopped\n")


def test_photos_of_clients_that_have_gone_are_given_up(start, slow_photo, photos):
    server = start()
    asked = [socket.create_connection((server.host, server.port)) for _ in range(2)]
    for each in asked:
        each.sendall(f"POST /caption HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(slow_photo)}\r\n\r\n".encode())
        each.sendall(slow_photo)
    assert until(lambda: metrics_of(server)["captioner_photos_in_work"] > 0)
    for each in asked:
        each.close()
    assert server.caption(photos[0])["caption"]
    assert until(lambda: metrics_of(server)["captioner_photos_in_work"] == 0)
    assert metrics_of(server)['captioner_requests_total{route="/caption",status="499"}'] == 2
    assert server.stop(signal.SIGTERM) == (0, "captioner: stopped\n")


def test_more_connections_than_there_may_be_are_told_so(start, monkeypatch):
    monkeypatch.setenv("TINY_CONNECTIONS", "3")
    server = start()
    idle = [socket.create_connection((server.host, server.port)) for _ in range(3)]
    assert until(lambda: server.ask("GET", "/health")[0] == 503)
    assert server.ask("GET", "/health")[1] == {"error": "too many connections; try again later"}
    for each in idle:
        each.close()
    assert until(lambda: server.ask("GET", "/health")[0] == 200)
    assert server.stop(signal.SIGTERM)[0] == 0


@pytest.mark.parametrize(("value", "seen"), [("yes", True), ("TRUE", True), ("1", True), ("no", False), ("", False)])
def test_a_flag_may_be_written_in_any_usual_way(server, photos, value, seen):
    answer = server.caption(photos[0], f"?attention={value}")
    assert ("attention" in answer["candidates"][0]) == seen


def test_a_flag_that_is_neither_yes_nor_no_is_refused(server, photos):
    status, answer = server.ask("POST", "/caption?attention=maybe", photos[0])
    assert (status, answer["error"]) == (400, "attention: expected true or false, found 'maybe'")
