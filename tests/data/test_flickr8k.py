import hashlib
import io
import re
import shutil
import stat
import threading
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from captioner.data import flickr8k
from captioner.data.flickr8k import Archive, find_or_download
from captioner.errors import CaptionerError
from captioner.system import download

TEXT = {
    "Flickr8k.token.txt": "a.jpg#0\tA dog .\nb.jpg#0\tA cat .\nc.jpg#0\tA man .\n",
    "Flickr_8k.trainImages.txt": "a.jpg\n",
    "Flickr_8k.devImages.txt": "b.jpg\n",
    "Flickr_8k.testImages.txt": "c.jpg\n",
}
PHOTOS = {f"Flicker8k_Dataset/{name}.jpg": name * 5000 for name in "abc"}
PHOTOS_ZIP, TEXT_ZIP = "Flickr8k_Dataset.zip", "Flickr8k_text.zip"


def packed(members: dict[str, str], compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return file.getvalue()


class Server:
    """A server on this machine: what it serves, whether it knows ranges, and what it was asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.ranges = True
        self.answers = threading.Event()
        self.answers.set()
        self.break_off_after: int | None = None
        self.asked: list[tuple[str, str | None]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name, wanted = self.path.lstrip("/"), self.headers.get("Range")
                outer.asked.append((name, wanted))
                content = outer.files.get(name)
                if content is None:
                    self.send_error(404)
                    return
                outer.answers.wait(10)
                first = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and outer.ranges else 0
                if first >= len(content):
                    self.send_error(416)
                    return
                self.send_response(206 if first else 200)
                if first:
                    self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
                self.send_header("Content-Length", str(len(content) - first))
                self.end_headers()
                self.wfile.write(content[first : outer.break_off_after])

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.handle_error = lambda *_: None  # a client that went away
        self.url = f"http://127.0.0.1:{self.http.server_port}/"

    def serve(self, monkeypatch: pytest.MonkeyPatch, **archives: bytes) -> None:
        """Serve these bytes as the archives, and make their MD5 the ones that are expected."""
        contents = {PHOTOS_ZIP: archives["photos"], TEXT_ZIP: archives["text"]}
        self.files.update(contents)
        expected = [
            Archive(archive.name, hashlib.md5(contents[archive.name]).hexdigest(), archive.folder)
            for archive in flickr8k.ARCHIVES
        ]
        monkeypatch.setattr(flickr8k, "ARCHIVES", tuple(expected))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    """A server of small archives; the current directory is tmp_path."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.chdir(tmp_path)
    server = Server()
    server.serve(monkeypatch, photos=packed(PHOTOS), text=packed(TEXT))
    thread = threading.Thread(target=server.http.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.http.shutdown()
    thread.join()
    server.http.server_close()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "datasets" / "flickr8k"


@pytest.fixture
def get(server: Server) -> Callable[[], str]:
    return lambda: find_or_download(None, environ={"CAPTIONER_DATA_URL": server.url}).report()


WHOLE = "flickr8k: 1 train, 1 dev, 1 test photos"


class TestFind:
    @pytest.fixture(autouse=True)
    def no_network(self, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(download, "urlopen", lambda *_, **__: pytest.fail("went to the network"))

    def make(self, root: Path, caption: str) -> Path:
        root.mkdir(parents=True)
        (root / "captions.csv").write_text(f"image,caption\na.jpg,{caption}\n")
        (root / "a.jpg").touch()
        return root

    def found(self, *arguments: object, **environ: str) -> str:
        (example,) = find_or_download(*arguments, environ=environ).split("train")
        return example.captions[0]

    def test_data_comes_before_the_environment_and_the_default_folder(self, tmp_path):
        named = self.make(tmp_path / "named", "named")
        environment = self.make(tmp_path / "environment", "environment")
        self.make(tmp_path / "datasets/flickr8k", "default")
        assert self.found(named, CAPTIONER_DATA=str(environment)) == "named"
        assert self.found(str(named)) == "named"
        assert self.found(None, CAPTIONER_DATA=str(environment)) == "environment"
        assert self.found(None, CAPTIONER_DATA="") == "default"
        assert self.found(None) == "default"

    def test_home_directory_is_expanded(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path))
        self.make(tmp_path / "named", "named")
        assert self.found("~/named") == "named"

    @pytest.mark.parametrize("data", ["nowhere", "", Path("nowhere"), "~no such user/x", "x" * 300])
    def test_a_missing_folder_is_not_downloaded(self, data):
        with pytest.raises(CaptionerError, match=r"--data names .*, which is not a folder"):
            find_or_download(data, environ={})

    def test_a_missing_folder_of_the_environment(self):
        with pytest.raises(CaptionerError, match="CAPTIONER_DATA names 'nowhere'"):
            find_or_download(None, environ={"CAPTIONER_DATA": "nowhere"})

    def test_a_folder_without_captions_is_not_filled(self, tmp_path):
        (tmp_path / "empty").mkdir()
        with pytest.raises(CaptionerError, match="no caption file in"):
            find_or_download(tmp_path / "empty", environ={})

    def test_other_formats_cannot_be_downloaded(self):
        with pytest.raises(CaptionerError, match="only Flickr8k can be downloaded; name the folder of your coco data"):
            find_or_download(None, "coco", environ={})


class TestDownload:
    def test_from_nothing(self, get, server, home):
        assert get() == WHOLE
        assert sorted(path.name for path in home.iterdir()) == ["Flicker8k_Dataset", "Flickr8k_text"]
        assert (home / "Flicker8k_Dataset/b.jpg").read_text() == "b" * 5000
        assert server.asked == [(PHOTOS_ZIP, None), (TEXT_ZIP, None)]

    def test_a_second_call_asks_for_nothing(self, get, server):
        get()
        server.asked.clear()
        assert get() == WHOLE
        assert server.asked == []

    def test_two_that_begin_at_once_ask_once(self, get, server):
        server.answers.clear()  # the second asks before the first is answered, if it asks at all
        with ThreadPoolExecutor(2) as pool:
            found = [pool.submit(get) for _ in range(2)]
            wait(found, 0.3)
            server.answers.set()
        assert [each.result() for each in found] == [WHOLE, WHOLE]
        assert server.asked == [(PHOTOS_ZIP, None), (TEXT_ZIP, None)]

    @pytest.mark.parametrize(("folder", "name"), [("Flicker8k_Dataset", PHOTOS_ZIP), ("Flickr8k_text", TEXT_ZIP)])
    def test_gets_only_the_folder_that_is_missing(self, get, server, home, folder, name):
        get()
        server.asked.clear()
        shutil.rmtree(home / folder)
        assert get() == WHOLE
        assert server.asked == [(name, None)]

    def test_photos_elsewhere_are_enough(self, get, server, home):
        get()
        server.asked.clear()
        (home / "Flicker8k_Dataset").rename(home / "Images")
        assert get() == WHOLE
        assert server.asked == []

    def test_data_of_another_layout_is_left_alone(self, get, server, home):
        home.mkdir(parents=True)
        (home / "captions.csv").write_text("image,caption\nlost.jpg,A dog\n")
        with pytest.raises(CaptionerError, match="no photo with a caption"):
            get()
        assert server.asked == []

    def test_says_nothing_on_stdout(self, get, capsys):
        get()
        assert capsys.readouterr().out == ""

    def test_archive_with_one_top_folder_and_mac_leftovers(self, get, server, monkeypatch, home):
        leftovers = {"__MACOSX/": "", "__MACOSX/Flickr8k_text/._Flickr8k.token.txt": "x"}
        text = packed({**{f"Flickr8k_text/{name}": content for name, content in TEXT.items()}, **leftovers})
        server.serve(monkeypatch, photos=packed(PHOTOS), text=text)
        assert get() == WHOLE
        assert sorted(path.name for path in (home / "Flickr8k_text").iterdir()) == sorted(TEXT)

    @pytest.mark.parametrize("ranges", [True, False])
    def test_goes_on_after_the_bytes_that_are_there(self, get, server, home, ranges):
        server.ranges = ranges
        home.mkdir(parents=True)
        (home / f"{PHOTOS_ZIP}.part").write_bytes(server.files[PHOTOS_ZIP][:7000])
        assert get() == WHOLE
        assert server.asked[0] == (PHOTOS_ZIP, "bytes=7000-")

    def test_a_part_that_is_whole(self, get, server, home):
        home.mkdir(parents=True)
        (home / f"{PHOTOS_ZIP}.part").write_bytes(server.files[PHOTOS_ZIP])
        assert get() == WHOLE

    def test_broken_connection(self, get, server, home):
        server.break_off_after = 4000
        with pytest.raises(CaptionerError, match=r"broke off after 4000 of \d+ bytes. Run the same command again"):
            get()
        assert (home / f"{PHOTOS_ZIP}.part").stat().st_size == 4000
        server.break_off_after = None
        assert get() == WHOLE
        assert server.asked[1] == (PHOTOS_ZIP, "bytes=4000-")

    @pytest.mark.parametrize("ranges", [True, False])
    def test_damaged_part_is_removed(self, get, server, home, ranges):
        server.ranges = ranges
        home.mkdir(parents=True)
        part = home / f"{TEXT_ZIP}.part"
        part.write_bytes(b"x" * 10)
        if not ranges:
            server.files[TEXT_ZIP] = b"<html>Please log in</html>"
        with pytest.raises(CaptionerError, match=r"the MD5 of .* is [0-9a-f]{32}, not .*; it has been removed"):
            get()
        assert not part.exists()
        assert not (home / "Flickr8k_text").exists()
        assert (home / "Flicker8k_Dataset/a.jpg").exists()

    def test_archives_put_there_by_hand(self, get, server, home):
        home.mkdir(parents=True)
        for name, content in server.files.items():
            (home / name).write_bytes(content)
        assert get() == WHOLE
        assert server.asked == []
        assert not list(home.glob("*.zip"))

    def test_a_wrong_archive_put_there_by_hand_is_kept(self, get, home):
        home.mkdir(parents=True)
        (home / PHOTOS_ZIP).write_bytes(b"mine")
        with pytest.raises(CaptionerError, match="delete it, or put the right one there"):
            get()
        assert (home / PHOTOS_ZIP).read_bytes() == b"mine"

    def test_not_there(self, get, server):
        del server.files[TEXT_ZIP]
        with pytest.raises(CaptionerError, match=r"cannot get Flickr8k_text\.zip from http.*: HTTP Error 404"):
            get()

    def test_no_server_names_both_urls_and_what_to_do(self, server):
        with pytest.raises(CaptionerError) as error:
            find_or_download(None, environ={"CAPTIONER_DATA_URL": "http://127.0.0.1:1"})
        urls = [f"http://127.0.0.1:1/{name}" for name in (PHOTOS_ZIP, TEXT_ZIP)]
        for part in (*urls, "Connection refused", "datasets/flickr8k", "--data"):
            assert part in str(error.value)

    def test_a_server_that_does_not_answer(self, get, server, monkeypatch):
        monkeypatch.setattr(download, "TIMEOUT", 0.1)
        server.answers.clear()
        try:
            with pytest.raises(CaptionerError, match="timed out"):
                get()
        finally:
            server.answers.set()

    def test_an_address_that_is_none(self, server):
        with pytest.raises(CaptionerError, match="unknown url type"):
            find_or_download(None, environ={"CAPTIONER_DATA_URL": "somewhere"})

    def test_full_disk(self, get, monkeypatch, home):
        def full(self, member, path):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(zipfile.ZipFile, "extract", full)
            with pytest.raises(OSError, match="No space left on device") as told:
                get()
        assert told.value.filename == str(Path("datasets", "flickr8k", "Flicker8k_Dataset"))
        assert [path.name for path in home.iterdir()] == [PHOTOS_ZIP]
        assert get() == WHOLE

    def test_home_cannot_be_made(self, get, home):
        home.parent.write_text("a file")
        with pytest.raises(CaptionerError, match=r"Not a directory|File exists"):
            get()


class TestInterrupted:
    """Whatever step is cut off, as if by Ctrl-C, the next call goes on and ends with the same files."""

    @pytest.mark.parametrize(
        "step", ["download._fetch", "download.verify", "flickr8k._unpack", "flickr8k._refuse_hostile"]
    )
    @pytest.mark.parametrize("when", ["before", "after"])
    @pytest.mark.parametrize("which", [0, 1])
    def test_goes_on(self, get, monkeypatch, home, step, when, which):
        module, name = {"download": download, "flickr8k": flickr8k}[step.split(".")[0]], step.split(".")[1]
        original = getattr(module, name)
        calls = iter(range(100))

        def interrupted(*arguments):
            stop = next(calls) == which
            if stop and when == "before":
                raise KeyboardInterrupt
            original(*arguments)
            if stop:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(module, name, interrupted)
            with pytest.raises(KeyboardInterrupt):
                get()
        assert get() == WHOLE
        assert {path.name for path in home.iterdir()} == {"Flicker8k_Dataset", "Flickr8k_text"}

    def test_leftovers_of_a_killed_unpacking_are_not_mixed_in(self, get, home):
        stale = home / ".Flicker8k_Dataset.unpacking" / "Flicker8k_Dataset"
        stale.mkdir(parents=True)
        (stale / "half.jpg").touch()
        assert get() == WHOLE
        assert sorted(path.name for path in (home / "Flicker8k_Dataset").iterdir()) == ["a.jpg", "b.jpg", "c.jpg"]


class TestHostile:
    """Archives that have the right MD5 here, but must not be unpacked."""

    def refused(self, get, server, monkeypatch, home, text: bytes, match: str) -> None:
        server.serve(monkeypatch, photos=packed(PHOTOS), text=text)
        with pytest.raises(CaptionerError, match=match):
            get()
        assert not (home / "Flickr8k_text").exists()
        assert not list(home.glob(".*"))

    @pytest.mark.parametrize("name", ["../out.txt", "x/../../out.txt", "/out.txt", "..\\out.txt", "C:\\out.txt"])
    def test_path_out_of_the_folder(self, get, server, monkeypatch, home, tmp_path, name):
        text = packed({**TEXT, name: "x"})
        self.refused(get, server, monkeypatch, home, text, match=re.escape(repr(name)))
        assert not list(tmp_path.rglob("out.txt"))

    @pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFBLK])
    def test_links_and_devices(self, get, server, monkeypatch, home, kind):
        file = io.BytesIO(packed(TEXT))
        with zipfile.ZipFile(file, "a") as archive:
            link = zipfile.ZipInfo("link")
            link.external_attr = (kind | 0o777) << 16
            archive.writestr(link, "/etc/passwd")
        match = "'link', a link or a path out of its folder"
        self.refused(get, server, monkeypatch, home, file.getvalue(), match)

    def test_bomb_by_ratio(self, get, server, monkeypatch, home):
        text = packed({**TEXT, "zeros": "0" * 2_000_000}, zipfile.ZIP_DEFLATED)
        self.refused(get, server, monkeypatch, home, text, match=r"would unpack to 5 files of 2000\d+ bytes")

    def test_bomb_by_size(self, get, server, monkeypatch, home):
        monkeypatch.setattr(flickr8k, "MAX_UNPACKED", 16_000)
        text = packed({**TEXT, "noise": "0123456789" * 2000})
        self.refused(get, server, monkeypatch, home, text, match=r"would unpack to 5 files of 20\d+ bytes")

    def test_bomb_by_count(self, get, server, monkeypatch, home):
        monkeypatch.setattr(flickr8k, "MAX_MEMBERS", 4)
        self.refused(get, server, monkeypatch, home, packed({**TEXT, "x": "x"}), match="would unpack to 5 files")

    @pytest.mark.parametrize("content", [b"not a zip file", packed(TEXT)[:-30]])
    def test_no_archive_at_all(self, get, server, monkeypatch, home, content):
        self.refused(get, server, monkeypatch, home, content, match="cannot be unpacked")

    def test_flipped_bytes(self, get, server, monkeypatch, home):
        content = packed(TEXT).replace(b"A dog", b"A cow", 1)
        self.refused(get, server, monkeypatch, home, content, match="cannot be unpacked.*Bad CRC")

    def test_encrypted(self, get, server, monkeypatch, home):
        content = bytearray(packed({"a": "x"}))
        for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            content[content.index(signature) + offset] |= 1
        self.refused(get, server, monkeypatch, home, bytes(content), match="cannot be unpacked.*encrypted")

    def test_empty(self, get, server, monkeypatch, home):
        self.refused(get, server, monkeypatch, home, packed({}), match="is empty")
