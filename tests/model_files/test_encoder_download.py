import hashlib
import inspect
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from captioner.errors import CaptionerError
from captioner.model_files import encoder_download, encoder_weights
from captioner.model_files.encoder_download import download_encoder
from captioner.model_files.encoder_weights import is_here, keras_file
from captioner.system import download

CONTENT = bytes(range(256)) * 5000


@pytest.fixture(autouse=True)
def stand_in(no_inception, monkeypatch):
    """Another file in the place of the real one, to be put where nothing is yet."""
    monkeypatch.setattr(encoder_download, "MD5", hashlib.md5(CONTENT).hexdigest())
    monkeypatch.setattr(encoder_weights, "SIZE", len(CONTENT))
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def served() -> list[bytes]:
    """What the server sends; it keeps to Content-Length of the whole, so that a shorter one is cut off."""
    return [CONTENT]


@pytest.fixture
def asked() -> list[str]:
    """What was asked of the server."""
    return []


@pytest.fixture
def url(served, asked, monkeypatch) -> Iterator[str]:
    second = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            second.wait(0.2) if len(asked) == 1 else second.set()
            first = int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
            self.send_response(206 if first else 200)
            if first:
                self.send_header("Content-Range", f"bytes {first}-{len(CONTENT) - 1}/{len(CONTENT)}")
            self.send_header("Content-Length", str(len(CONTENT) - first))
            self.end_headers()
            self.wfile.write(served[0][first:])

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}/weights.h5"
        monkeypatch.setenv("CAPTIONER_ENCODER_URL", address)
        yield address
        server.shutdown()
        thread.join()


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setattr(download, "urlopen", lambda *_, **__: pytest.fail("went to the network"))


def test_address_and_checksum_are_those_of_keras(monkeypatch):
    from keras.src.applications import inception_v3

    monkeypatch.undo()
    assert inception_v3.WEIGHTS_PATH_NO_TOP == encoder_download.URL
    assert f'file_hash="{encoder_download.MD5}"' in inspect.getsource(inception_v3.InceptionV3)
    assert encoder_weights.NAME in inspect.getsource(inception_v3.InceptionV3)


def test_the_place_is_that_of_keras(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "elsewhere"))
    assert keras_file() == tmp_path / "elsewhere" / "models" / encoder_weights.NAME
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert keras_file() == tmp_path / ".keras" / "models" / encoder_weights.NAME


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no file that is full")
def test_a_full_disk_is_not_taken_for_a_bad_network(url):
    keras_file().parent.mkdir(parents=True)
    part = keras_file().with_name(f"{encoder_weights.NAME}.part")
    part.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device") as told:
        download_encoder()
    assert told.value.filename == str(part)


def test_it_is_fetched_once(url, monkeypatch):
    assert not is_here()
    assert download_encoder() is True
    assert keras_file().read_bytes() == CONTENT
    assert is_here()
    assert [path.name for path in keras_file().parent.iterdir()] == [encoder_weights.NAME]
    monkeypatch.setattr(download, "urlopen", lambda *_, **__: pytest.fail("went to the network"))
    assert download_encoder() is False


def test_two_that_begin_at_once_fetch_it_once(url, asked):
    """The server waits a moment with its first answer, so that a second request would come before it ends."""
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: download_encoder(), range(2)))
    assert sorted(found) == [False, True]
    assert len(asked) == 1
    assert keras_file().read_bytes() == CONTENT


def test_what_was_cut_off_goes_on(url, served):
    served[0] = CONTENT[:300_000]
    with pytest.raises(CaptionerError, match=r"broke off after 300000 of 1280000 bytes.*same command again to resume"):
        download_encoder()
    assert not is_here()
    served[0] = b"x" * 300_000 + CONTENT[300_000:]  # what is there already is not taken anew
    assert download_encoder() is True
    assert keras_file().read_bytes() == CONTENT


@pytest.mark.parametrize("there", [CONTENT[:1000], b"x" * len(CONTENT)], ids=["half", "damaged"])
def test_a_wrong_file_is_replaced(url, there):
    keras_file().parent.mkdir(parents=True)
    keras_file().write_bytes(there)
    assert download_encoder() is True
    assert keras_file().read_bytes() == CONTENT


def test_half_a_file_is_not_there():
    keras_file().parent.mkdir(parents=True)
    keras_file().write_bytes(CONTENT[:1000])
    assert not is_here()


def test_another_file_than_the_right_one_is_refused(url, served):
    served[0] = b"x" * len(CONTENT)
    with pytest.raises(CaptionerError, match=r"the MD5 of .* is .*; it has been removed"):
        download_encoder()
    assert list(keras_file().parent.iterdir()) == []


def test_without_a_network_it_is_said_what_to_do(monkeypatch):
    monkeypatch.setenv("CAPTIONER_ENCODER_URL", "http://127.0.0.1:9/weights.h5")  # nobody listens
    with pytest.raises(CaptionerError, match="cannot get InceptionV3's weights from http://127") as error:
        download_encoder()
    for remedy in ("same command again", "copy inception_v3", "--encoder-weights FILE", "CAPTIONER_ENCODER_WEIGHTS"):
        assert remedy in str(error.value)
    assert "\n" not in str(error.value)


def test_a_place_that_cannot_be_written_to_is_named(tmp_path, monkeypatch, offline):
    (tmp_path / "file").touch()
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "file"))
    with pytest.raises(CaptionerError, match=r"Not a directory|File exists"):
        download_encoder()
