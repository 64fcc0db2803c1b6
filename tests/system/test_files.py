import os
from pathlib import Path

import pytest

from captioner.errors import CaptionerError
from captioner.system.files import open_regular, read_json, write_json, write_text


def test_text_is_utf8_with_unix_line_ends(tmp_path):
    write_text(tmp_path / "file.txt", "é\n강아지\n")
    assert (tmp_path / "file.txt").read_bytes() == "é\n강아지\n".encode()


def test_json_comes_back(tmp_path):
    value = {"words": ["강아지", "é"], "number": 0.1, "nothing": None, "nested": {"list": [1, [2]]}}
    write_json(tmp_path / "file.json", value)
    assert read_json(tmp_path / "file.json", "file") == value
    assert (tmp_path / "file.json").read_text(encoding="utf-8").startswith('{\n  "words": [\n    "강아지"')


def test_what_is_no_json_leaves_the_old_file(tmp_path):
    write_json(tmp_path / "file.json", 1)
    with pytest.raises(TypeError):
        write_json(tmp_path / "file.json", {1, 2})
    assert read_json(tmp_path / "file.json", "file") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file.json"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"{'a': 1}",
        b'{"a": 1} x',
        b"\xff\xfe{}",
        b"\xef\xbb\xbf{}",
        b'"\x80"',
        b"[" * 100_000,
        b"9" * 10_000,
        b"\x00" * 50,
    ],
    ids=["empty", "half", "quotes", "more", "utf-16", "mark", "latin-1", "deep", "digits", "zeros"],
)
def test_what_is_not_json_is_named(tmp_path, content):
    path = tmp_path / "file.json"
    path.write_bytes(content)
    with pytest.raises(CaptionerError, match=r"the settings .*file\.json is not valid JSON in UTF-8 .*restore it"):
        read_json(path, "settings")


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(CaptionerError, match=r"cannot read the settings .*nothing\.json: No such file"):
        read_json(tmp_path / "nothing.json", "settings")
    with pytest.raises(CaptionerError, match="cannot read the settings"):
        read_json(tmp_path, "settings")


def test_half_a_character_is_written_as_what_it_stands_for(tmp_path):
    write_text(tmp_path / "file.md", "trained on caf\udce9")
    assert (tmp_path / "file.md").read_bytes() == b"trained on caf\\udce9"


@pytest.mark.skipif(os.name == "nt", reason="there are no such files on Windows")
def test_pipes_and_devices_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path / "link", Path("/dev/zero"), Path("/dev/null")):
        with pytest.raises(OSError, match="it is a pipe or a device, and no file") as error:
            open_regular(path)
        assert error.value.filename == str(path)
    with pytest.raises(CaptionerError, match=r"cannot read the vocabulary .*: it is a pipe or a device"):
        read_json(tmp_path / "pipe", "vocabulary")
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path)
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "nothing")


def test_a_json_file_that_would_take_all_memory_is_refused(tmp_path):
    with (tmp_path / "config.json").open("wb") as file:
        file.truncate(1 << 40)  # which takes no room on the disk
    with pytest.raises(CaptionerError, match=r"the settings .*config\.json is larger than the 32 MiB that are read"):
        read_json(tmp_path / "config.json", "settings")
