"""Pictures that are no photographs, drawn here: charts, pages, plans, signs, patterns.

Each is drawn anew with a fixed seed, so that no file has to be kept and all get the same.
"""

import io
from collections.abc import Callable
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

SIZE = (500, 375)
INK, BLUE, RED, GREEN, YELLOW, GREY = "#202020", "#1f5fa8", "#c0392b", "#3b8f4a", "#e8b93c", "#b8b8b8"
TEXT = (
    "The committee met on the third of March and heard the report of the treasurer. Income rose by four percent, and "
    "expenses by two. Members asked for a list of all contracts that end this year. The chair will send it before the "
    "next meeting. A motion to repair the roof of the hall was carried with nine votes to three. "
)


def chart(draw: Callable[[Axes, np.random.Generator], object]) -> Image.Image:
    """Draw on Matplotlib's axes."""
    figure = Figure(figsize=(5, 3.75), dpi=100, layout="constrained")
    draw(figure.subplots(), np.random.default_rng(1))
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return Image.open(file).convert("RGB")


def sheet(draw: Callable[[ImageDraw.ImageDraw], object], size: tuple[int, int] = SIZE) -> Image.Image:
    """Draw on white paper."""
    image = Image.new("RGB", size, "white")
    draw(ImageDraw.Draw(image))
    return image


def bar_chart(axes: Axes, numbers: np.random.Generator) -> None:
    """Draw sales by month."""
    axes.bar(range(1, 9), numbers.uniform(20, 90, 8), color=BLUE)
    axes.set(title="Sales by month", ylabel="thousands")


def line_chart(axes: Axes, numbers: np.random.Generator) -> None:
    """Draw three paths."""
    for name in ("north", "south", "west"):
        axes.plot(numbers.normal(size=60).cumsum(), label=name)
    axes.set(title="Temperature", xlabel="day")
    axes.legend()
    axes.grid()


def pie_chart(axes: Axes, numbers: np.random.Generator) -> None:
    """Draw shares of a whole."""
    axes.pie(numbers.uniform(1, 4, 5), labels=["rent", "food", "travel", "books", "other"], autopct="%.0f%%")


def scatter_plot(axes: Axes, numbers: np.random.Generator) -> None:
    """Draw two clouds of points."""
    for place, colour in ((0, BLUE), (3, RED)):
        axes.scatter(numbers.normal(place, 1, 150), numbers.normal(place / 2, 1, 150), s=12, color=colour)
    axes.set(xlabel="length (cm)", ylabel="width (cm)")


def heat_map(axes: Axes, numbers: np.random.Generator) -> None:
    """Draw a matrix in colours."""
    axes.imshow(numbers.normal(size=(12, 16)).cumsum(axis=1), cmap="viridis")
    axes.set(title="Correlation")


def contour_map(axes: Axes, numbers: np.random.Generator) -> None:
    """Draw the heights of some hills."""
    x, y = np.meshgrid(np.linspace(-3, 3, 80), np.linspace(-3, 3, 80))
    places = numbers.uniform(-2, 2, (5, 2))
    axes.contour(x, y, sum(np.exp(-((x - a) ** 2) - (y - b) ** 2) for a, b in places), levels=12)


def write(pen: ImageDraw.ImageDraw, place: tuple[float, float], text: str, size: int = 14) -> None:
    """Write a line."""
    pen.text(place, text, fill=INK, font=ImageFont.load_default(size))


def lines(pen: ImageDraw.ImageDraw, box: tuple[int, int, int, int], size: int) -> None:
    """Fill a box with lines of text."""
    left, top, right, bottom = box
    words, font = iter(TEXT.split() * 20), ImageFont.load_default(size)
    for y in range(top, bottom, round(1.5 * size)):
        line = next(words)
        while font.getlength(longer := f"{line} {next(words)}") < right - left:
            line = longer
        pen.text((left, y), line, fill=INK, font=font)


def letter(pen: ImageDraw.ImageDraw) -> None:
    """Write a letter."""
    write(pen, (40, 30), "Minutes of the annual meeting", 20)
    lines(pen, (40, 75, 460, 480), 13)


def newspaper(pen: ImageDraw.ImageDraw) -> None:
    """Write three columns below a headline."""
    write(pen, (25, 15), "COUNCIL REPAIRS THE OLD HALL", 27)
    pen.line((25, 58, 475, 58), fill=INK, width=2)
    for left in (25, 180, 335):
        lines(pen, (left, 70, left + 140, 480), 11)


def form(pen: ImageDraw.ImageDraw) -> None:
    """Draw boxes to be filled in."""
    write(pen, (30, 20), "Application for membership", 20)
    for number, name in enumerate(["Name", "Address", "Town", "Telephone", "Date of birth", "Signature"]):
        y = 70 + 48 * number
        write(pen, (30, y + 6), name)
        pen.rectangle((160, y, 460, y + 30), outline=INK)
    for number in range(3):
        pen.rectangle((30 + 110 * number, 355, 45 + 110 * number, 370), outline=INK)


def table(pen: ImageDraw.ImageDraw) -> None:
    """Draw rows and columns of figures."""
    numbers = np.random.default_rng(2)
    for row in range(11):
        pen.rectangle((20, 20 + 30 * row, 480, 50 + 30 * row), outline=GREY, fill="#eef2f8" if row == 0 else None)
        for column in range(5):
            text = f"Q{column}" if row == 0 else f"{numbers.uniform(0, 999):.1f}"
            write(pen, (35 + 92 * column, 26 + 30 * row), text)


def receipt(pen: ImageDraw.ImageDraw) -> None:
    """Write what was bought."""
    numbers = np.random.default_rng(3)
    write(pen, (70, 15), "CORNER SHOP", 20)
    for row, name in enumerate(["Bread", "Milk", "Apples", "Tea", "Soap", "Paper", "Total"]):
        write(pen, (25, 70 + 30 * row + 20 * (row == 6)), name, 15)
        write(pen, (210, 70 + 30 * row + 20 * (row == 6)), f"{numbers.uniform(1, 20):.2f}", 15)
    for x in range(30, 250, 5):
        pen.line((x, 330, x, 400), fill=INK, width=int(numbers.integers(1, 5)))


def town_map(pen: ImageDraw.ImageDraw) -> None:
    """Draw streets, a park and a river."""
    pen.rectangle((0, 0, *SIZE), fill="#f2efe6")
    pen.rectangle((300, 40, 420, 150), fill="#c8e2b8")
    pen.line([(0, 300), (120, 270), (260, 310), (380, 260), (500, 280)], fill="#9cc4e4", width=26)
    for x in (60, 150, 250, 440):
        pen.line((x, 0, x + 30, 375), fill="white", width=9)
    for y in (30, 110, 190, 345):
        pen.line((0, y, 500, y + 20), fill=YELLOW if y == 190 else "white", width=9)
    for place, name in (
        ((315, 85), "Town Park"),
        ((160, 165), "High Street"),
        ((390, 295), "River"),
        ((75, 50), "Mill"),
    ):
        write(pen, place, name)


def floor_plan(pen: ImageDraw.ImageDraw) -> None:
    """Draw the rooms of a flat."""
    pen.rectangle((40, 30, 460, 345), outline=INK, width=6)
    for wall in ((200, 30, 200, 210), (40, 210, 340, 210), (340, 120, 340, 345), (200, 120, 460, 120)):
        pen.line(wall, fill=INK, width=4)
    for place, name in (
        ((85, 110), "Kitchen"),
        ((290, 70), "Bath"),
        ((150, 270), "Living room"),
        ((370, 220), "Bedroom"),
    ):
        write(pen, place, name)
    pen.arc((300, 170, 380, 250), 180, 270, fill=INK, width=2)


def flow_chart(pen: ImageDraw.ImageDraw) -> None:
    """Draw boxes and arrows."""
    for number, (x, y) in enumerate([(190, 15), (190, 125), (60, 250), (320, 250)]):
        pen.rounded_rectangle((x, y, x + 120, y + 60), 12, outline=BLUE, fill="#e4edf8", width=3)
        write(pen, (x + 25, y + 20), ["Start", "Check", "Repair", "Deliver"][number], 17)
    for each in ((250, 75, 250, 125), (220, 185, 130, 250), (280, 185, 370, 250)):
        pen.line(each, fill=INK, width=3)


def sheet_music(pen: ImageDraw.ImageDraw) -> None:
    """Draw notes on staves."""
    numbers = np.random.default_rng(4)
    for top in (40, 150, 260):
        for line in range(5):
            pen.line((20, top + 12 * line, 480, top + 12 * line), fill=INK)
        for x in range(50, 470, 34):
            y = top + 6 * int(numbers.integers(0, 9))
            pen.ellipse((x, y - 6, x + 15, y + 6), fill=INK)
            pen.line((x + 14, y, x + 14, y - 38), fill=INK, width=2)


def calendar(pen: ImageDraw.ImageDraw) -> None:
    """Draw the days of a month."""
    write(pen, (200, 12), "October", 24)
    for day in range(31):
        x, y = 25 + 65 * (day % 7), 55 + 62 * (day // 7)
        pen.rectangle((x, y, x + 65, y + 62), outline=GREY)
        write(pen, (x + 6, y + 4), str(day + 1), 17)


def slide(pen: ImageDraw.ImageDraw) -> None:
    """Write what is said in a talk."""
    pen.rectangle((0, 0, *SIZE), fill="#16324f")
    pen.text((40, 40), "Three steps to better sleep", fill="white", font=ImageFont.load_default(30))
    for number, text in enumerate(["Keep the same hours", "No screens at night", "A cool, dark room"]):
        pen.text((70, 130 + 65 * number), f"-  {text}", fill="#d8e6f4", font=ImageFont.load_default(22))


def icons(pen: ImageDraw.ImageDraw) -> None:
    """Draw signs in rows."""
    for number in range(12):
        x, y = 40 + 115 * (number % 4), 25 + 115 * (number // 4)
        colour = [BLUE, RED, GREEN, YELLOW, INK][number % 5]
        pen.rounded_rectangle((x, y, x + 90, y + 90), 20, fill=colour)
        if number % 3 == 0:
            pen.ellipse((x + 22, y + 22, x + 68, y + 68), outline="white", width=8)
        elif number % 3 == 1:
            pen.polygon([(x + 45, y + 18), (x + 72, y + 70), (x + 18, y + 70)], fill="white")
        else:
            pen.line([(x + 20, y + 48), (x + 40, y + 68), (x + 72, y + 25)], fill="white", width=10)


def road_sign(pen: ImageDraw.ImageDraw) -> None:
    """Draw a triangle that warns."""
    pen.polygon([(250, 20), (445, 350), (55, 350)], fill=RED)
    pen.polygon([(250, 75), (395, 320), (105, 320)], fill="white")
    pen.rectangle((240, 150, 260, 250), fill=INK)
    pen.ellipse((238, 268, 262, 292), fill=INK)


def rectangles(pen: ImageDraw.ImageDraw) -> None:
    """Draw plain areas."""
    areas = ((0, 0, 150, 200), (150, 0, 500, 120), (150, 120, 350, 375), (0, 200, 150, 375), (350, 120, 500, 375))
    for area, colour in zip(areas, [RED, "white", BLUE, YELLOW, GREY], strict=True):
        pen.rectangle(area, fill=colour, outline=INK, width=6)


def from_numbers(values: np.ndarray) -> Image.Image:
    """Turn numbers from 0 to 1, (H, W) or (H, W, 3), into a picture."""
    return Image.fromarray((255 * values).astype(np.uint8)).convert("RGB")


def gradient() -> Image.Image:
    """Draw a sky without anything in it."""
    y, x = np.mgrid[0:1:375j, 0:1:500j]
    return from_numbers(np.stack([x, y, 1 - x * y], axis=2))


def noise() -> Image.Image:
    """Draw each pixel at random."""
    return from_numbers(np.random.default_rng(5).random((375, 500, 3)))


def soft_noise() -> Image.Image:
    """Draw clouds of colours."""
    few = from_numbers(np.random.default_rng(6).random((10, 13, 3)))
    return few.resize(SIZE, Image.Resampling.BICUBIC)


def stripes() -> Image.Image:
    """Draw slanting stripes."""
    y, x = np.mgrid[0:375, 0:500]
    return from_numbers(((x + y) // 25 % 2).astype(float))


def plain() -> Image.Image:
    """Draw nothing on grey."""
    return Image.new("RGB", SIZE, (128, 128, 128))


CHARTS = (bar_chart, line_chart, pie_chart, scatter_plot, heat_map, contour_map)
TALL = (letter, newspaper)
WIDE = (form, table, town_map, floor_plan, flow_chart, sheet_music, calendar, slide, icons, road_sign, rectangles)
PATTERNS = (gradient, noise, soft_noise, stripes, plain)

DRAWINGS: dict[str, Callable[[], Image.Image]] = {
    **{draw.__name__: partial(chart, draw) for draw in CHARTS},
    **{draw.__name__: partial(sheet, draw, (500, 500)) for draw in TALL},
    **{draw.__name__: partial(sheet, draw) for draw in WIDE},
    "receipt": partial(sheet, receipt, (280, 430)),
    **{draw.__name__: draw for draw in PATTERNS},
}
"""Each drawing by its name."""
