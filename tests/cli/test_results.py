import errno
import json
import os
from pathlib import Path

import pytest

from captioner.cli.formats import STYLES, images_in, make_writer
from captioner.cli.results import Table
from captioner.errors import UsageError
from captioner.runtime.caption import Candidate

CANDIDATES = (Candidate(("a", "dog"), -0.5, None), Candidate(("the", '"dog",'), -1.0, None))
PHOTOS = [Path("a b.jpg"), Path('c,"d".jpg'), Path("ein/hündchen.jpg"), Path(os.fsdecode(b"\xff.jpg"))]


def lines(style: str, photo: Path) -> str:
    return make_writer(style, 2, single=False)(photo, CANDIDATES)


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
    assert path.read_text().count("image,caption,score") == (style == "csv")
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
    assert path.read_text() == f"image,caption,score\n{lines('csv', PHOTOS[0])}"


def test_without_captions_only_the_columns_are_there_or_nothing_is(tmp_path):
    fill(tmp_path / "a.csv", "csv", [])
    assert (tmp_path / "a.csv").read_text() == "image,caption,score\n"
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
