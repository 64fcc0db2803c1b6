"""Photos as strangers have them: of every kind and mode, whole, cut, flipped, lying about their size."""

import io
import random
import struct
import warnings
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageCms

FORMATS = {"JPEG": "jpg", "PNG": "png", "GIF": "gif", "WEBP": "webp", "BMP": "bmp", "TIFF": "tif"}
MODES = (
    "1",
    "L",
    "P",
    "RGB",
    "RGBA",
    "LA",
    "CMYK",
    "YCbCr",
    "LAB",
    "HSV",
    "I",
    "F",
    "I;16",
    "PA",
    "RGBX",
    "La",
    "RGBa",
)


def scene(size: tuple[int, int] = (64, 48)) -> Image.Image:
    """A picture in which every corner differs."""
    width, height = size
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    noise = np.random.default_rng(0).integers(0, 60, (height, width))
    return Image.fromarray(np.dstack([x, y, np.clip(x * y / 255 + noise, 0, 255)]).astype(np.uint8))


def in_mode(mode: str) -> Image.Image:
    """The scene in a mode of Pillow, by way of others where there is no direct one."""
    image = scene()
    for way in ([], ["L"], ["RGBA"], ["LA"], ["P"]):
        try:
            turned = image
            for each in [*way, mode]:
                turned = turned.convert(each)
        except ValueError:
            continue
        return turned
    if mode == "LAB":
        profiles = [ImageCms.createProfile(name) for name in ("sRGB", "LAB")]
        return ImageCms.profileToProfile(image, *profiles, outputMode="LAB")
    return Image.new(mode, image.size)


def originals() -> list[tuple[str, bytes]]:
    """Whole files: all modes in all formats that take them, all orientations, profiles, animations."""
    found = []

    def keep(name: str, image: Image.Image, form: str, **options: object) -> None:
        file = io.BytesIO()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that Pillow will not write this kind for ever
                image.save(file, form, **options)
        except (OSError, ValueError, KeyError, TypeError):
            return
        found.append((f"{name}.{FORMATS[form]}", file.getvalue()))

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for form in FORMATS:
        for mode in MODES:
            keep(f"mode-{mode.replace(';', '-')}", in_mode(mode), form)
        for orientation in range(1, 9):
            exif = Image.Exif()
            exif[0x0112] = orientation
            keep(f"turned-{orientation}", scene(), form, exif=exif)
        keep("profile", scene(), form, icc_profile=profile)
        keep("profile-damaged", scene(), form, icc_profile=profile[:99])
        keep("moving", scene(), form, save_all=True, append_images=[scene().rotate(90 * n) for n in range(3)])
    keep("progressive", scene(), "JPEG", progressive=True)
    keep("interlaced", scene(), "GIF", interlace=1)
    # Of those that a mode has; Pillow's writer corrupts its memory over others.
    for mode, compressions in (("RGB", ("lzw", "adobe_deflate")), ("1", ("ccitt", "lzw"))):
        for compression in compressions:
            image = in_mode(mode)
            keep(f"{compression}-{mode}", image, "TIFF", compression=f"tiff_{compression}")
    keep("jpeg", scene(), "TIFF", compression="jpeg")
    keep("packbits", scene(), "TIFF", compression="packbits")
    keep("group4", in_mode("1"), "TIFF", compression="group4")
    return found


def lying(content: bytes, draw: random.Random) -> bytes:
    """Let the header claim another size."""
    sides = [draw.choice((0, 1, 3, 1000, 13_000, 30_000, 65_535, 2**31 - 1)) for _ in range(2)]
    changed = bytearray(content)
    if content.startswith(b"\x89PNG"):
        struct.pack_into(">II", changed, 16, *sides)
        struct.pack_into(">I", changed, 29, zlib.crc32(changed[12:29]))
    elif content.startswith(b"BM"):
        struct.pack_into("<II", changed, 18, *sides)
    elif content.startswith(b"GIF"):
        struct.pack_into("<HH", changed, 6, *(side & 0xFFFF for side in sides))
    elif content.startswith(b"\xff\xd8"):
        for marker in (b"\xff\xc0", b"\xff\xc2"):
            if (at := content.find(marker)) > 0:
                struct.pack_into(">HH", changed, at + 5, *(side & 0xFFFF for side in sides))
    elif content.startswith((b"II", b"MM")):
        order = "<" if content.startswith(b"II") else ">"
        (at,) = struct.unpack_from(f"{order}L", content, 4)
        (count,) = struct.unpack_from(f"{order}H", content, at)
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            (tag,) = struct.unpack_from(f"{order}H", content, entry)
            if tag in (256, 257):
                struct.pack_into(f"{order}HHLL", changed, entry, tag, 4, 1, sides[tag - 256])
    else:  # WebP, whose sizes lie in different places
        place = draw.randrange(16, min(40, len(changed)))
        changed[place] = 0xFF
    return bytes(changed)


def mutations(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Names and contents, the whole originals first."""
    draw = random.Random(seed)
    whole = originals()
    yield from whole[:count]
    for number in range(count - len(whole)):
        name, content = draw.choice(whole)
        kind = draw.choice(("cut", "flip", "flips", "zeros", "junk", "named", "lying", "spliced", "doubled", "empty"))
        changed = bytearray(content)
        if kind == "cut":
            changed = changed[: draw.randrange(len(changed))]
        elif kind in ("flip", "flips"):
            for _ in range(1 if kind == "flip" else draw.randrange(2, 60)):
                changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
        elif kind in ("zeros", "junk"):
            at, length = draw.randrange(len(changed)), draw.randrange(1, 200)
            changed[at : at + length] = bytes(length) if kind == "zeros" else draw.randbytes(length)
        elif kind == "named":
            name = f"{name.rpartition('.')[0]}.{draw.choice(list(FORMATS.values()))}"
        elif kind == "lying":
            changed = lying(content, draw)
        elif kind == "spliced":
            other = draw.choice(whole)[1]
            changed = changed[: draw.randrange(len(changed))] + other[draw.randrange(len(other)) :]
        elif kind == "doubled":
            changed *= 2
        else:
            changed = bytes(draw.choice((0, 1, 10, 10_000)))
        yield f"{number:04d}-{kind}-{name}", bytes(changed)
