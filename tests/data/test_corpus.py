import codecs
import os
import threading
import tracemalloc

import pytest

from captioner.data import corpus as corpus_module
from captioner.data import encoding as encoding_module
from captioner.data.corpus import Corpus, TextFile, find_captions, read_corpus, read_text_file
from captioner.errors import CaptionerError

KOREAN = "나랏말싸미 듕귁에 달아\r\n\u110b\u1161\tZoë 👩‍👧\n"


def test_a_text_is_read_as_it_is(tmp_path):
    path = tmp_path / "훈민정음.txt"
    path.write_bytes(KOREAN.encode())
    assert read_corpus(path) == Corpus("훈민정음", KOREAN)  # line ends, taken-apart letters and all
    assert read_text_file(str(path)) == KOREAN


def test_a_byte_order_mark_is_no_character(tmp_path):
    path = tmp_path / "bom.txt"
    path.write_bytes(codecs.BOM_UTF8 + KOREAN.encode())
    assert read_text_file(path) == KOREAN


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("né".encode("latin1"), r"odd\.txt is not UTF-8 \(byte 0xe9 at position 1\).*iconv -f CP1252 -t UTF-8"),
        ("나라".encode("euc-kr"), r"odd\.txt is not UTF-8 \(byte 0xb3 at position 0\)"),
        ("abc".encode("utf-16"), r"odd\.txt is UTF-16.*iconv -f UTF-16 -t UTF-8"),
        (b"ab\xff", r"byte 0xff at position 2"),
        ("한".encode()[:2], r"not UTF-8"),
    ],
)
def test_what_is_not_utf_8_is_refused_with_a_remedy(tmp_path, content, message):
    (tmp_path / "odd.txt").write_bytes(content)
    with pytest.raises(CaptionerError, match=message):
        read_text_file(tmp_path / "odd.txt")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(CaptionerError, match=r"cannot read the text .*gone\.txt: No such file"):
        read_text_file(tmp_path / "gone.txt")
    with pytest.raises(CaptionerError, match=r"Is a directory"):
        read_text_file(tmp_path)


@pytest.mark.parametrize(
    ("shares", "parts"),
    [([90, 10], ["abcdefghi", "j"]), ([90, 5, 5], ["abcdefghi", "", "j"]), ([50, 50], ["abcde", "fghij"])],
)
def test_the_split_is_contiguous(shares, parts):
    assert Corpus("letters", "abcdefghij").split(shares) == parts


def test_no_character_is_lost_or_seen_twice_however_long_the_text():
    for length in (1, 7, 99, 101, 1234):
        text = "".join(chr(0x4E00 + number) for number in range(length))
        for shares in ([90, 10], [90, 5, 5]):
            assert "".join(Corpus("", text).split(shares)) == text


@pytest.fixture
def flickr(tmp_path):
    """A folder like Flickr8k with a photo in each split."""
    folder = tmp_path / "flickr8k"
    (folder / "Flicker8k_Dataset").mkdir(parents=True)
    text = folder / "Flickr8k_text"
    text.mkdir()
    lines = []
    for name, split in (("a", "train"), ("b", "dev"), ("c", "test")):
        (folder / "Flicker8k_Dataset" / f"{name}.jpg").write_bytes(b"")
        (text / f"Flickr_8k.{split}Images.txt").write_text(f"{name}.jpg\n")
        lines += [f"{name}.jpg#{number}\tA {split} photo {number} ." for number in range(2)]
    (text / "Flickr8k.token.txt").write_text("\n".join(lines) + "\n")
    return folder


def test_the_captions_of_a_data_set_are_a_text_but_not_those_of_its_test_split(flickr):
    expected = "A train photo 0 .\nA train photo 1 .\nA dev photo 0 .\nA dev photo 1 .\n"
    assert find_captions(flickr, environ={}) == Corpus("flickr8k-captions", expected)
    assert find_captions(None, environ={"CAPTIONER_DATA": str(flickr)}).text == expected


def test_without_a_data_set_there_is_no_text_and_nothing_is_downloaded(flickr, tmp_path, monkeypatch):
    monkeypatch.setattr(corpus_module, "HOME", tmp_path / "nowhere")
    assert find_captions(None, environ={}) is None
    monkeypatch.setattr(corpus_module, "HOME", flickr)
    assert find_captions(None, environ={}).text.startswith("A train photo 0 .\n")


def test_a_folder_that_was_named_must_be_there(tmp_path):
    with pytest.raises(CaptionerError, match=r"--data names .*nowhere"):
        find_captions(tmp_path / "nowhere", environ={})


def test_a_text_is_read_in_pieces_as_often_as_one_likes(tmp_path, monkeypatch):
    monkeypatch.setattr(encoding_module, "PIECE", 5)
    path = tmp_path / "text.txt"
    path.write_bytes(codecs.BOM_UTF8 + KOREAN.encode())
    with TextFile(path) as file:
        for _ in range(2):
            pieces = list(file.pieces())
            assert len(pieces) > 10
            assert "".join(pieces) == KOREAN
        assert next(file.pieces()) == KOREAN[0]
        assert "".join(file.pieces()) == KOREAN


@pytest.mark.parametrize("size", range(1, 7))
def test_line_ends_of_any_system_become_line_feeds_wherever_a_piece_ends(tmp_path, monkeypatch, size):
    monkeypatch.setattr(encoding_module, "PIECE", size)
    (tmp_path / "text.txt").write_bytes(b"a\r\nb\rc\n\r\nd\r")
    with TextFile(tmp_path / "text.txt") as file:
        pieces = list(file.pieces(unix=True))
    assert "".join(pieces) == "a\nb\nc\n\nd\n"
    assert all(pieces)


def test_little_of_a_large_text_is_held(tmp_path):
    path = tmp_path / "large.txt"
    path.write_bytes("나라 말\n".encode() * 2_000_000)  # 22 MB
    tracemalloc.start()
    try:
        with TextFile(path) as file:
            assert sum(map(len, file.pieces())) == 10_000_000
        assert tracemalloc.get_traced_memory()[1] < 8e6
    finally:
        tracemalloc.stop()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes")
@pytest.mark.parametrize("in_memory", [10, 1 << 20])
def test_a_pipe_is_read_too_and_what_is_wrong_with_it_told_alike(tmp_path, monkeypatch, in_memory):
    monkeypatch.setattr(corpus_module, "PIPE_IN_MEMORY", in_memory)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def piped(content):
        writer = threading.Thread(target=pipe.write_bytes, args=(content,))
        writer.start()
        return writer

    writer = piped(KOREAN.encode())
    with TextFile(pipe) as file:
        assert "".join(file.pieces()) == "".join(file.pieces()) == KOREAN
    writer.join()
    writer = piped("né".encode("latin1"))
    with pytest.raises(CaptionerError, match=r"pipe is not UTF-8 \(byte 0xe9 at position 1\).*iconv -f CP1252"):
        read_text_file(pipe)
    writer.join()
