"""Photos whose structure was multiplied: each ends within a budget, and holds up nothing behind it."""

import json
import os
import re
from pathlib import Path

import pytest

from tests.soak.mutations import scene
from tests.soak.structures import Case, cases, made

COMPACT = Path(__file__).parents[2] / "saved_models" / "compact"
SEED = 1
MOST_SECONDS = 5.0
MOST_BYTES = 10**9
GOOD = 100
CASES: dict[str, list[Case]] = {}
for each in cases():
    CASES.setdefault(each.kind, []).append(each)

IN_FOLDER = (
    *("gif_comment_of_1_byte_blocks", "gif_huge_frame", "jpeg_many_exif_tiny", "jpeg_progressive_scans"),
    *("jpeg_one_scan_a_component", "jpeg_fill_bytes", "png_exif_bomb7", "png_many_tiny_idats", "png_thin"),
    *("tiff_giant_tile", "tiff_tag_bomb", "bmp_rle8_deltas", "webp_exif_bomb7", "foreign"),
)

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows does not tell what a process took")


def test_there_are_kinds_and_files_enough():
    names = [case.name for each in CASES.values() for case in each]
    assert len(CASES) >= 12
    assert len(names) == len(set(names)) >= 300
    assert set(IN_FOLDER) <= CASES.keys()


def test_the_same_seed_makes_the_same_files():
    for kind in ("gif_many_comments", "jpeg_exif_bomb7", "png_thin", "tiff_giant_tile", "bmp_rle8_deltas"):
        assert made(CASES[kind][0], SEED) == made(CASES[kind][0], SEED)


def predicted(forks, folder: Path, *options: object, processor: int = 30) -> dict:
    """Run the command in a child that cannot run for ever; what it took."""
    limits = {"processor": processor, "memory": 8 * 2**30}
    place = {"XDG_CACHE_HOME": str(folder / "cache")}
    return forks()(folder, ["predict", "--model", COMPACT, *options], env=place, limits=limits)


@pytest.mark.slow
@pytest.mark.parametrize("kind", CASES)
def test_each_ends_within_its_budget(forks, tmp_path, kind):
    for case in CASES[kind]:
        photo = tmp_path / case.name
        photo.write_bytes(made(case, SEED))
        ended = predicted(forks, tmp_path, case.name)
        photo.unlink()
        assert ended["status"] in (0, 1), (case.name, ended)
        if ended["status"]:
            assert re.search(rf"^captioner: {re.escape(case.name)}: .+$", ended["said"], re.MULTILINE), ended["said"]
        assert ended["processor"] <= MOST_SECONDS, (case.name, ended)
        assert ended["megabytes"] * 2**20 <= MOST_BYTES, (case.name, ended)


@pytest.mark.slow
def test_in_a_folder_they_hold_up_nothing(forks, tmp_path):
    """The folder's time is bounded by that of its good photos, and 5 s for each that needs its budget."""
    good, mixed = tmp_path / "good", tmp_path / "mixed"
    good.mkdir()
    mixed.mkdir()
    for number in range(GOOD):
        path = good / f"{number:03d}.jpg"
        scene((500, 375)).rotate(number).save(path, "JPEG")
        os.link(path, mixed / f"{path.stem}-a.jpg")
    needing = 0
    hostile = [case for kind in IN_FOLDER for case in spread(CASES[kind])]
    for number, case in enumerate(hostile):
        path = mixed / f"{number * GOOD // len(hostile):03d}-b-{case.name}"
        path.write_bytes(made(case, SEED))
        alone = predicted(forks, tmp_path, path)
        needing += alone["processor"] > 1.5 or "too much" in alone["said"]
    took = {}
    for folder in (good, mixed):
        options = (folder.name, "--format", "json", "--output", f"{folder.name}.json")
        took[folder] = predicted(forks, tmp_path, *options, processor=3600)
        assert took[folder]["status"] == (folder == mixed), took[folder]["said"]
    images = {
        folder: [Path(json.loads(line)["image"]).name for line in Path(f"{folder}.json").read_text().splitlines()]
        for folder in took
    }
    assert images[good] == sorted(path.name for path in good.iterdir())
    assert [name for name in images[mixed] if name.endswith("-a.jpg")] == [f"{n:03d}-a.jpg" for n in range(GOOD)]
    said = took[mixed]["said"].replace("\r", "\n")
    told = re.findall(r"^captioner: mixed/([^\n]+?): [^\n]+$", said, re.MULTILINE)
    assert sorted([*images[mixed], *told]) == sorted(path.name for path in mixed.iterdir())
    share = len(images[mixed]) / GOOD  # those of them that open are captioned too
    assert took[mixed]["seconds"] <= 1.3 * took[good]["seconds"] * share + MOST_SECONDS * needing
    seconds = [round(took[folder]["seconds"], 1) for folder in (good, mixed)]
    print(f"{seconds[0]} s; {seconds[1]} s with {len(hostile)} more, {needing} of which need their budget")


def spread(each: list[Case], count: int = 3) -> list[Case]:
    """Take the last of a kind, one in the middle, and the first."""
    return [each[index] for index in sorted({0, len(each) // 2, len(each) - 1})][:count]
