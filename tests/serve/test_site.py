"""Who may ask: Host headers and origins, case by case."""

import pytest

from captioner.serve.site import Site, parse_origin

LOCAL = Site("tiny", hosts=("studio",), origins=("https://photos.example.org",))
OPEN = Site("tiny", local=False, origins=("https://photos.example.org:8443",))


@pytest.mark.parametrize(
    "host",
    [
        *(
            "127.0.0.1",
            "127.0.0.1:7860",
            "127.0.0.2:80",
            "localhost",
            "LOCALHOST:1",
            "localhost.",
            "[::1]",
            "[::1]:7860",
        ),
        *("studio:7860", "photos.example.org"),
    ],
)
def test_names_of_this_machine_are_answered(host):
    assert LOCAL.refusal("GET", {"host": host}) is None
    assert LOCAL.refusal("POST", {"host": host}) is None


@pytest.mark.parametrize(
    "host",
    [
        *("", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "evil.example:7860", "10.0.0.1"),
        *(
            "127.0.0.1@evil.example",
            "[::1].evil.example",
            "[::1",
            "::1",
            "0.0.0.0",
            "[::2]:7860",
            "localhost..",
            "[::1]x:1",
        ),
    ],
)
def test_other_names_are_not(host):
    refused = LOCAL.refusal("GET", {"host": host})
    assert (refused.status, refused.reason) == (421, "host")
    assert repr(host) in str(refused)
    assert OPEN.refusal("GET", {"host": host}) is None


HERE = {"host": "127.0.0.1:7860"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://127.0.0.1:7860"},
        {"origin": "http://127.0.0.1:7860", "sec-fetch-site": "same-origin"},
        {"origin": "https://other.example", "sec-fetch-site": "same-origin"},  # a proxy names the server otherwise
        {"sec-fetch-site": "none"},
        {"origin": "https://photos.example.org", "sec-fetch-site": "cross-site"},
        {"host": "localhost", "origin": "http://localhost"},
        {"host": "localhost:80", "origin": "http://localhost"},
    ],
)
def test_the_page_itself_programs_and_allowed_sites_may_post(headers):
    assert LOCAL.refusal("POST", HERE | headers) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "http://127.0.0.1:8000"},
        {"origin": "http://127.0.0.1"},
        {"origin": "http://localhost:7860"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://127.0.0.1:7860", "sec-fetch-site": "cross-site"},
        {"origin": "http://photos.example.org"},
        {"origin": "https://photos.example.org.evil.example"},
        {"origin": "https://photos.example.org:444"},
    ],
)
@pytest.mark.parametrize("method", ["POST", "OPTIONS", "PUT"])
def test_pages_of_other_sites_may_not(headers, method):
    refused = LOCAL.refusal(method, HERE | headers)
    assert (refused.status, refused.reason) == (403, "cross_site")
    assert "--allow-origin" in str(refused)
    assert LOCAL.refusal("GET", HERE | headers) is None


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://example.org", "https://example.org"),
        ("HTTPS://Example.ORG/", "https://example.org"),
        ("http://example.org:80", "http://example.org"),
        ("https://example.org:443/", "https://example.org"),
        ("https://example.org:80", "https://example.org:80"),
        ("http://[::1]:3000", "http://[::1]:3000"),
    ],
)
def test_an_origin_is_written_as_browsers_do(text, origin):
    assert parse_origin(text) == origin


@pytest.mark.parametrize(
    "text",
    [
        *("", "*", "null", "example.org", "ftp://example.org", "https://", "https://example.org/page"),
        *(
            "https://example.org?x",
            "https://a@example.org",
            "https://example.org:x",
            "https://example.org:",
            "http://[::1",
        ),
        "https://b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.example",
    ],
)
def test_what_is_no_origin_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011  # the message is the command line's
        parse_origin(text)
