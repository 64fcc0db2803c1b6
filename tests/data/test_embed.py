import io
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from captioner.data import exif, xmp
from captioner.data.embed import embed_caption
from captioner.data.photos import PhotoError, open_photo

CAPTION = "ein hündchen <runs> & jumps"
MAKE, DESCRIPTION, ORIENTATION, MAKER_NOTE = 0x010F, 0x010E, 0x0112, 0x927C
PACKET = (
    '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="uuid:7" '
    'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="5"{}</rdf:RDF>'
    '</x:xmpmeta><?xpacket end="w"?>'
)
OLD = '><dc:description><rdf:Alt><rdf:li xml:lang="x-default">old</rdf:li></rdf:Alt></dc:description></rdf:Description>'


@pytest.fixture
def picture() -> Image.Image:
    pixels = np.random.default_rng(3).integers(256, size=(20, 30, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def notes(**more) -> bytes:
    """EXIF data as a camera makes them."""
    found = Image.Exif()
    found[MAKE], found[ORIENTATION] = "Camera", 6
    found.get_ifd(0x8769)[MAKER_NOTE] = b"\1\2\3 where I stand matters"
    for tag, value in more.items():
        found[int(tag[1:])] = value
    return found.tobytes()


def described(path) -> tuple[str, str]:
    """The two descriptions as Pillow reads them."""
    with Image.open(path) as image:
        packet = image.info.get("xmp") or image.info["XML:com.adobe.xmp"].encode()
        text = image.getexif()[DESCRIPTION]
        text = text.encode("latin-1").decode() if isinstance(text, str) and not text.isascii() else text
        (found,) = [
            element.text for element in xmp.ElementTree.fromstring(packet).iter() if element.tag.endswith("}li")
        ]
    return text.rstrip("\0"), found


def scan(content: bytes) -> bytes:
    """A JPEG from its first table on, which is all that makes the picture."""
    return content[content.index(b"\xff\xdb") :]


@pytest.mark.parametrize("existing", [{}, {"exif": notes()}, {"exif": notes(_270="old"), "xmp": PACKET.format(OLD)}])
def test_a_jpeg_keeps_its_picture_and_its_other_notes(picture, tmp_path, existing):
    existing = {name: value if isinstance(value, bytes) else value.encode() for name, value in existing.items()}
    photo, copy = tmp_path / "photo.jpg", tmp_path / "copy.jpg"
    picture.save(photo, "JPEG", quality=90, comment="kept", icc_profile=b"profile", **existing)
    before = photo.read_bytes()
    embed_caption(photo, copy, CAPTION)
    assert photo.read_bytes() == before
    assert scan(copy.read_bytes()) == scan(before)
    assert described(copy) == (CAPTION, CAPTION)
    np.testing.assert_array_equal(open_photo(copy), open_photo(photo))
    with Image.open(copy) as image:
        assert image.info["comment"] == b"kept"
        assert image.info["icc_profile"] == b"profile"
        if existing:
            assert image.getexif()[MAKE] == "Camera"
            assert image.getexif()[ORIENTATION] == 6
            assert image.getexif().get_ifd(0x8769)[MAKER_NOTE] == b"\1\2\3 where I stand matters"
        if "xmp" in existing:
            assert b'xmp:Rating="5"' in image.info["xmp"]
            assert b"old" not in image.info["xmp"]


def test_a_png_keeps_its_picture_and_its_other_notes(picture, tmp_path):
    photo = tmp_path / "photo.png"
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", "me")
    text.add_itxt("Description", "old")
    text.add_itxt("XML:com.adobe.xmp", PACKET.format(OLD), zip=True)
    picture.save(photo, "PNG", pnginfo=text, exif=notes())
    embed_caption(photo, tmp_path / "copy.png", CAPTION)
    assert described(tmp_path / "copy.png") == (CAPTION, CAPTION)
    with Image.open(tmp_path / "copy.png") as image:
        image.load()
        assert image.text["Author"] == "me"
        assert image.text["Description"] == CAPTION
        assert image.getexif()[MAKE] == "Camera"
    np.testing.assert_array_equal(open_photo(tmp_path / "copy.png"), open_photo(photo))


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_in_place_and_again(picture, tmp_path, suffix):
    photo = tmp_path / f"photo.{suffix}"
    picture.save(photo)
    photo.chmod(0o640)
    pixels = open_photo(photo)
    for caption in ("a first one", "a", CAPTION):
        embed_caption(photo, photo, caption)
        assert described(photo) == (caption, caption)
        np.testing.assert_array_equal(open_photo(photo), pixels)
    assert photo.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in tmp_path.iterdir()] == [photo.name]


def test_a_link_leads_to_the_photo_still(picture, tmp_path):
    picture.save(tmp_path / "photo.jpg")
    (tmp_path / "link.jpg").symlink_to("photo.jpg")
    embed_caption(tmp_path / "link.jpg", tmp_path / "link.jpg", CAPTION)
    assert (tmp_path / "link.jpg").is_symlink()
    assert described(tmp_path / "photo.jpg") == (CAPTION, CAPTION)


@pytest.mark.parametrize("order", ["<", ">"])
def test_notes_that_other_programs_find_by_their_place_stay_there(order):
    entries = [struct.pack(f"{order}HHLL", MAKE, 2, 8, 38), struct.pack(f"{order}HHLHH", ORIENTATION, 3, 1, 6, 0)]
    head = {"<": b"II", ">": b"MM"}[order] + struct.pack(f"{order}HL", 42, 8)
    old = head + struct.pack(f"{order}H", 2) + b"".join(entries) + bytes(4) + b"Camera\0\0" + b"own notes!"
    new = exif.with_description(old, "a dog")
    assert new[8 : len(old)] == old[8:]
    found = Image.Exif()
    found.load(b"Exif\0\0" + new)
    assert (found[DESCRIPTION], found[MAKE].rstrip("\0"), found[ORIENTATION]) == ("a dog", "Camera", 6)


@pytest.mark.parametrize(
    "old", [OLD, ' dc:description="old"></rdf:Description>', "><dc:description/></rdf:Description>", "/>"]
)
def test_a_packet_keeps_all_but_the_old_description(old):
    changed = xmp.with_description(PACKET.format(old).encode(), "a <dog>").decode()
    assert changed.count("description") == 2
    assert 'rdf:about="uuid:7" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:description>' in changed
    assert "a &lt;dog&gt;" in changed
    assert 'xmp:Rating="5"' in changed
    assert "old" not in changed


@pytest.mark.parametrize("packet", [b"", b"\xff\xfe", b"<rdf:RDF/>", b"<a></rdf:RDF>", PACKET.format("").encode()])
def test_a_damaged_packet_is_refused(packet):
    with pytest.raises(ValueError, match=r"expected one|not valid|can't decode"):
        xmp.with_description(packet, "a dog")


@pytest.mark.parametrize(
    "tiff", [b"", b"II", b"II*\0", b"II*\0\xff\0\0\0", b"XX*\0\x08\0\0\0\0\0", b"II*\0\x08\0\0\0\x07\0"]
)
def test_damaged_notes_are_refused(tiff):
    with pytest.raises(ValueError, match=r"expected a TIFF header|leads outside"):
        exif.with_description(tiff, "a dog")


def test_what_cannot_be_done_leaves_the_photo_as_it_is(picture, tmp_path):
    def file(name: str, content: bytes):
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    jpeg, png = io.BytesIO(), io.BytesIO()
    picture.save(jpeg, "JPEG", exif=b"Exif\0\0" + b"nonsense", quality=90)
    picture.save(png, "PNG")
    full = io.BytesIO()
    picture.save(full, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0" + bytes(65_500))
    bad_xmp = b"iTXt" + b"XML:com.adobe.xmp\0\1\0\0\0" + b"no zlib"
    chunk = struct.pack(">L", len(bad_xmp) - 4) + bad_xmp + struct.pack(">L", zlib.crc32(bad_xmp))
    photos = {
        "webp.webp": (b"RIFF....WEBP", "expected JPEG or PNG"),
        "nonsense.jpg": (jpeg.getvalue(), "expected a TIFF header"),
        "cut.jpg": (jpeg.getvalue()[:30], "damaged"),
        "short.jpg": (b"\xff\xd8", "the description cannot be written"),
        "cut.png": (png.getvalue()[:60], "damaged"),
        "bad.png": (png.getvalue()[:33] + chunk + png.getvalue()[33:], "the description cannot be written"),
        "full.jpg": (full.getvalue(), "leaves no room"),
    }
    for name, (content, complaint) in photos.items():
        photo = file(name, content)
        with pytest.raises(PhotoError, match=complaint) as caught:
            embed_caption(photo, photo, "a dog")
        assert str(photo) in str(caught.value)
        assert photo.read_bytes() == content
    with pytest.raises(PhotoError, match="No such file"):
        embed_caption(tmp_path / "nothing.jpg", tmp_path / "nothing.jpg", "a dog")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(photos)


@pytest.mark.parametrize(
    "packet",
    [
        b"<dc:description" * 60_000,
        b"<dc:description " * 60_000,
        b"<dc:description>" * 60_000,
        b"<dc:description/>" * 60_000,
        b" dc:description='" * 60_000,
        b" dc:description=" * 60_000,
        b"</rdf:RDF" * 100_000,
        b"rdf:about=" * 100_000,
        b" " * (1 << 24),
    ],
    ids=lambda packet: packet[:20],
)
def test_a_hostile_packet_takes_no_time(packet):
    began = time.process_time()
    with pytest.raises(ValueError, match=r"end|XML|rdf:RDF|bytes"):
        xmp.with_description(packet, CAPTION)
    assert time.process_time() - began < 2
