import errno
import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from captioner.cli.formats import STYLES, images_in, make_writer
from captioner.cli.results import Table
from captioner.errors import UsageError
from captioner.runtime.caption import Candidate, Caption

CANDIDATES = (Candidate(("a", "dog"), -0.5, None), Candidate(("the", '"dog",'), -1.0, None))
CAPTION = Caption(**vars(CANDIDATES[0]), candidates=CANDIDATES)
PHOTOS = [Path("a b.jpg"), Path('c,"d".jpg'), Path("ein/hündchen.jpg"), Path(os.fsdecode(b"\xff.jpg"))]


def lines(style: str, photo: Path) -> str:
    return make_writer(style, 2, single=False)(photo, CAPTION)


def fill(path: Path, style: str, photos=PHOTOS) -> None:
    table = Table(path, style)
    for photo in photos:
        table.write(photo, lines(style, photo))
    table.finish()
    table.close()


@pytest.mark.parametrize("style", STYLES)
def test_a_table_knows_what_it_holds(tmp_path, style):
    path = tmp_path / "new" / "captions"
    fill(path, style)
    assert path.read_text().count("image,caption,score,confidence,familiar") == (style == "csv")
    table = Table(path, style)
    assert all(photo in table for photo in PHOTOS)
    assert Path("other.jpg") not in table
    before = path.read_bytes()
    table.write(Path("other.jpg"), lines(style, Path("other.jpg")))
    table.close()
    assert path.read_bytes() == before + lines(style, Path("other.jpg")).encode()


@pytest.mark.parametrize("style", STYLES)
def test_lines_are_there_as_soon_as_they_are_written(tmp_path, style):
    table = Table(tmp_path / "captions", style)
    table.write(PHOTOS[0], lines(style, PHOTOS[0]))
    assert str(PHOTOS[0]) in images_in(style, (tmp_path / "captions").read_text())
    table.close()


@pytest.mark.parametrize("style", STYLES)
def test_wherever_a_crash_has_cut_it_the_next_run_makes_it_whole(tmp_path, style):
    whole, path = tmp_path / "whole", tmp_path / "cut"
    fill(whole, style, PHOTOS[:2])
    first = len(whole.read_bytes()) - len(lines(style, PHOTOS[1]).encode())
    for size in range(first, len(whole.read_bytes())):
        path.write_bytes(whole.read_bytes()[:size])
        if style == "text" and path.read_bytes().rpartition(b"\n")[2].partition(b"\t")[2]:
            with pytest.raises(UsageError, match="its last line has no line end, so it may have been cut"):
                Table(path, style)
            assert path.read_bytes() == whole.read_bytes()[:size]
            continue
        table = Table(path, style)
        assert PHOTOS[0] in table
        for photo in PHOTOS[:2]:
            if photo not in table:
                table.write(photo, lines(style, photo))
        table.close()
        assert images_in(style, path.read_text()) == {str(photo) for photo in PHOTOS[:2]}
        if style != "text":  # a photo's first line of two is a line
            assert path.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize(
    ("style", "content"),
    [
        ("csv", "a,b\n1,2\n"),
        ("csv", "image,caption,score\na.jpg,a dog\n"),
        ("csv", 'image,caption,score\na.jpg,"a dog\n'),
        ("json", "image,caption,score\n"),
        ("json", "[1]\n"),
        ("json", '{"caption": "a dog"}\n'),
        ("text", "Dear diary\n"),
        ("text", "Dear diary"),
        ("text", "\xff\t\n"),
    ],
)
def test_what_is_something_else_is_left_alone(tmp_path, style, content):
    path = tmp_path / "precious"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(UsageError, match=rf"precious: exists, but is not what --format {style} writes.*--overwrite"):
        Table(path, style)
    assert path.read_bytes() == content.encode("latin-1")


def test_overwriting_starts_anew_with_the_first_line(tmp_path):
    path = tmp_path / "captions"
    path.write_text("something else")
    table = Table(path, "csv", overwrite=True)
    assert PHOTOS[0] not in table
    assert path.read_text() == "something else"
    table.write(PHOTOS[0], lines("csv", PHOTOS[0]))
    table.close()
    assert path.read_text() == f"image,caption,score,confidence,familiar\n{lines('csv', PHOTOS[0])}"


def test_without_captions_only_the_columns_are_there_or_nothing_is(tmp_path):
    fill(tmp_path / "a.csv", "csv", [])
    assert (tmp_path / "a.csv").read_text() == "image,caption,score,confidence,familiar\n"
    Table(tmp_path / "b.csv", "csv").close()
    assert not (tmp_path / "b.csv").exists()


def test_a_full_disk_leaves_whole_lines(tmp_path, monkeypatch):
    table = Table(tmp_path / "captions", "json")
    table.write(PHOTOS[0], lines("json", PHOTOS[0]))
    before = (tmp_path / "captions").read_bytes()

    def write(content):
        table._file.write(content[:7])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(table, "_write", write)
    with pytest.raises(OSError, match="No space"):
        table.write(PHOTOS[1], lines("json", PHOTOS[1]))
    table.close()
    assert (tmp_path / "captions").read_bytes() == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no file that is full")
def test_a_full_disk_is_told_with_the_name_of_the_file():
    table = Table(Path("/dev/full"), "json", overwrite=True)
    with pytest.raises(OSError, match="No space") as told:
        table.write(PHOTOS[0], lines("json", PHOTOS[0]))
    assert told.value.filename == "/dev/full"
    table.close()


def test_json_lines_name_photos_as_their_readers_see_them(tmp_path):
    fill(tmp_path / "captions", "json")
    found = [json.loads(line)["image"] for line in (tmp_path / "captions").read_text().splitlines()]
    assert found == [str(photo) for photo in PHOTOS]


def add_rows(path: Path, style: str, numbers: range) -> None:
    """What a run does, but for the captioning."""
    with closing(Table(path, style)) as table:
        for number in numbers:
            table.refresh()
            table.write(Path(f"photo {number},\n.jpg"), lines(style, Path(f"photo {number},\n.jpg")))
        table.finish()


DRIVER = """
import sys
from pathlib import Path
from tests.cli.test_results import add_rows
print("ready", flush=True)
sys.stdin.read()
add_rows(Path(sys.argv[1]), sys.argv[2], range(int(sys.argv[3]), int(sys.argv[4])))
"""


def run_at_once(path: Path, style: str, ranges: list[tuple[int, int]]) -> None:
    """Let a process for each range add its rows; they begin when all are ready."""
    command = [sys.executable, "-c", DRIVER, str(path), style]
    running = [
        subprocess.Popen(
            [*command, str(first), str(last)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        for first, last in ranges
    ]
    assert [each.stdout.readline() for each in running] == [b"ready\n"] * len(ranges)
    for each in running:
        each.stdin.close()
    for each in running:
        each.stdout.close()
    assert [each.wait() for each in running] == [0] * len(ranges)


def check_rows(path: Path, style: str, count: int) -> None:
    text = path.read_text()
    assert text.count("image,caption,score,confidence,familiar\n") == (style == "csv")
    rows = text.removeprefix("image,caption,score,confidence,familiar\n")
    wanted = [lines(style, Path(f"photo {number},\n.jpg")) for number in range(count)]
    assert len(rows) == sum(map(len, wanted))
    assert all(row in rows for row in wanted)
    assert len(images_in(style, text)) == count


REPETITIONS = [
    *(pytest.param(number, id=str(number)) for number in range(3)),
    *(pytest.param(number, marks=pytest.mark.slow, id=str(number)) for number in range(3, 20)),
]


@pytest.mark.parametrize("repetition", REPETITIONS)
def test_two_runs_add_all_their_rows_to_one_table(tmp_path, repetition):
    style = ("csv", "json", "text")[repetition % 3]
    run_at_once(tmp_path / "captions", style, [(0, 60), (60, 120)])
    check_rows(tmp_path / "captions", style, 120)


def test_four_runs_at_once_caption_nothing_twice(tmp_path):
    run_at_once(tmp_path / "captions.csv", "csv", [(0, 30), (20, 60), (50, 90), (90, 120)])
    check_rows(tmp_path / "captions.csv", "csv", 120)
    assert [path.name for path in tmp_path.iterdir()] == ["captions.csv"]


def test_a_run_sees_what_another_has_captioned_meanwhile(tmp_path):
    path, photo = tmp_path / "captions.csv", PHOTOS[1]
    with closing(Table(path, "csv")) as first, closing(Table(path, "csv")) as second:
        first.write(photo, lines("csv", photo))
        assert photo not in second
        second.refresh()
        assert photo in second
        second.write(photo, lines("csv", photo))
    check = path.read_text()
    assert check == "image,caption,score,confidence,familiar\n" + lines("csv", photo)


@pytest.mark.parametrize(
    ("style", "row"),
    [
        ("csv", "mine.jpg,MY DOG,-0.5,0.9,true"),
        ("csv", '"my, dog.jpg","MY\nDOG",-0.5,,false'),
        ("json", '{"image": "mine.jpg", "caption": "MY DOG"}'),
    ],
)
def test_a_whole_row_without_a_line_end_is_kept(tmp_path, style, row):
    path = tmp_path / "captions"
    with closing(Table(path, style)) as table:
        table.write(PHOTOS[0], lines(style, PHOTOS[0]))
    before = path.read_text()
    path.write_text(before + row)
    with closing(Table(path, style)) as table:
        assert Path("my, dog.jpg" if '"my' in row else "mine.jpg") in table
        table.write(PHOTOS[1], lines(style, PHOTOS[1]))
    assert path.read_text() == f"{before}{row}\n{lines(style, PHOTOS[1])}"


def test_a_table_that_a_spreadsheet_saved_with_a_byte_order_mark_goes_on(tmp_path):
    path = tmp_path / "captions.csv"
    with closing(Table(path, "csv")) as table:
        table.write(PHOTOS[0], lines("csv", PHOTOS[0]))
    path.write_text("\ufeff" + path.read_text())
    with closing(Table(path, "csv")) as table:
        assert PHOTOS[0] in table
        table.write(PHOTOS[1], lines("csv", PHOTOS[1]))
    assert path.read_text().endswith(lines("csv", PHOTOS[0]) + lines("csv", PHOTOS[1]))


@pytest.mark.parametrize("style", STYLES)
def test_half_a_line_that_a_killed_run_leaves_goes_with_the_next_row_of_another(tmp_path, style):
    path = tmp_path / "captions"
    with closing(Table(path, style)) as table:
        table.write(PHOTOS[0], lines(style, PHOTOS[0]))
        with path.open("a") as file:
            file.write(lines(style, PHOTOS[2])[:9])
        table.write(PHOTOS[1], lines(style, PHOTOS[1]))
    assert path.read_text().endswith(lines(style, PHOTOS[0]) + lines(style, PHOTOS[1]))


def test_a_cut_row_whose_name_has_a_line_end_is_dropped(tmp_path):
    path, photo = tmp_path / "captions.csv", Path("x\ny.jpg")
    for size in range(1, len(lines("csv", photo))):
        path.write_text(
            "image,caption,score,confidence,familiar\n" + lines("csv", PHOTOS[0]) + lines("csv", photo)[:size]
        )
        with closing(Table(path, "csv")) as table:
            assert photo not in table
            table.write(photo, lines("csv", photo))
        assert path.read_text() == "image,caption,score,confidence,familiar\n" + lines("csv", PHOTOS[0]) + lines(
            "csv", photo
        )


def test_overwriting_leaves_what_another_run_has_written_since(tmp_path):
    path = tmp_path / "captions.csv"
    fill(path, "csv", PHOTOS[:1])
    with closing(Table(path, "csv", overwrite=True)) as overwriting, closing(Table(path, "csv")) as other:
        other.write(PHOTOS[1], lines("csv", PHOTOS[1]))
        before = path.read_bytes()
        with pytest.raises(UsageError, match="another run has written to it"):
            overwriting.write(PHOTOS[2], lines("csv", PHOTOS[2]))
    assert path.read_bytes() == before


def test_a_run_whose_table_another_overwrites_goes_on_in_the_new_one(tmp_path):
    path = tmp_path / "captions.csv"
    with closing(Table(path, "csv")) as first, closing(Table(path, "csv")) as second:
        for photo in PHOTOS[:2]:
            first.write(photo, lines("csv", photo))
        with closing(Table(path, "csv", overwrite=True)) as overwriting:
            for photo in PHOTOS[2:]:
                overwriting.write(photo, lines("csv", photo))
        first.write(PHOTOS[0], lines("csv", PHOTOS[0]))
        second.refresh()
        assert [photo in second for photo in PHOTOS] == [True, False, True, True]
    assert path.read_text() == "image,caption,score,confidence,familiar\n" + "".join(
        lines("csv", PHOTOS[number]) for number in (2, 3, 0)
    )


def test_a_table_that_is_removed_meanwhile_is_made_again(tmp_path):
    path = tmp_path / "captions.csv"
    with closing(Table(path, "csv")) as first, closing(Table(path, "csv")) as second:
        first.close()  # which made it for nothing, and removes it
        assert not path.exists()
        second.write(PHOTOS[0], lines("csv", PHOTOS[0]))
    assert path.read_text() == "image,caption,score,confidence,familiar\n" + lines("csv", PHOTOS[0])


def test_a_table_in_a_folder_that_is_read_only_grows(tmp_path):
    path = tmp_path / "captions.csv"
    path.touch()
    tmp_path.chmod(0o500)
    try:
        fill(path, "csv", PHOTOS[:1])
    finally:
        tmp_path.chmod(0o700)
    assert path.read_text() == "image,caption,score,confidence,familiar\n" + lines("csv", PHOTOS[0])


@pytest.mark.needs("fcntl.flock")
def test_where_the_file_system_knows_no_locks_one_run_works(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("captioner.system.locks.fcntl.flock", refuse)
    fill(tmp_path / "captions.csv", "csv", PHOTOS[:1])
    assert (tmp_path / "captions.csv").read_text() == "image,caption,score,confidence,familiar\n" + lines(
        "csv", PHOTOS[0]
    )


ALIKE = [
    "x\ny.jpg", r"x\ny.jpg", r"x\\ny.jpg", "x\\\ny.jpg",
    os.fsdecode(b"\xff"), r"\udcff", r"\\udcff", "\\" + os.fsdecode(b"\xff"), "\x1b", r"\x1b", "\u202e", r"\u202e",
]  # fmt: skip


@pytest.mark.parametrize("style", STYLES)
def test_names_that_look_alike_are_photos_of_their_own(tmp_path, style):
    photos = [Path(name) for name in ALIKE]
    for number, photo in enumerate(photos):
        with closing(Table(tmp_path / "captions", style)) as table:
            assert [each in table for each in photos] == [at < number for at in range(len(photos))]
            table.write(photo, lines(style, photo))
    assert len(images_in(style, (tmp_path / "captions").read_text())) == len(ALIKE)
