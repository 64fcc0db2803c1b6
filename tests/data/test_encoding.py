"""Files that are not UTF-8, as spreadsheets and editors in many countries write them."""

import codecs
import tracemalloc
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from captioner.data import encoding as encoding_module
from captioner.data.encoding import decoded, decoded_pieces
from captioner.errors import CaptionerError

PATH = Path("captions.csv")
TEXTS = {
    "cp1252": "image;caption\nimg0.jpg;ein M\u00e4dchen f\u00e4hrt \u00fcber die Stra\u00dfe\nimg1.jpg;zwei Hunde",
    "cp1250": "image;caption\nimg0.jpg;dziewczyna biegnie przez \u0142\u0105k\u0119\nimg1.jpg;ch\u0142opiec skacze",
    "cp1251": "image;caption\nimg0.jpg;девочка в синей рубашке\nimg1.jpg;две собаки бегут",
    "cp1254": "image;caption\nimg0.jpg;mavi g\u00f6mlekli bir k\u0131z\nimg1.jpg;iki k\u00f6pek ko\u015fuyor\n"
    "img2.jpg;a\u011fa\u00e7 alt\u0131nda ya\u015fl\u0131 adam",
    "gb18030": "image,caption\nimg0.jpg,一个女孩穿着蓝色的衬衫\nimg1.jpg,两只狗在草地上奔跑",
    "big5": "image,caption\nimg0.jpg,一個女孩穿著藍色的襯衫\nimg1.jpg,兩隻狗在草地上奔跑",
    "cp932": "image,caption\nimg0.jpg,青いシャツを着た女の子\nimg1.jpg,二匹の犬が草の上を走る",
    "euc_jp": "image,caption\nimg0.jpg,青いシャツを着た女の子\nimg1.jpg,二匹の犬が草の上を走る",
    "cp949": "image,caption\nimg0.jpg,파란 셔츠를 입은 소녀\nimg1.jpg,개 두 마리가 달린다",
    "cp874": "image,caption\nimg0.jpg,เด็กผู้หญิงใส่เสื้อสีฟ้า\nimg1.jpg,สุนัขสองตัววิ่งบนหญ้า",
}


def refusal(content: bytes) -> str:
    with pytest.raises(CaptionerError) as error:
        decoded(content, PATH)
    return str(error.value)


@pytest.mark.parametrize("encoding", TEXTS)
def test_the_encoding_is_guessed_and_the_first_line_shown_in_it(encoding):
    text = TEXTS[encoding]
    told = refusal(text.encode(encoding))
    assert f"({encoding})" in told
    assert text.split("\n")[1] in told
    assert f"iconv -f {encoding.upper().replace('_', '-')} -t UTF-8 captions.csv > utf8.csv" in told
    assert "line 2" in told


@pytest.mark.parametrize("text", TEXTS.values())
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_utf_8_and_marked_utf_16_are_read_in_any_language(text, encoding):
    assert decoded(text.encode(encoding), PATH) == text


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_told(encoding):
    told = refusal(TEXTS["cp1252"].encode(encoding))
    assert "UTF-16 without a byte order mark" in told
    assert "iconv -f UTF-16 -t UTF-8" in told


@pytest.mark.parametrize("encoding", ["utf-32", "utf-32-be"])
def test_utf_32_is_not_taken_for_utf_16(encoding):
    mark = "" if encoding == "utf-32" else "\ufeff"
    told = refusal((mark + TEXTS["cp1251"]).encode(encoding))
    assert told.startswith("captions.csv is UTF-32, expected UTF-8; convert it: iconv -f UTF-32 -t UTF-8 captions.csv")


def test_a_few_damaged_lines_in_utf_8_are_named_and_no_encoding_is_guessed():
    lines = [f"{number}.jpg,a caf\u00e9".encode() for number in range(20)]
    lines[7] = lines[11] = b"7.jpg,a caf\xe9"
    told = refusal(b"\n".join(lines))
    assert "while 18 other lines are; correct what is damaged, line 8, 12" in told
    assert "looks like" not in told


@pytest.mark.parametrize("content", [b"\xff\xfe\0", bytes(range(256)) * 400, b"\xc3", b"\x80"])
def test_what_is_no_text_at_all_is_refused_too(content):
    assert "captions.csv is not UTF-" in refusal(content)


def test_a_file_of_broken_lines_takes_little_memory():
    content = b"\xe9\n" * 200_000
    tracemalloc.start()
    refusal(content)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 10e6  # all lines would take 40e6


ODD = "a\u00e9\u1100\u1161\ud55c\U0001f469\u200d\U0001f467\r\n"
"""Characters of one to four bytes, joined ones and line ends among them."""


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 100])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_where_pieces_are_cut_changes_nothing(size, encoding, monkeypatch):
    monkeypatch.setattr(encoding_module, "PIECE", size)
    pieces = list(decoded_pieces(BytesIO((ODD * 3).encode(encoding)), PATH))
    assert "".join(pieces) == ODD * 3
    assert all(0 < len(piece) <= size for piece in pieces)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_what_is_broken_is_found_where_python_finds_it(size, mark, monkeypatch):
    monkeypatch.setattr(encoding_module, "PIECE", size)
    rng = np.random.default_rng(0)
    whole = ODD.encode() * 3
    for _ in range(200):
        content = bytearray(whole)
        for place in rng.integers(0, len(whole), 2):
            content[place] = rng.integers(0, 256)
        content = mark + bytes(content[: rng.integers(1, len(whole))])
        try:
            text = content.decode()
        except UnicodeDecodeError as error:
            with pytest.raises(CaptionerError) as found:
                list(decoded_pieces(BytesIO(content), PATH))
            line = content[: error.start].count(b"\n") + 1
            where = f"(byte 0x{content[error.start]:02x} at position {error.start}) in line {line}"
            assert f"captions.csv is not UTF-8 {where}" in str(found.value)
        else:
            assert "".join(decoded_pieces(BytesIO(content), PATH)) == text.removeprefix("\ufeff")
