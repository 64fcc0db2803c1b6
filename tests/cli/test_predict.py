import csv
import io
import json
import os
from pathlib import Path

import pytest

from captioner.cli.formats import make_writer
from captioner.cli.output_paths import attention_paths, sidecar_paths
from captioner.cli.results import opened
from captioner.errors import UsageError
from captioner.runtime.caption import Candidate, Caption

PHOTO = Path("photos", "a b.jpg")
CANDIDATES = (
    Candidate(("a", "dog,", "running"), -0.5, None, confidence=0.8125),
    Candidate(("the", '"big"', "dog"), -0.75, None, confidence=0.5),
    Candidate(("ein", "hündchen"), -1.0, None),
)


def caption(*candidates: Candidate) -> Caption:
    return Caption(**vars(candidates[0]), candidates=candidates, familiar=None if len(candidates) == 3 else True)


CAPTION = caption(*CANDIDATES)


def test_one_photo_gives_its_caption_alone():
    assert make_writer("text", 1, single=True)(PHOTO, CAPTION) == "a dog, running\n"


def test_several_photos_give_path_and_caption():
    assert make_writer("text", 1, single=False)(PHOTO, CAPTION) == f"{PHOTO}\ta dog, running\n"


def test_several_captions_give_a_line_each():
    alone = 'a dog, running\nthe "big" dog\nein hündchen\n'
    assert make_writer("text", 3, single=True)(PHOTO, CAPTION) == alone
    named = "".join(f"{PHOTO}\t{line}\n" for line in alone.splitlines())
    assert make_writer("text", 3, single=False)(PHOTO, CAPTION) == named
    assert make_writer("text", 9, single=True)(PHOTO, caption(*CANDIDATES[:2])) == 'a dog, running\nthe "big" dog\n'


@pytest.mark.parametrize("single", [True, False])
def test_json_is_a_line_a_photo(single):
    line = make_writer("json", 2, single)(PHOTO, caption(*CANDIDATES[:2]))
    assert line.endswith("\n")
    assert line.count("\n") == 1
    assert json.loads(line) == {
        "image": str(PHOTO),
        "caption": "a dog, running",
        "score": -0.5,
        "confidence": 0.8125,
        "familiar": True,
        "candidates": [
            {"caption": "a dog, running", "score": -0.5, "confidence": 0.8125},
            {"caption": 'the "big" dog', "score": -0.75, "confidence": 0.5},
        ],
    }
    assert "hündchen" in make_writer("json", 1, single)(PHOTO, caption(*CANDIDATES[2:]))


def test_csv_quotes_what_needs_it():
    line = make_writer("csv", 1, single=True)(Path('a,"b".jpg'), caption(*CANDIDATES[1:]))
    assert list(csv.reader(io.StringIO(line))) == [['a,"b".jpg', 'the "big" dog', "-0.7500", "0.50", "true"]]
    assert line.endswith("-0.7500,0.50,true\n")


def test_what_a_model_cannot_tell_is_left_empty():
    unknown = Caption(**vars(CANDIDATES[2]), candidates=CANDIDATES[2:])

    assert make_writer("csv", 1, single=True)(PHOTO, unknown) == f"{PHOTO},ein hündchen,-1.0000,,\n"
    assert json.loads(make_writer("json", 1, single=True)(PHOTO, unknown))["familiar"] is None


PHOTOS = [Path("x", "dog.jpg"), Path("y", "dog.png"), Path("cat.jpg"), Path("dog-2.jpg")]


def test_no_pictures_are_drawn_unless_asked_for():
    assert attention_paths(None, PHOTOS, single=False) == {}


@pytest.mark.parametrize("name", ["looked.png", "looked.PNG", "deep/er/looked.pdf", "looked.webp", "looked.jpg"])
def test_one_photo_gets_the_file_that_was_named(tmp_path, name):
    assert attention_paths(tmp_path / name, PHOTOS[:1], single=True) == {PHOTOS[0]: tmp_path / name}


def test_one_photo_and_a_folder_give_a_picture_in_it(tmp_path):
    assert attention_paths(tmp_path, PHOTOS[:1], single=True) == {PHOTOS[0]: tmp_path / "dog.png"}


@pytest.mark.parametrize("name", ["looked", "looked.txt", "looked.gif2", "looked.svg"])
def test_a_name_that_is_no_picture_is_wrong_usage(tmp_path, name):
    with pytest.raises(UsageError, match=rf"--attention .*{name}: expected a picture such as .*{name}\.png"):
        attention_paths(tmp_path / name, PHOTOS[:1], single=True)


def test_several_photos_get_a_folder_and_different_names(tmp_path):
    where = tmp_path / "new"
    found = attention_paths(where, PHOTOS, single=False)
    assert list(found) == PHOTOS
    assert [path.name for path in found.values()] == ["dog.png", "dog-2.png", "cat.png", "dog-2-2.png"]
    assert {path.parent for path in found.values()} == {where}


def test_several_photos_do_not_fit_in_a_file(tmp_path):
    (tmp_path / "looked.png").touch()
    with pytest.raises(UsageError, match=r"looked\.png: is a file; expected a folder"):
        attention_paths(tmp_path / "looked.png", PHOTOS, single=False)


def test_a_file_appears_whole_when_all_is_written(tmp_path):
    with opened(tmp_path / "out" / "captions.txt") as file:
        file.write("ein hündchen\n")
        file.flush()
        assert not (tmp_path / "out" / "captions.txt").exists()
    assert (tmp_path / "out" / "captions.txt").read_bytes() == "ein hündchen\n".encode()


def test_an_error_leaves_the_old_file_and_ctrl_c_keeps_the_new_lines(tmp_path):
    path = tmp_path / "captions.txt"
    path.write_text("old\n")

    def interrupted_by(error):
        with opened(path) as file:
            file.write("new\n")
            raise error

    with pytest.raises(OSError, match="broken"):
        interrupted_by(OSError("broken"))
    assert path.read_text() == "old\n"
    with pytest.raises(KeyboardInterrupt):
        interrupted_by(KeyboardInterrupt())
    assert path.read_text() == "new\n"
    assert list(tmp_path.iterdir()) == [path]


def test_without_a_file_the_terminal_is_written_to(capsys):
    with opened(None) as file:
        file.write("a dog\n")
    assert capsys.readouterr().out == "a dog\n"


@pytest.mark.parametrize("to_file", [True, False])
def test_a_file_name_that_is_not_text_can_be_written(tmp_path, monkeypatch, to_file):
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding="utf-8"))
    photo = Path(os.fsdecode(b"\xff.jpg"))
    with opened(tmp_path / "out" if to_file else None) as file:
        file.write(make_writer("json", 1, single=True)(photo, CAPTION))
        file.flush()
    line = (tmp_path / "out").read_bytes() if to_file else written.getvalue()
    assert json.loads(line)["image"] == str(photo)


def test_names_that_differ_by_case_alone_get_files_of_their_own():
    photos = [Path("x", "Dog.jpg"), Path("x", "dog.png"), Path("cat.jpg")]
    assert sidecar_paths(photos) == {
        photos[0]: Path("x", "Dog.jpg.txt"),
        photos[1]: Path("x", "dog.png.txt"),
        photos[2]: Path("cat.txt"),
    }
    assert [path.name for path in attention_paths(Path("out"), photos, single=False).values()] == [
        *("Dog.png", "dog-2.png", "cat.png")
    ]
