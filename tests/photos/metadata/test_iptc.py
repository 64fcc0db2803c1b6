import hashlib
import struct

import pytest

from captioner.photos.metadata import iptc


def resource(number: int, value: bytes, name: bytes = b"\0\0") -> bytes:
    return b"8BIM" + struct.pack(">H", number) + name + struct.pack(">L", len(value)) + value + bytes(len(value) % 2)


def data_set(record: int, number: int, value: bytes, long: bool = False) -> bytes:
    size = struct.pack(">HL", 0x8004, len(value)) if long else struct.pack(">H", len(value))
    return bytes([0x1C, record, number]) + size + value


CAPTION = data_set(2, 120, b"old")
MARK = data_set(1, 90, b"\x1b%G")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (data_set(2, 120, "Köln".encode()), "Köln"),
        (data_set(2, 120, "Köln".encode("latin-1")), "Köln"),
        (data_set(2, 120, b"\x93K\xf6ln\x94"), "“Köln”"),
        (data_set(2, 120, b"\x81"), "\x81"),
        (data_set(1, 90, b"\x1b.A") + data_set(2, 120, "Ã¶".encode("latin-1")), "Ã¶"),
        (MARK + data_set(2, 25, b"dog") + data_set(2, 120, "개".encode()), "개"),
        (data_set(2, 120, b"long" * 9000, long=True), "long" * 9000),
        (data_set(2, 25, b"dog") + bytes(3), ""),
        (b"", ""),
    ],
)
def test_a_caption_is_read_in_its_character_set(data, expected):
    assert iptc.caption(resource(0x040A, b"\1") + resource(0x0404, data, b"\4name\0")) == expected


def test_what_has_no_iptc_data_has_none_afterwards():
    others = resource(0x040A, b"\1") + b"\0"
    assert iptc.caption(others) is None
    assert iptc.with_caption(others, "a dog") == others
    assert iptc.caption(b"") is None


def test_other_resources_stay_with_their_names():
    before, after = resource(0x03E9, b"odd", b"\5named"), resource(0x040A, b"\1") + b"\0\0"
    changed = iptc.with_caption(before + resource(0x0404, CAPTION) + after, "a dog")
    assert changed == before + resource(0x0404, data_set(2, 120, b"a dog")) + after


def test_the_digest_is_renewed_where_it_was_right():
    def digest(data: bytes) -> bytes:
        return resource(0x0425, hashlib.md5(data).digest())

    new = data_set(2, 120, b"a dog")
    assert iptc.with_caption(resource(0x0404, CAPTION) + digest(CAPTION), "a dog") == resource(0x0404, new) + digest(
        new
    )
    stale = digest(b"another program has changed them")
    assert iptc.with_caption(resource(0x0404, CAPTION) + stale, "a dog") == resource(0x0404, new) + stale


def test_several_captions_become_one():
    changed = iptc.with_caption(resource(0x0404, CAPTION + data_set(2, 122, b"me") + CAPTION), "a dog")
    assert changed == resource(0x0404, data_set(2, 120, b"a dog") + data_set(2, 122, b"me"))


def test_a_mark_of_another_character_set_is_replaced_with_the_texts():
    data = (
        data_set(1, 0, b"\0\4") + data_set(1, 90, b"\x1b.A") + data_set(2, 25, b"K\xf6ln") + data_set(2, 202, b"\xff")
    )
    assert iptc.with_caption(resource(0x0404, data), "a dog") == resource(
        0x0404, data[: -len(data_set(2, 202, b"\xff"))] + data_set(2, 120, b"a dog") + data_set(2, 202, b"\xff")
    )
    assert iptc.with_caption(resource(0x0404, data), "개") == resource(
        0x0404,
        data_set(1, 0, b"\0\4")
        + MARK
        + data_set(2, 25, "Köln".encode())
        + data_set(2, 120, "개".encode())
        + data_set(2, 202, b"\xff"),
    )


def test_an_unknown_character_set_is_refused_only_where_it_matters():
    ascii_only, other = (data_set(1, 90, b"\x1b$B") + data_set(2, 25, each) for each in (b"dog", b"\xb8\xa4"))
    assert iptc.caption(iptc.with_caption(resource(0x0404, ascii_only), "개")) == "개"
    assert iptc.caption(iptc.with_caption(resource(0x0404, other), "a dog")) == "a dog"
    with pytest.raises(ValueError, match="character set"):
        iptc.with_caption(resource(0x0404, other), "개")


def test_a_text_too_long_is_refused():
    assert iptc.caption(iptc.with_caption(resource(0x0404, CAPTION), "a" * 32_767)) == "a" * 32_767
    with pytest.raises(ValueError, match="32767 bytes"):
        iptc.with_caption(resource(0x0404, CAPTION), "a" * 32_768)


@pytest.mark.parametrize(
    "resources",
    [
        b"8BIM",
        b"8BIM\4\4\0\0\0\0",
        resource(0x0404, CAPTION)[:-2],
        resource(0x0404, CAPTION[:-1]),
        resource(0x0404, CAPTION[:4]),
        resource(0x0404, b"\x1c\2\x78\xff\xff" + b"\xff" * 9),
    ],
)
def test_damaged_data_are_refused(resources):
    for use in (iptc.caption, lambda each: iptc.with_caption(each, "a dog")):
        with pytest.raises(ValueError, match="cut"):
            use(resources)


def test_data_become_a_resource():
    assert iptc.in_resources(CAPTION) == resource(0x0404, CAPTION)
    assert iptc.in_resources(resource(0x0404, CAPTION)) == resource(0x0404, CAPTION)
