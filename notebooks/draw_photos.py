"""Draw the photos of the notebook: every subject in every place, and the captions beside them.

Run `python notebooks/draw_photos.py` to write `notebooks/photos/` again.
"""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

FOLDER = Path(__file__).with_name("photos")
WIDTH, HEIGHT = 400, 300
SCALE = 3  # photos are drawn larger and made smaller, which smooths every edge
HORIZON = 150

Colour = tuple[int, int, int]
Points = Sequence[tuple[float, float]]

PAINT: dict[str, Colour] = {
    "red": (206, 38, 34),
    "blue": (34, 84, 190),
    "brown": (136, 82, 40),
    "white": (238, 234, 226),
}
DARK, STEEL, GLASS, SKIN = (38, 38, 42), (150, 154, 160), (176, 208, 224), (224, 172, 134)


class Layer:
    """A transparent sheet to draw on, in the units of the finished photo."""

    def __init__(self) -> None:
        self.image = Image.new("RGBA", (WIDTH * SCALE, HEIGHT * SCALE), (0, 0, 0, 0))
        self.pen = ImageDraw.Draw(self.image)

    def ellipse(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        """Fill an ellipse with centre (x, y) and radii rx, ry."""
        self.pen.ellipse([SCALE * v for v in (x - rx, y - ry, x + rx, y + ry)], fill=colour)

    def ring(self, x: float, y: float, r: float, width: float, colour: Colour) -> None:
        """Draw a circle of a width."""
        box = [SCALE * v for v in (x - r, y - r, x + r, y + r)]
        self.pen.ellipse(box, outline=colour, width=round(SCALE * width))

    def polygon(self, points: Points, colour: Colour) -> None:
        """Fill a polygon."""
        self.pen.polygon([(SCALE * x, SCALE * y) for x, y in points], fill=colour)

    def line(self, points: Points, width: float, colour: Colour) -> None:
        """Draw a line with round ends and joints."""
        ends = [(SCALE * x, SCALE * y) for x, y in points]
        self.pen.line(ends, fill=colour, width=round(SCALE * width), joint="curve")
        for x, y in points:
            self.ellipse(x, y, width / 2, width / 2, colour)


def dog(sheet: Layer, colour: Colour) -> None:
    """Draw a dog that looks to the right."""
    far, near = shade(colour, 0.72), colour
    for x in (168, 226):
        sheet.line([(x, 212), (x - 3, 236), (x + 2, 256)], 13, far)
    sheet.line([(150, 200), (132, 184), (126, 162)], 9, near)  # tail
    sheet.ellipse(192, 202, 50, 25, near)
    for x in (154, 236):
        sheet.line([(x, 210), (x - 2, 236), (x + 2, 257)], 14, near)
        sheet.ellipse(x + 6, 258, 10, 5, near)
    sheet.polygon([(218, 206), (234, 158), (262, 166), (244, 214)], near)  # neck
    sheet.ellipse(254, 158, 23, 20, near)
    sheet.ellipse(276, 166, 17, 10, near)  # muzzle
    sheet.ellipse(290, 161, 6, 5, DARK)
    sheet.polygon([(236, 144), (228, 178), (240, 184), (252, 148)], shade(colour, 0.6))  # ear
    sheet.ellipse(262, 152, 3, 3.5, DARK)
    sheet.line([(232, 184), (250, 190)], 6, (186, 40, 40))  # collar


def car(sheet: Layer, colour: Colour) -> None:
    """Draw a car from its side."""
    sheet.polygon([(148, 196), (172, 162), (234, 162), (266, 196)], colour)
    sheet.polygon([(158, 196), (177, 168), (200, 168), (200, 196)], GLASS)
    sheet.polygon([(206, 196), (206, 168), (231, 168), (254, 196)], GLASS)
    sheet.polygon([(104, 206), (114, 196), (282, 196), (304, 206), (308, 240), (100, 240)], colour)
    sheet.polygon([(100, 234), (308, 234), (306, 244), (102, 244)], shade(colour, 0.55))
    sheet.line([(203, 198), (203, 232)], 1.5, shade(colour, 0.6))
    sheet.line([(210, 208), (222, 208)], 3, shade(colour, 0.5))
    sheet.ellipse(301, 212, 6, 5, (255, 240, 190))
    sheet.ellipse(105, 212, 4, 6, (255, 120, 90))
    for x in (146, 262):
        sheet.ellipse(x, 242, 22, 22, DARK)
        sheet.ellipse(x, 242, 12, 12, STEEL)
        sheet.ellipse(x, 242, 4, 4, DARK)


def ball(sheet: Layer, colour: Colour) -> None:
    """Draw a beach ball with white stripes."""
    sheet.ellipse(200, 206, 54, 54, colour)
    for angle in range(0, 360, 120):
        low, high = np.deg2rad(angle), np.deg2rad(angle + 60)
        arc = [(200 + 54 * np.cos(t), 206 + 54 * np.sin(t)) for t in np.linspace(low, high, 40)]
        sheet.polygon([(190, 192), *arc], PAINT["white"])
    sheet.ellipse(190, 192, 8, 8, colour)


def house(sheet: Layer, colour: Colour) -> None:
    """Draw a house with a door, two windows and a chimney."""
    sheet.polygon([(254, 84), (272, 84), (272, 130), (254, 130)], (140, 96, 84))
    sheet.polygon([(122, 150), (278, 150), (278, 256), (122, 256)], colour)
    for y in range(162, 256, 12):
        sheet.line([(122, y), (278, y)], 1, shade(colour, 0.85))
    sheet.polygon([(104, 154), (200, 86), (296, 154)], (84, 64, 58))
    sheet.polygon([(182, 256), (182, 200), (218, 200), (218, 256)], (92, 58, 36))
    sheet.ellipse(211, 230, 2.5, 2.5, (230, 200, 90))
    for x in (150, 250):
        sheet.polygon([(x - 19, 172), (x + 19, 172), (x + 19, 210), (x - 19, 210)], PAINT["white"])
        sheet.polygon([(x - 15, 176), (x + 15, 176), (x + 15, 206), (x - 15, 206)], GLASS)
        sheet.line([(x, 176), (x, 206)], 3, PAINT["white"])
        sheet.line([(x - 15, 191), (x + 15, 191)], 3, PAINT["white"])


def cyclist(sheet: Layer, colour: Colour) -> None:
    """Draw a person on a bicycle who rides to the right."""
    for x in (150, 252):
        sheet.ring(x, 226, 34, 5, DARK)
        for angle in np.linspace(0, np.pi, 7)[:-1]:
            dx, dy = 31 * np.cos(angle), 31 * np.sin(angle)
            sheet.line([(x - dx, 226 - dy), (x + dx, 226 + dy)], 0.7, STEEL)
    frame = [(150, 226), (180, 182), (236, 180), (198, 228), (150, 226)]
    sheet.line(frame, 5, (60, 130, 90))
    sheet.line([(180, 182), (198, 228)], 5, (60, 130, 90))
    sheet.line([(252, 226), (234, 170), (248, 164)], 5, (60, 130, 90))
    sheet.line([(168, 174), (188, 174)], 7, DARK)  # saddle
    sheet.line([(180, 168), (214, 194), (204, 234), (214, 236)], 13, (52, 56, 84))  # leg
    sheet.polygon([(168, 172), (186, 116), (210, 116), (204, 150), (194, 176)], colour)
    sheet.line([(200, 124), (222, 150), (246, 160)], 11, colour)  # arm
    sheet.ellipse(248, 160, 6, 6, SKIN)
    sheet.line([(200, 116), (204, 108)], 10, SKIN)
    sheet.ellipse(208, 94, 16, 18, SKIN)
    sheet.pen.pieslice([SCALE * v for v in (189, 71, 227, 109)], 175, 365, fill=(235, 190, 50))  # helmet


def balloon(sheet: Layer, colour: Colour) -> None:
    """Draw a hot-air balloon."""
    outline = [
        (
            200 + 70 * np.sin(t) * (1 - 0.42 * max(0.0, -np.cos(t)) ** 1.5),
            96 - 76 * np.cos(t) * (1 if t < 1.57 else 1.15),
        )
        for t in np.linspace(0, np.pi, 60)
    ]
    for share, paint in ((1, colour), (0.72, PAINT["white"]), (0.42, colour), (0.14, PAINT["white"])):
        right = [(200 + share * (x - 200), y) for x, y in outline]
        sheet.polygon(right + [(400 - x, y) for x, y in reversed(right)], paint)
    for x, end in ((180, 189), (220, 211)):
        sheet.line([(x, 176), (end, 204)], 1.2, DARK)
    sheet.polygon([(186, 203), (214, 203), (211, 224), (189, 224)], (150, 104, 56))
    sheet.line([(186, 203), (214, 203)], 4, (110, 72, 38))


def shade(colour: Colour, factor: float) -> Colour:
    """Return a colour that is darker, or lighter, by a factor."""
    red, green, blue = (min(255, round(factor * each)) for each in colour)
    return red, green, blue


def gradient(top: Colour, bottom: Colour, height: int) -> np.ndarray:
    """Return rows from one colour to another: (height, WIDTH, 3)."""
    share = np.linspace(0, 1, height)[:, None, None]
    return np.broadcast_to((1 - share) * np.array(top) + share * np.array(bottom), (height, WIDTH, 3)).copy()


def noise(rng: np.random.Generator, height: int, grain: tuple[int, int]) -> np.ndarray:
    """Return smooth noise around 0, (height, WIDTH, 1), in grains of so many rows and columns."""
    coarse = rng.normal(size=(height // grain[0] + 2, WIDTH // grain[1] + 2))
    image = Image.fromarray(coarse.astype(np.float32)).resize((WIDTH, height), Image.Resampling.BICUBIC)
    return np.asarray(image)[..., None]


def ground(rng: np.random.Generator, far: Colour, near: Colour, strength: float) -> np.ndarray:
    """Return a plain with some texture, which is coarser nearer to the camera: (HEIGHT - HORIZON, WIDTH, 3)."""
    height = HEIGHT - HORIZON
    nearness = np.linspace(0.3, 1, height)[:, None, None]
    texture = sum(noise(rng, height, grain) for grain in ((1, 1), (2, 3), (6, 18), (20, 60)))
    return gradient(far, near, height) + strength * nearness * texture


def sky(rng: np.random.Generator, top: Colour, bottom: Colour, clouds: Colour) -> np.ndarray:
    """Return a sky with clouds: (HORIZON, WIDTH, 3)."""
    density = sum(
        noise(rng, HORIZON, grain) * weight for grain, weight in (((40, 90), 1.0), ((18, 40), 0.6), ((7, 14), 0.3))
    )
    cover = np.clip(0.45 * density - 0.1, 0, 0.85)
    return (1 - cover) * gradient(top, bottom, HORIZON) + cover * np.array(clouds)


def ridge(scene: np.ndarray, rng: np.random.Generator, height: float, colour: Colour) -> None:
    """Draw hills on the horizon, `height` rows high at most."""
    x = np.arange(WIDTH)
    waves = sum(np.sin(x / width + rng.uniform(0, 6.3)) * width / 100 for width in (70, 33, 12, 5))
    top = HORIZON - height * (0.6 + 0.35 * waves)
    rows = np.arange(HEIGHT)[:, None]
    inside = (rows >= top) & (rows < HORIZON)
    scene[inside] = np.array(colour) + 5 * rng.normal(size=(int(inside.sum()), 1))


def grass(rng: np.random.Generator) -> np.ndarray:
    """Return a meadow before a forest under a blue sky."""
    scene = np.concatenate(
        [sky(rng, (86, 148, 222), (196, 222, 242), (255, 255, 255)), ground(rng, (132, 176, 72), (62, 122, 36), 12)]
    )
    ridge(scene, rng, 34, (62, 104, 62))
    return scene


def beach(rng: np.random.Generator) -> np.ndarray:
    """Return sand before the sea."""
    scene = np.concatenate(
        [sky(rng, (72, 160, 226), (206, 232, 244), (255, 255, 255)), ground(rng, (236, 214, 160), (206, 172, 112), 5)]
    )
    sea = gradient((24, 98, 150), (72, 184, 196), 52) + 8 * noise(rng, 52, (2, 14))
    scene[HORIZON - 10 : HORIZON + 42] = sea
    edge = HORIZON + 40 + 4 * np.sin(np.arange(WIDTH) / 26) + 2 * np.sin(np.arange(WIDTH) / 9)
    distance = np.abs(np.arange(HEIGHT)[:, None] - edge)
    foam = np.clip(1 - distance / 5, 0, 1)[..., None]
    return (1 - foam) * scene + foam * 250


def snow(rng: np.random.Generator) -> np.ndarray:
    """Return snow before white mountains under a pale sky."""
    scene = np.concatenate(
        [sky(rng, (150, 172, 200), (216, 224, 234), (236, 238, 242)), ground(rng, (226, 232, 242), (244, 247, 252), 3)]
    )
    ridge(scene, rng, 66, (172, 186, 208))
    ridge(scene, rng, 26, (84, 104, 112))
    for x, y in zip(rng.uniform(0, WIDTH, 260), rng.uniform(0, HEIGHT, 260), strict=True):
        scene[int(y) : int(y) + 2, int(x) : int(x) + 2] = 255
    return scene


def road(rng: np.random.Generator) -> np.ndarray:
    """Return a road that leads into the sunset."""
    scene = np.concatenate(
        [sky(rng, (92, 74, 138), (255, 176, 92), (250, 140, 110)), ground(rng, (104, 84, 60), (70, 62, 42), 9)]
    )
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    glow = np.exp(-(((columns - 290) / 70) ** 2 + ((rows - 132) / 44) ** 2))[..., None]
    scene[:HORIZON] += (glow * np.array([90, 80, 30]))[:HORIZON]
    scene[(columns - 290) ** 2 + (rows - 132) ** 2 < 15**2] = (255, 244, 200)
    ridge(scene, rng, 20, (84, 62, 84))
    depth = np.clip((rows - HORIZON) / (HEIGHT - HORIZON), 0, 1)
    half = 14 + 330 * depth
    asphalt = (np.abs(columns - 200) < half) & (rows >= HORIZON)
    scene[asphalt] = 74 + 18 * depth[asphalt][:, None] + 5 * rng.normal(size=(int(asphalt.sum()), 1))
    border = (np.abs(np.abs(columns - 200) - 0.93 * half) < 1 + 5 * depth) & asphalt
    middle = (np.abs(columns - 200) < 1 + 6 * depth) & asphalt & ((9 / (depth + 0.12)) % 8 < 4)
    scene[border | middle] = (226, 218, 196)
    return scene


def relief(sheet: Image.Image) -> Image.Image:
    """Light a flat drawing from the upper left, as if its surface bulged."""
    colours = np.asarray(sheet, np.float32)
    alpha = sheet.getchannel("A")
    height = sum(np.asarray(alpha.filter(ImageFilter.GaussianBlur(SCALE * r)), np.float32) * r for r in (3, 9, 22))
    down, right = np.gradient(height / 255)
    light = np.clip(1 - 0.55 * SCALE * (0.8 * -down + 0.6 * -right), 0.55, 1.4)
    return Image.fromarray(
        np.dstack([np.clip(colours[..., :3] * light[..., None], 0, 255), colours[..., 3]]).astype(np.uint8), "RGBA"
    )


def draw(subject: str, colour: str, place: str, seed: int) -> Image.Image:
    """Draw one photo."""
    rng = np.random.default_rng(seed)
    scene = np.clip(PLACES[place][0](rng), 0, 255).astype(np.uint8)
    sheet = Layer()
    SUBJECTS[subject][0](sheet, PAINT[colour])
    shadow = Layer()
    if subject != "balloon":
        shadow.ellipse(208, 260, 82, 9, (10, 14, 30))
    dark = shadow.image.filter(ImageFilter.GaussianBlur(4 * SCALE))
    dark.putalpha(dark.getchannel("A").point(lambda value: value * 0.6))
    lit = relief(sheet.image)
    size, shift = rng.uniform(0.82, 1.05), rng.uniform(-34, 34)
    moved = lit.transform(
        lit.size,
        Image.Transform.AFFINE,
        (1 / size, 0, SCALE * (200 - (200 + shift) / size), 0, 1 / size, SCALE * (258 - 258 / size)),
        Image.Resampling.BICUBIC,
    )
    photo = Image.fromarray(scene).resize((WIDTH * SCALE, HEIGHT * SCALE), Image.Resampling.BICUBIC)
    for image in (dark, moved):
        at = (round(SCALE * shift), 0) if image is dark else (0, 0)
        photo.paste(image, at, mask=image)
    return photo.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)


# A subject's drawing, its two colours, its name, and what it does.
SUBJECTS: dict[str, tuple[Callable[[Layer, Colour], None], tuple[str, str], str, str]] = {
    "dog": (dog, ("brown", "white"), "{} dog", "stands"),
    "car": (car, ("red", "blue"), "{} car", "stands"),
    "ball": (ball, ("red", "blue"), "{} ball", "lies"),
    "house": (house, ("white", "blue"), "{} house", "stands"),
    "cyclist": (cyclist, ("red", "blue"), "cyclist in a {} shirt", "rides"),
    "balloon": (balloon, ("red", "blue"), "{} balloon", "flies"),
}

# A place's drawing, how it is named for what stands there, and for what flies there.
PLACES: dict[str, tuple[Callable[[np.random.Generator], np.ndarray], str, str]] = {
    "grass": (grass, "on the grass", "over the grass"),
    "beach": (beach, "on the beach", "over the beach"),
    "snow": (snow, "in the snow", "over the snow"),
    "road": (road, "on the road", "over the road"),
}

HELD_OUT = {("dog", "beach"), ("car", "snow"), ("cyclist", "grass"), ("balloon", "road")}


def captions(subject: str, colour: str, place: str) -> list[str]:
    """Return two captions of a photo."""
    _, _, name, verb = SUBJECTS[subject]
    where = PLACES[place][2 if subject == "balloon" else 1]
    thing = name.format(colour)
    return [f"a {thing} {verb} {where}", f"a {thing} {where}"]


def main() -> None:
    """Write the photos and `captions.csv`."""
    FOLDER.mkdir(exist_ok=True)
    rows = []
    for number, subject in enumerate(SUBJECTS):
        for column, place in enumerate(PLACES):
            colour = SUBJECTS[subject][1][(number + column) % 2]
            name = f"{subject}_{place}.jpg"
            draw(subject, colour, place, 10 * number + column).save(FOLDER / name, quality=88, optimize=True)
            split = "test" if (subject, place) in HELD_OUT else "train"
            rows += [(name, caption, split) for caption in captions(subject, colour, place)]
    with (FOLDER / "captions.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("image", "caption", "split"), *rows])


if __name__ == "__main__":
    main()
