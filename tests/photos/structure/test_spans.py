import io

import pytest

from captioner.photos.structure.spans import as_file


def test_spans_read_like_one_file():
    content = bytes(range(256)) * 300
    spans = [content[:1], b"", memoryview(content)[1:70_000], content[70_000:]]
    file, whole = as_file(spans), io.BytesIO(content)
    for place, count in ((0, 10), (69_990, 20), (len(content) - 5, 100), (0, -1), (len(content) + 7, 3)):
        assert (file.seek(place), file.read(count), file.tell()) == (
            whole.seek(place),
            whole.read(count),
            whole.tell(),
        )
    assert file.seek(-3, io.SEEK_END) == len(content) - 3
    assert file.seek(-2, io.SEEK_CUR) == len(content) - 5
    assert file.read() == content[-5:]


def test_nothing_stands_before_the_beginning():
    with pytest.raises(ValueError, match="expected a place from 0 on, found -1"):
        as_file([b"abc"]).raw.seek(-1)


def test_no_spans_are_an_empty_file():
    assert as_file([]).read() == b""
