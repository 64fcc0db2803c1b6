import os

import pytest

from captioner.errors import PhotoError
from captioner.photos.finding import find_photos
from captioner.photos.opening import open_photo
from captioner.photos.streams import NamedContent, is_stream, read_stream

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")


def piped(content):
    """The path of a pipe that brings `content`, and its end."""
    reading, writing = os.pipe()
    os.write(writing, content)
    os.close(writing)
    return f"/dev/fd/{reading}", reading


def test_what_is_a_stream(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    told = {each: is_stream(each) for each in ("-", str(tmp_path / "pipe"), str(tmp_path / "file"), "/dev/stdin", "\0")}
    assert list(told.values()) == [True, True, False, True, False]
    assert not is_stream(str(tmp_path / "nothing"))
    assert not is_stream(str(tmp_path))


@pytest.mark.parametrize(("most", "whole"), [(4, False), (5, True)])
def test_a_stream_is_read_up_to_a_limit(most, whole):
    path, handle = piped(b"12345")
    try:
        if whole:
            content = read_stream(path, most)
            assert (content, content.name) == (b"12345", path)
        else:
            with pytest.raises(PhotoError, match=rf"{path}: takes too much memory to open \(more than 4 bytes came\)"):
                read_stream(path, most)
    finally:
        os.close(handle)


def test_a_device_is_no_stream():
    handle = os.open("/dev/zero", os.O_RDONLY)
    try:
        with pytest.raises(PhotoError, match="not a regular file"):
            read_stream(f"/dev/fd/{handle}")
    finally:
        os.close(handle)


def test_content_is_told_by_its_name():
    with pytest.raises(PhotoError, match=r"^stdin: not an image that can be read"):
        open_photo(NamedContent.of(b"no photo at all", "stdin"))
    with pytest.raises(PhotoError, match=r"^the image: not an image that can be read"):
        open_photo(b"no photo at all")


def test_standard_input_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-").touch()
    photos, complaints = find_photos(["-", "./-"])
    assert ([str(photo) for photo in photos], complaints) == (["stdin", "-"], [])
