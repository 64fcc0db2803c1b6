"""AVIF and HEIC: what is kept of them, how they lie, and that what they say of themselves is not trusted.

The files in tests/photos/heic are drawn, and were written with pillow-heif; each quarter of a picture has a colour.
"""

import io
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captioner.errors import PhotoError, TooManyPixelsError
from captioner.photos import decoding as photo_decoding
from captioner.photos.opening import open_photo
from captioner.photos.structure import inspect, structure
from captioner.photos.structure.spans import as_file

HEIC = {path.stem: path.read_bytes() for path in (Path(__file__).parents[1] / "heic").glob("*.heic")}
NOTE = b"a note that pixels do not need"
RED, GREEN, BLUE, WHITE = (220, 30, 30), (30, 200, 30), (30, 30, 220), (240, 240, 240)


def quarters():
    image = Image.new("RGB", (128, 64), WHITE)
    for colour, corner in ((RED, (0, 0)), (GREEN, (64, 0)), (BLUE, (0, 32))):
        image.paste(colour, (*corner, corner[0] + 64, corner[1] + 32))
    return image


def avif(image=None, **options):
    buffer = io.BytesIO()
    (image or quarters()).save(buffer, "AVIF", **options)
    return buffer.getvalue()


def corners(photo):
    return [photo[5, 5], photo[5, -5], photo[-5, 5], photo[-5, -5]]


def expected(orientation):
    """The colours of the corners, from what EXIF says of each orientation: where the first row and column lie."""
    colours = np.array([[RED, GREEN], [BLUE, WHITE]])
    flipped = {2: colours[:, ::-1], 3: colours[::-1, ::-1], 4: colours[::-1], 5: colours.transpose(1, 0, 2)}
    flipped |= {6: np.rot90(colours, -1), 7: np.rot90(colours.transpose(1, 0, 2), 2), 8: np.rot90(colours)}
    return flipped.get(orientation, colours).reshape(4, 3)


def heif_installed():
    pytest.importorskip("pi_heif", reason="no pi-heif here: pip install -r requirements-heif.txt")


def box(name, *parts):
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + name + body


def full(name, *parts, version=0, flags=0):
    return box(name, struct.pack(">I", version << 24 | flags), *parts)


def phone_photo(turn=0, grid=(1, 2), exif=b"", size=(128, 64)):
    """A HEIC as phones write them: tiles of which a grid is made, turned, with EXIF, a thumbnail and a gain map."""
    tiles = [payload(HEIC["red"]), payload(HEIC["blue"])] * (grid[0] * grid[1] // 2)
    types = [b"hvc1"] * len(tiles) + [b"grid", b"hvc1", b"hvc1", b"Exif"]
    whole = len(tiles) + 1
    properties = [
        part(HEIC["red"], b"hvcC"),
        full(b"ispe", struct.pack(">II", 64, 64)),
        full(b"ispe", struct.pack(">II", *size)),
        box(b"irot", bytes([turn])),
        full(b"pixi", b"\3\x08\x08\x08"),
        full(b"auxC", b"urn:com:apple:photo:2020:aux:hdrgainmap\0"),
    ]
    owned = {number: [1, 2, 5] for number in range(1, len(tiles) + 1)}
    owned |= {whole: [3, 4, 5], whole + 1: [1, 2], whole + 2: [1, 2, 6]}
    told = b"".join(struct.pack(">HB", item, len(named)) + bytes(named) for item, named in owned.items())
    infos = [
        full(b"infe", struct.pack(">HH4s", number, 0, kind), b"\0", version=2) for number, kind in enumerate(types, 1)
    ]
    references = [
        box(b"dimg", struct.pack(f">HH{len(tiles)}H", whole, len(tiles), *range(1, len(tiles) + 1))),
        box(b"thmb", struct.pack(">HHH", whole + 1, 1, whole)),
        box(b"auxl", struct.pack(">HHH", whole + 2, 1, whole)),
        box(b"cdsc", struct.pack(">HHH", whole + 3, 1, whole)),
    ]
    drawn = struct.pack(">BBBBHH", 0, 0, grid[0] - 1, grid[1] - 1, *size)
    contents = [*tiles, drawn, tiles[0], tiles[1], exif]

    def meta(start):
        places = b""
        for number, content in enumerate(contents, 1):
            inside = number == whole
            places += struct.pack(">HHHHII", number, inside, 0, 1, 0 if inside else start, len(content))
            start += 0 if inside else len(content)
        return full(
            b"meta",
            full(b"hdlr", bytes(4), b"pict", bytes(13)),
            full(b"pitm", struct.pack(">H", whole)),
            full(b"iloc", b"\x44\0", struct.pack(">H", len(contents)), places, version=1),
            full(b"iinf", struct.pack(">H", len(infos)), *infos),
            full(b"iref", *references),
            box(b"iprp", box(b"ipco", *properties), full(b"ipma", struct.pack(">I", len(owned)), told)),
            box(b"idat", drawn),
        )

    start = box(b"ftyp", b"heic", bytes(4), b"mif1heic")
    data = b"".join(content for number, content in enumerate(contents, 1) if number != whole)
    return start + meta(len(start) + len(meta(0)) + 8) + box(b"mdat", data)


def part(content, name):
    """A box of a file, wherever it is."""
    place = content.index(name) - 4
    return content[place : place + int.from_bytes(content[place : place + 4])]


def payload(content):
    return part(content, b"mdat")[8:]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_avif_is_turned_as_its_boxes_say(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = avif(exif=exif)
    assert inspect(content).orientation == orientation
    np.testing.assert_allclose(corners(open_photo(content)), expected(orientation), atol=4)


def test_the_orientation_in_the_exif_of_an_avif_counts_for_nothing():
    # The standard says so: the boxes alone tell how a picture lies
    content = avif(exif=b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x13\0\3\0\0\0\1\0\6\0\0\0\0\0\0")
    content = content.replace(b"\1\x13\0\3\0\0\0\1\0\6", b"\1\x12\0\3\0\0\0\1\0\6")
    assert content.count(b"\1\x12\0\3\0\0\0\1\0\6") == 1
    np.testing.assert_allclose(corners(open_photo(content)), expected(1), atol=4)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_what_is_kept_of_an_avif_has_the_same_pixels_and_no_notes(mode):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 4), np.uint8)).convert(mode)
    exif = Image.Exif()
    exif[0x010E] = NOTE.decode()
    content = avif(image, exif=exif, xmp=NOTE)
    found, whole = inspect(content), Image.open(io.BytesIO(content))
    kept = Image.open(as_file(found.spans), formats=("AVIF",))
    assert {"exif", "xmp"} <= whole.info.keys()
    assert not {"exif", "xmp"} & kept.info.keys()
    assert (kept.mode, kept.size, found.size) == (whole.mode, whole.size, (30, 20))
    np.testing.assert_array_equal(np.asarray(kept), np.asarray(whole))
    assert found.held >= 12 * 30 * 20


def test_of_a_sequence_the_first_frame_is_taken():
    content = avif(save_all=True, append_images=[Image.new("RGB", (128, 64))] * 3)
    assert content[8:12] == b"avis"
    assert Image.open(as_file(inspect(content).spans)).n_frames == 1
    np.testing.assert_allclose(corners(open_photo(content)), expected(1), atol=4)


def test_a_heic_has_the_right_colours():
    heif_installed()
    for name, atol in (("plain", 3), ("deep", 4)):
        np.testing.assert_allclose(corners(open_photo(HEIC[name])), expected(1), atol=atol)
    np.testing.assert_allclose(
        corners(open_photo(HEIC["clear"])), [RED, (255, 255, 255), BLUE, (255, 255, 255)], atol=3
    )
    grey = np.asarray(quarters().convert("L").convert("RGB"))
    np.testing.assert_allclose(corners(open_photo(HEIC["grey"])), corners(grey), atol=3)


def test_libheif_is_given_one_picture_and_no_notes():
    heif_installed()
    import pi_heif

    assert HEIC["plain"].count(NOTE) == 2
    whole = pi_heif.open_heif(io.BytesIO(HEIC["plain"]))
    kept = pi_heif.open_heif(as_file(inspect(HEIC["plain"]).spans))
    assert (len(whole), len(whole.info["thumbnails"])) == (2, 1)
    assert NOTE in whole.info["exif"]
    assert NOTE in whole.info["xmp"]
    assert (len(kept), kept.info["metadata"], kept.info["thumbnails"]) == (1, [], [])
    assert kept.info["exif"] is None
    assert "xmp" not in kept.info
    np.testing.assert_array_equal(np.asarray(kept.to_pillow()), np.asarray(whole.to_pillow()))


@pytest.mark.parametrize(
    ("turn", "shape", "found"),
    [
        (0, (64, 128, 3), [RED, BLUE, RED, BLUE]),
        (1, (128, 64, 3), [BLUE, BLUE, RED, RED]),
        (2, (64, 128, 3), [BLUE, RED, BLUE, RED]),
        (3, (128, 64, 3), [RED, RED, BLUE, BLUE]),
    ],
)
def test_a_photo_as_phones_write_it(turn, shape, found):
    heif_installed()
    exif = b"\0\0\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"  # says 6 whatever the box says
    photo = open_photo(phone_photo(turn, exif=exif))
    assert photo.shape == shape
    np.testing.assert_allclose(corners(photo), found, atol=3)


def test_only_tiles_and_transparency_stay_of_the_items():
    content = phone_photo(grid=(2, 2), size=(128, 128))
    kept = b"".join(map(bytes, inspect(content).spans))
    assert len(kept) == len(content)
    assert (content.count(b"hvc1"), kept.count(b"hvc1")) == (6, 4)
    assert b"Exif" not in kept
    assert b"cdsc" not in kept
    clear = b"".join(map(bytes, inspect(HEIC["clear"]).spans))
    assert clear == HEIC["clear"]


def test_without_the_library_the_message_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setattr(photo_decoding, "heif_is_installed", lambda: False)
    path = tmp_path / "IMG_1.HEIC"
    path.write_bytes(HEIC["plain"])
    with pytest.raises(
        PhotoError, match=r"IMG_1\.HEIC: HEIC, .*pip install -r requirements-heif\.txt, or '\.\[heif\]'"
    ):
        open_photo(path)


@pytest.mark.parametrize("content", [avif(), HEIC["plain"], phone_photo()], ids=["avif", "heic", "phone"])
def test_what_a_file_says_of_its_size_is_held_against_the_limits(content):
    place = content.index(b"ispe" + struct.pack(">III", 0, 128, 64)) + 8
    for size, complaint in (((100_000, 9), "a side may have 65,535"), ((20_000, 20_000), "more than 178,956,970")):
        changed = content.replace(content[place : place + 8], struct.pack(">II", *size))
        with pytest.raises(TooManyPixelsError, match=complaint):
            open_photo(changed)
    changed = content.replace(content[place : place + 8], struct.pack(">II", 10_000, 10_000))
    with pytest.raises(TooManyPixelsError, match="takes too much memory"):
        open_photo(changed)


def test_a_picture_is_never_larger_than_it_says():
    heif_installed()
    said = struct.pack(">II", 128, 64), struct.pack(">II", 12, 6)
    assert open_photo(avif().replace(*said)).shape == (6, 12, 3)
    with pytest.raises(PhotoError, match=r"the image: the file is damaged .*exceeds the maximum image size"):
        open_photo(HEIC["deep"].replace(*said))


@pytest.mark.parametrize("content", [avif(), HEIC["plain"], phone_photo()], ids=["avif", "heic", "phone"])
def test_a_file_cut_or_changed_anywhere_is_walked_or_refused(content):
    random = np.random.default_rng(0)
    files = [content[:length] for length in range(12, len(content), 3)]
    for _ in range(600):
        changed = bytearray(content)
        changed[random.integers(12, len(content))] = random.integers(256)
        files.append(bytes(changed))
    for file in files:
        try:
            found = inspect(file)
        except (ValueError, OverflowError, NotImplementedError):
            continue
        assert sum(map(len, found.spans)) == len(file)


@pytest.mark.parametrize("content", [avif(), HEIC["deep"]], ids=["avif", "heic"])
def test_a_cut_file_is_never_captioned(content):
    heif_installed()
    for length in range(30, len(content) - 1, len(content) // 6):
        with pytest.raises(PhotoError):
            open_photo(content[:length])


def test_more_boxes_than_a_photo_needs_are_refused(monkeypatch):
    monkeypatch.setattr(structure, "MOST_PARTS", 10)
    with pytest.raises(OverflowError, match="more than 10 boxes"):
        inspect(phone_photo())


def test_references_in_a_circle_end():
    content = phone_photo()
    place = content.index(b"dimg")  # then the grid's number, how many tiles, and theirs
    circle = content[: place + 10] + struct.pack(">H", 3) + content[place + 12 :]
    assert inspect(circle).size == (128, 64)


def test_other_files_of_boxes_are_told_apart():
    video = box(b"ftyp", b"mif1", bytes(4)) + box(b"moov") + box(b"mdat")
    with pytest.raises(NotImplementedError, match="a video"):
        inspect(video)
    with pytest.raises(NotImplementedError, match="packed as jpeg, expected AV1 or HEVC"):
        inspect(HEIC["red"].replace(b"hvc1", b"jpeg"))
    with pytest.raises(ValueError, match="does not say how large"):
        inspect(HEIC["red"].replace(b"ispe", b"free"))


@pytest.mark.skipif(sys.platform == "win32", reason="the system bounds no memory")
def test_the_decoders_run_in_another_process():
    for content in (avif(), HEIC["plain"]):
        assert not photo_decoding.is_plain(content, inspect(content))
