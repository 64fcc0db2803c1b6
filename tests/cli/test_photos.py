"""What `predict` does with many photos, with a captioner that only looks at their names."""

import csv
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captioner import library
from captioner.cli.formats import GREY, HEADING, PLAIN
from captioner.cli.main import main
from captioner.errors import PhotoError
from captioner.runtime.caption import Candidate, Caption


class Named:
    """Says the names of photos; those that begin with `bad` are broken, `dim` ones score low, `moon` ones look odd."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.stop_at = ""
        self.on_note = None

    def stream(self, photos):
        for photo in photos:
            if photo.stem == self.stop_at:
                raise KeyboardInterrupt
            self.asked.append(photo.name)
            if photo.name.startswith("odd"):
                self.on_note(photo, f"{photo}: odd")
            if photo.name.startswith("bad"):
                yield photo, PhotoError(f"{photo}: broken")
                continue
            score = -3.0 if photo.name.startswith("dim") else -0.5
            word = photo.stem if photo.stem.isprintable() else "odd"
            confidence, certainty = (0.25, "a guess") if score < -1 else (0.75, "sure")
            found = tuple(
                Candidate(
                    ("a", word, end),
                    score - n,
                    np.full((3, 4), 0.25),
                    confidence=confidence - n / 10,
                    certainty=certainty,
                )
                for n, end in enumerate("xy")
            )
            familiar = not photo.name.startswith("moon")
            doubtful = photo.name.startswith(("moon", "vague"))
            yield photo, Caption(**vars(found[0]), candidates=found, familiar=familiar, doubtful=doubtful)


@pytest.fixture
def captioner(monkeypatch) -> Named:
    captioner = Named()
    monkeypatch.setattr(library.Captioner, "load", lambda *more, **settings: captioner)
    monkeypatch.setattr(library, "require_calibration", lambda captioner: None)
    return captioner


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("dog.jpg", "cat.png", "bad.jpg", "dim.jpg"):
        Image.new("RGB", (4, 3)).save(folder / name)
    return folder


@pytest.fixture
def predict(captioner, capsys):
    def predict(*argv: object) -> tuple[int, str, str]:
        status = main(["predict", *map(str, argv)])
        return status, *capsys.readouterr()

    return predict


def test_bad_photos_come_last(predict, folder):
    status, out, err = predict(folder)
    assert status == 1
    assert [line.split("\t")[1] for line in out.splitlines()] == ["a cat x", "a dim x", "a dog x"]
    assert [line for line in err.splitlines() if line.startswith("captioner")] == [
        f"captioner: {folder / 'bad.jpg'}: broken"
    ]


def test_photos_that_are_not_read_are_counted_at_the_end(predict, folder):
    (folder / "bad.jpg").unlink()
    for name in ("a.jxl", "b.jxl", "c.dng", "d.mov"):
        (folder / name).touch()
    status, out, err = predict(folder)
    assert (status, len(out.splitlines())) == (1, 3)
    assert [line for line in err.splitlines() if line.startswith("captioner")] == [
        "captioner: 2 JPEG XL photos not read; save them as JPEG or PNG",
        "captioner: 1 camera raw photo not read; save it as JPEG or PNG",
    ]


def test_a_folder_of_nothing_else_says_so(predict, tmp_path):
    (tmp_path / "a.jxl").touch()
    status, out, err = predict(tmp_path)
    assert (status, out) == (1, "")
    assert err.splitlines() == [
        "captioner: 1 JPEG XL photo not read; save it as JPEG or PNG",
        "captioner: nothing to caption",
    ]


def test_an_odd_photo_is_captioned_with_a_line_that_says_so(predict, folder):
    Image.new("RGB", (4, 3)).save(folder / "odd.jpg")
    (folder / "bad.jpg").unlink()
    status, out, err = predict(folder)
    assert (status, len(out.splitlines())) == (0, 4)
    assert f"captioner: {folder / 'odd.jpg'}: odd" in err.splitlines()


@pytest.mark.parametrize("style", ["csv", "json", "text"])
def test_a_second_run_goes_on(predict, captioner, folder, tmp_path, style):
    output = tmp_path / "captions"
    captioner.stop_at = "dim"
    status, _, err = predict(folder, "--format", style, "--output", output)
    assert status == 130
    assert err.splitlines()[-2:] == [
        f"captioner: {folder / 'bad.jpg'}: broken",
        "captioner: stopped; the results so far are written",
    ]
    first = output.read_text()
    assert "cat" in first

    captioner.stop_at, captioner.asked = "", []
    status, _, err = predict(folder, "--format", style, "--output", output)
    assert status == 1
    assert f"{output} holds 1 of 4 photos; captioning the other 3" in err
    assert captioner.asked == ["bad.jpg", "dim.jpg", "dog.jpg"]
    assert output.read_text().startswith(first)
    assert output.read_text().count("dog.jpg") == 1

    (folder / "bad.jpg").unlink()
    captioner.asked, before = [], output.read_text()
    assert predict(folder, "--format", style, "--output", output)[0] == 0
    assert (captioner.asked, output.read_text()) == ([], before)
    assert predict(folder, "--format", style, "--output", output, "--overwrite")[0] == 0
    assert captioner.asked == ["cat.png", "dim.jpg", "dog.jpg"]
    assert sorted(output.read_text()) == sorted(before)


def test_unsure_captions_are_left_out(predict, folder, tmp_path):
    (folder / "bad.jpg").unlink()
    status, out, err = predict(folder, "--min-score", -1, "--format", "json", "--num-captions", 2)
    assert status == 0
    found = [json.loads(line) for line in out.splitlines()]
    assert [Path(each["image"]).name for each in found] == ["cat.png", "dog.jpg"]
    assert [len(each["candidates"]) for each in found] == [1, 1]
    assert "left out: 1 of 3 photos, whose captions all score below -1" in err
    status, out, _ = predict(folder / "dim.jpg", "--min-score", -1, "--format", "csv")
    assert (status, list(csv.reader(io.StringIO(out)))) == (0, [list(HEADING)])


def test_sidecars_leave_texts_alone_that_are_there(predict, folder):
    (folder / "dim.txt").write_text("mine\n")
    Image.new("RGB", (4, 3)).save(folder / "cat.jpg")
    predict(folder, "--sidecar")
    texts = {path.name: path.read_text() for path in folder.glob("*.txt")}
    assert texts == {
        "dog.txt": "a dog x\n",
        "dim.txt": "mine\n",
        "cat.png.txt": "a cat x\n",
        "cat.jpg.txt": "a cat x\n",
    }
    predict(folder, "--sidecar", "--overwrite")
    assert (folder / "dim.txt").read_text() == "a dim x\n"


def description(path: Path) -> str:
    with Image.open(path) as image:
        return image.getexif()[0x010E]


def test_captions_are_embedded_in_copies_which_are_no_photos_of_the_folder(predict, captioner, folder):
    before = (folder / "dog.jpg").read_bytes()
    Image.new("RGB", (4, 3)).save(folder / "gif.gif")
    status, out, err = predict(folder, "--embed")
    assert status == 1
    assert "gif.gif: its format has no description" in err
    assert "gif x" in out
    assert (folder / "dog.jpg").read_bytes() == before
    assert description(folder / "dog.captioned.jpg") == "a dog x"
    assert description(folder / "cat.captioned.png") == "a cat x"
    captioner.asked = []
    predict(folder)
    assert sorted(captioner.asked) == ["bad.jpg", "cat.png", "dim.jpg", "dog.jpg", "gif.gif"]


def test_captions_are_embedded_in_place(predict, folder):
    predict(folder, "--embed", "--in-place")
    assert description(folder / "dog.jpg") == "a dog x"
    assert not list(folder.glob("*captioned*"))


def described(path: Path, text: str) -> None:
    """Give a photo a description, as a person would with another program."""
    with Image.open(path) as image:
        notes = image.getexif()
        notes[0x010E] = text
        image.save(path, exif=notes)


KEPT = (
    "captioner: kept: the descriptions of 1 of 3 photos (--overwrite replaces them, --append adds the captions to them)"
)


@pytest.mark.parametrize("name", ["dog.jpg", "cat.png"])
@pytest.mark.parametrize("where", [["--in-place"], []])
def test_a_description_that_somebody_wrote_is_kept_and_counted(predict, folder, name, where):
    described(folder / name, "my grandmother")
    described(folder / "dim.jpg", "OLYMPUS DIGITAL CAMERA")
    before = (folder / name).read_bytes()
    copy = "" if where else ".captioned"
    for _ in range(2):
        _, out, err = predict(folder, "--embed", *where)
        assert err.splitlines() == [f"captioner: {folder / 'bad.jpg'}: broken", KEPT]
        assert len(out.splitlines()) == 3
        stem, suffix = name.split(".")
        assert (folder / name).read_bytes() == (folder / f"{stem}{copy}.{suffix}").read_bytes() == before
        assert description(folder / f"dim{copy}.jpg") == "a dim x"
    predict(folder, "--embed", "--overwrite", *where)
    assert description(folder / f"{stem}{copy}.{suffix}") == f"a {stem} x"
    _, _, err = predict(folder, "--embed", *where)
    assert "kept" not in err


@pytest.mark.parametrize("where", [["--in-place"], []])
def test_a_caption_is_added_to_what_is_there_once(predict, folder, where):
    described(folder / "dog.jpg", "my grandmother")
    copy = "" if where else ".captioned"
    predict(folder, "--embed", "--append", *where)
    names = [f"cat{copy}.png", f"dim{copy}.jpg", f"dog{copy}.jpg"]
    assert [description(folder / name) for name in names] == ["a cat x", "a dim x", "my grandmother\na dog x"]
    before = [(folder / name).stat() for name in names]
    _, _, err = predict(folder, "--embed", "--append", *where)
    assert [(folder / name).stat() for name in names] == before
    assert "kept" not in err


def test_photos_whose_captions_are_in_the_output_are_described_in_place_all_the_same(
    predict, captioner, folder, tmp_path
):
    (folder / "bad.jpg").unlink()
    described(folder / "dog.jpg", "my grandmother")
    arguments = [folder, "--format", "csv", "--output", tmp_path / "captions.csv"]
    predict(*arguments)
    rows = (tmp_path / "captions.csv").read_text()
    for options, asked in (
        (["--embed", "--in-place"], ["cat.png", "dim.jpg"]),
        (["--embed", "--in-place"], []),
        (["--embed", "--in-place", "--append"], ["cat.png", "dim.jpg", "dog.jpg"]),
    ):
        captioner.asked = []
        predict(*arguments, *options)
        assert captioner.asked == asked
    assert description(folder / "dog.jpg") == "my grandmother\na dog x"
    assert (tmp_path / "captions.csv").read_text() == rows


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_an_output_keeps_its_permissions(predict, folder, tmp_path):
    output = tmp_path / "captions.txt"
    output.touch(0o600)
    (folder / "dog.txt").touch(0o600)
    predict(folder / "dog.jpg", "--output", output, "--sidecar", "--overwrite")
    for path in (output, folder / "dog.txt"):
        assert path.read_text() == "a dog x\n"
        assert path.stat().st_mode & 0o777 == 0o600


def test_what_a_former_run_did_not_write_is_written(predict, captioner, folder, tmp_path):
    (folder / "bad.jpg").unlink()
    output = tmp_path / "captions.csv"
    predict(folder, "--format", "csv", "--output", output)
    before, captioner.asked = output.read_text(), []
    predict(folder, "--format", "csv", "--output", output, "--sidecar", "--embed")
    assert len(captioner.asked) == 3
    assert output.read_text() == before
    captioner.asked = []
    predict(folder, "--format", "csv", "--output", output, "--sidecar", "--embed")
    assert captioner.asked == []


def test_a_picture_for_each_of_several_photos(predict, folder, tmp_path):
    predict(folder / "dog.jpg", folder / "cat.png", "--attention", tmp_path / "looked")
    assert sorted(path.name for path in (tmp_path / "looked").iterdir()) == ["cat.png", "dog.png"]


def test_several_captions_of_a_single_photo_go_to_a_file_that_is_replaced(predict, folder, tmp_path):
    for photo in ("dog.jpg", "cat.png"):
        assert predict(folder / photo, "--num-captions", 2, "--output", tmp_path / "captions.txt")[0] == 0
    assert (tmp_path / "captions.txt").read_text() == "a cat x\na cat y\n"


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (["a.jpg", "--in-place"], "--in-place says where --embed writes"),
        (["a.jpg", "--append"], "--append says how --embed writes"),
        (["a.jpg", "--embed", "--append", "--overwrite"], "--append keeps the descriptions that --overwrite replaces"),
        (["--prompt", "a", "--append"], "--append: for photos, but --prompt for a language model"),
        (["--prompt", "a", "--sidecar"], "--sidecar: for photos, but --prompt for a language model"),
        (
            ["a.jpg", "--format", "csv", "--num-captions", "2"],
            "--num-captions: --format csv holds one caption per photo",
        ),
    ],
)
def test_requests_that_make_no_sense(predict, argv, complaint):
    status, out, err = predict(*argv)
    assert (status, out) == (2, "")
    assert complaint in err


def test_captions_that_are_not_sure_enough_are_left_out(predict, folder):
    Image.new("RGB", (4, 3)).save(folder / "moon.jpg")
    (folder / "bad.jpg").unlink()
    status, out, err = predict(folder, "--min-confidence", 0.7, "--format", "json", "--num-captions", 2)

    assert status == 0
    assert [json.loads(line)["caption"] for line in out.splitlines()] == ["a cat x", "a dog x"]
    assert all(len(json.loads(line)["candidates"]) == 1 for line in out.splitlines())  # the other one has 0.65
    assert "left out: 2 of 4 photos, whose captions are less sure than 0.7, or of unfamiliar photos" in err
    assert "1 of 4 photos look unlike what this model learned from; their captions are guesses" in err


def test_confidence_and_familiarity_stand_in_columns(predict, folder):
    Image.new("RGB", (4, 3)).save(folder / "moon.jpg")
    (folder / "bad.jpg").unlink()
    rows = list(csv.DictReader(io.StringIO(predict(folder, "--format", "csv")[1])))

    assert [(row["confidence"], row["familiar"]) for row in rows] == [
        *(("0.75", "true"), ("0.25", "true"), ("0.75", "true"), ("0.75", "false")),
    ]


def test_a_terminal_says_what_is_a_guess(captioner, folder, monkeypatch, capsys):
    Image.new("RGB", (4, 3)).save(folder / "moon.jpg")
    (folder / "bad.jpg").unlink()
    monkeypatch.setattr("captioner.cli.photos.is_terminal", lambda file: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    main(["predict", str(folder)])
    said = [line.split("\t")[1] for line in capsys.readouterr().out.splitlines()]

    assert said == [
        "a cat x",
        f"a dim x {GREY}(a guess){PLAIN}",
        "a dog x",
        f"a moon x {GREY}(unlike its training photos){PLAIN}",
    ]
    monkeypatch.setenv("NO_COLOR", "1")
    main(["predict", str(folder / "dim.jpg")])
    assert capsys.readouterr().out == "a dim x (a guess)\n"


def test_doubtful_captions_are_not_embedded_unless_asked_for(predict, folder):
    for name in ("moon.jpg", "vague.jpg"):
        Image.new("RGB", (4, 3)).save(folder / name)
    for name in ("bad.jpg", "cat.png", "dim.jpg"):
        (folder / name).unlink()
    status, out, err = predict(folder, "--embed")

    assert (status, len(out.splitlines())) == (0, 3)
    assert [path.name for path in sorted(folder.glob("*.captioned.jpg"))] == ["dog.captioned.jpg"]
    assert "not embedded: 2 of 3 captions, which are doubtful (--embed-all writes them too)" in err

    _, _, err = predict(folder, "--embed", "--embed-all")
    assert len(list(folder.glob("*.captioned.jpg"))) == 3
    assert "not embedded" not in err


def test_an_unfamiliar_photo_alone_is_not_counted(predict, folder):
    (folder / "moon.jpg").write_bytes((folder / "dog.jpg").read_bytes())
    assert "unlike" not in predict(folder / "moon.jpg")[2]


@pytest.mark.parametrize("value", ["1.5", "-0.1", "nan", "sure"])
def test_a_confidence_is_a_share(predict, capsys, value):
    with pytest.raises(SystemExit):
        predict("a.jpg", f"--min-confidence={value}")
    assert "--min-confidence" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["1", "nan", "low", "-inf"])
def test_a_score_is_a_log_probability(predict, capsys, value):
    with pytest.raises(SystemExit):
        predict("a.jpg", f"--min-score={value}")
    assert "expected a number up to 0, such as -1.5" in capsys.readouterr().err


@pytest.mark.parametrize("wanted", [["--embed", "--in-place"], ["--embed"], ["--sidecar"], ["--attention", "looked"]])
def test_a_photo_has_its_line_after_all_else_so_that_a_kill_between_loses_nothing(
    predict, captioner, folder, tmp_path, monkeypatch, wanted
):
    monkeypatch.chdir(tmp_path)
    arguments = [folder, *wanted, "--format", "csv", "--output", tmp_path / "captions.csv"]

    def killed(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        for name in ("photos.metadata.embed.embed_caption", "pictures.draw_attention", "cli.extras.write_text"):
            patch.setattr(f"captioner.{name}", killed)
        assert predict(*arguments)[0] == 130
    predict(*arguments)
    assert sorted(set(captioner.asked)) == ["bad.jpg", "cat.png", "dim.jpg", "dog.jpg"]
    if "--in-place" in wanted:
        assert [description(folder / name) for name in ("cat.png", "dim.jpg", "dog.jpg")] == [
            "a cat x",
            "a dim x",
            "a dog x",
        ]
    else:
        left = {"--embed": folder.glob("*captioned*"), "--sidecar": folder.glob("*.txt")}.get(wanted[0])
        assert len(list(left or (tmp_path / "looked").iterdir())) == 3


def test_a_picture_never_takes_the_place_of_a_photo(predict, captioner, folder):
    cat = folder / "cat.png"
    before = cat.read_bytes()
    status, _, err = predict(cat, "--attention", cat)
    assert status == 2
    assert f"{cat} would take the place of the photo {cat}; name another" in err
    status, _, err = predict(folder, "--attention", folder)
    assert status == 2
    assert f"--attention {folder}: is a folder of photos, and its pictures would be captioned next time" in err
    assert cat.read_bytes() == before
    assert captioner.asked == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
@pytest.mark.parametrize("option", ["--sidecar", "--embed"])
def test_a_name_too_long_to_write_beside_stops_no_other(predict, captioner, folder, tmp_path, option):
    name = "a" * 248 + ".jpg"
    (folder / "dog.jpg").rename(folder / name)
    (folder / f"{name[:-4]}.png").write_bytes((folder / "cat.png").read_bytes())  # so that its text is NAME.jpg.txt
    for _ in range(2):
        captioner.asked.clear()
        status, _, err = predict(folder, option, "--output", tmp_path / "captions.txt")
        assert status == 1
        assert f"captioner: {folder / name}: its name is too long to write " in err
        assert name in captioner.asked
    assert "cat.png" not in captioner.asked  # they have all that was wanted


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
@pytest.mark.parametrize("style", ["text", "csv", "json"])
def test_a_name_may_have_whatever_ends_a_line(predict, captioner, folder, tmp_path, style):
    for number, character in enumerate("\n\r\t"):
        (folder / f"in{character}side").mkdir()
        Image.new("RGB", (4, 3)).save(folder / f"in{character}side" / f"{number}.jpg")
    (folder / "bad.jpg").unlink()
    output = tmp_path / "captions"
    for _ in range(2):
        status, _, err = predict(folder, "--format", style, "--output", output)
        assert status == 0, err
    assert len(captioner.asked) == 6
    assert "holds 6 of 6 photos; nothing to do (--overwrite starts from scratch)" in err


def test_pictures_in_a_folder_among_the_photos_are_none_of_them(predict, captioner, folder, tmp_path):
    for _ in range(2):
        status, _, err = predict(folder, "--attention", folder / "seen", "--output", tmp_path / "captions.txt")
        assert "broken" in err
    assert status == 1
    assert "holds 3 of 4 photos" in err
    assert sorted(path.name for path in (folder / "seen").iterdir()) == ["cat.png", "dim.png", "dog.png"]
    before = len(captioner.asked)
    predict(folder)  # without --attention neither
    assert len(captioner.asked) - before == 4
    predict(folder / "seen" / "cat.png")  # unless it is named
    assert len(captioner.asked) - before == 5


HARMFUL = "\x1b]0;x\x07\n\t\x9b\u202e\u2028"


@pytest.mark.parametrize("style", ["text", "csv", "json"])
def test_no_name_steers_the_terminal(predict, folder, monkeypatch, style):
    for name in (f"good{HARMFUL}.jpg", f"bad{HARMFUL}.jpg"):
        Image.new("RGB", (4, 3)).save(folder / name)
    monkeypatch.setattr("captioner.cli.photos.is_terminal", lambda file: True)
    monkeypatch.setenv("NO_COLOR", "1")
    status, out, err = predict(folder, "--format", style)
    assert status == 1
    for line in [*out.split("\n"), *err.split("\n")]:
        assert line.replace("\t", "").isprintable()
    assert len(out.split("\n")) - 1 == 4 + (style == "csv")
    assert err.count("\n") == len(err.splitlines()) == 2  # those that are broken


def test_csv_brings_back_any_name_where_a_program_reads_it(predict, folder, tmp_path):
    name = folder / f"good{HARMFUL}.jpg"
    Image.new("RGB", (4, 3)).save(name)
    for target in ("/dev/stdout", tmp_path / "out.csv"):
        output = [] if target == "/dev/stdout" else ["--output", target]
        _, out, _ = predict(folder, "--format", "csv", *output)
        text = out if not output else target.read_text("utf-8")
        assert str(name) in [row[0] for row in csv.reader(io.StringIO(text, newline=""))]
    _, _, err = predict(folder, "--format", "csv", "--output", tmp_path / "out.csv")  # and the next run takes it back
    assert "holds 4 of 5 photos" in err


def test_a_photo_alone_is_added_to_a_table_and_replaces_a_text(predict, folder, tmp_path):
    output = tmp_path / "captions.txt"
    assert predict(folder / "dog.jpg", folder / "cat.png", "--output", output)[0] == 0
    table = f"{folder / 'dog.jpg'}\ta dog x\n{folder / 'cat.png'}\ta cat x\n"
    assert output.read_text() == table
    assert predict(folder / "dim.jpg", "--output", output)[0] == 0
    assert output.read_text() == f"{table}{folder / 'dim.jpg'}\ta dim x\n"
    assert predict(folder / "dim.jpg", "--output", output, "--overwrite")[0] == 0
    assert output.read_text() == "a dim x\n"
    assert predict(folder / "dog.jpg", "--output", output)[0] == 0
    assert output.read_text() == "a dog x\n"


@pytest.fixture
def meanwhile(captioner, monkeypatch):
    """Let something happen before the first photo is captioned, as another run would do it."""

    def meanwhile(act) -> None:
        stream = captioner.stream

        def late(photos):
            act()
            return stream(photos)

        monkeypatch.setattr(captioner, "stream", late)

    return meanwhile


def test_a_photo_alone_takes_no_place_of_what_another_run_has_written(predict, meanwhile, folder, tmp_path):
    output = tmp_path / "captions.txt"
    meanwhile(lambda: output.write_text("x.jpg\ta dog\n"))
    status, _, err = predict(folder / "dog.jpg", "--output", output)
    assert status == 2
    assert f"--output {output}: another program has written to it meanwhile" in err
    assert output.read_text() == "x.jpg\ta dog\n"


def test_photos_that_another_run_captions_meanwhile_are_left_out(predict, captioner, meanwhile, folder, tmp_path):
    output = tmp_path / "captions.csv"
    meanwhile(lambda: output.write_text(f"{','.join(HEADING)}\n{folder / 'dog.jpg'},a wolf,-0.1000,,\n"))
    assert predict(folder / "cat.png", folder / "dog.jpg", "--output", output, "--format", "csv")[0] == 0
    assert captioner.asked == ["cat.png"]
    assert output.read_text().splitlines()[1:] == [
        f"{folder / 'dog.jpg'},a wolf,-0.1000,,",
        f"{folder / 'cat.png'},a cat x,-0.5000,0.75,true",
    ]


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["--begin", "a photo of"], {"begin": "a photo of"}),
        (["--exclude", "man", "woman"], {"exclude": ("man", "woman")}),
        (["--exclude", "man", "--exclude", "woman"], {"exclude": ("man", "woman")}),
        (["--max-length", "9", "--length-penalty", "0"], {"max_length": 9, "length_penalty": 0.0}),
        (["--temperature", "0.7"], {"temperature": 0.7}),
        (
            ["--temperature", "1", "--top-k", "5", "--top-p", "0.9", "--seed", "3"],
            {"temperature": 1.0, "top_k": 5, "top_p": 0.9, "seed": 3},
        ),
    ],
)
def test_what_captions_are_to_be_reaches_the_captioner(predict, folder, captioner, monkeypatch, argv, expected):
    given = {}
    monkeypatch.setattr(library.Captioner, "load", lambda *more, **settings: given.update(settings) or captioner)
    assert predict(folder / "dog.jpg", *argv)[0] == 0
    assert {name: given[name] for name in expected} == expected
    assert given.keys() == {*expected, "num_captions", "consensus", "precision", "backend"}


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (["--top-k", "5"], "--top-k: for captions that are drawn at random; add --temperature"),
        (["--seed", "5", "--top-p", "0.5"], "--top-p, --seed: for captions that are drawn at random"),
        (
            ["--temperature", "1", "--beam-width", "3"],
            "--beam-width is for a search, but --temperature draws at random",
        ),
        (["--begin", "a", "--prompt", "b"], "--begin: for photos, but --prompt for a language model"),
        (["--temperature", "1", "--stop", "b"], "for photos, but --stop for a language model"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(predict, folder, captioner, argv, complaint):
    status, out, err = predict(folder / "dog.jpg", *argv)
    assert (status, out) == (2, "")
    assert complaint in err
    assert captioner.asked == []


def test_a_photo_behind_the_excluded_words_is_one_of_them(predict, folder):
    status, _, err = predict("--exclude", "man", folder / "dog.jpg")
    assert status == 2
    assert "--exclude takes all words behind it, so name them before it" in err


def test_an_output_that_is_one_of_the_photos_is_refused(predict, captioner, folder):
    dog = folder / "dog.jpg"
    before = dog.read_bytes()
    for arguments in ([dog], [folder], [folder, "--format", "csv"], [dog, "--format", "json"]):
        for more in ([], ["--overwrite"]):
            status, out, err = predict(*arguments, "--output", dog, *more)
            assert (status, out) == (2, "")
            assert str(dog) in err
            assert dog.read_bytes() == before
    assert captioner.asked == []


def test_an_output_that_is_no_text_is_refused(predict, folder, tmp_path):
    precious = tmp_path / "precious.bin"
    precious.write_bytes(b"PK\3\4\0")
    status, _, err = predict(folder / "dog.jpg", "--output", precious)
    assert status == 2
    assert f"--output {precious}: holds something else than text, which would be lost; name another file" in err
    assert precious.read_bytes() == b"PK\3\4\0"


@pytest.mark.parametrize("wanted", [["bad.jpg"], ["dim.jpg", "--min-score", -1]])
def test_where_nothing_is_captioned_the_file_that_is_there_stays(predict, folder, tmp_path, wanted):
    output = tmp_path / "captions.txt"
    predict(folder / "dog.jpg", "--output", output)
    predict(folder / wanted[0], *wanted[1:], "--output", output)
    assert output.read_text() == "a dog x\n"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_picture_that_somebody_else_made_is_not_replaced(predict, captioner, folder, tmp_path):
    looked = tmp_path / "looked"
    looked.mkdir()
    (looked / "cat.png").write_bytes((folder / "cat.png").read_bytes())
    for typed in ([folder], [folder / "cat.png"]):
        status, _, err = predict(*typed, "--attention", looked)
        assert status == 2
        assert f"--attention {looked}: {looked / 'cat.png'} is another picture, which would be lost" in err
    assert captioner.asked == []
    assert (looked / "cat.png").read_bytes() == (folder / "cat.png").read_bytes()
    predict(folder, "--attention", looked, "--overwrite")
    assert (looked / "cat.png").read_bytes() != (folder / "cat.png").read_bytes()
    status, _, err = predict(folder / "cat.png", "--attention", looked)  # its own are drawn again
    assert status == 0, err


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".pdf"])
def test_a_named_picture_takes_the_place_of_its_like_alone(predict, folder, tmp_path, suffix):
    picture = tmp_path / f"seen{suffix}"
    photo = (folder / "cat.png").read_bytes()
    picture.write_bytes(photo)
    status, _, err = predict(folder / "cat.png", "--attention", picture)
    assert status == 2
    assert f"{picture} is another picture, which would be lost" in err
    assert picture.read_bytes() == photo
    assert predict(folder / "cat.png", "--attention", picture, "--overwrite")[0] == 0
    drawn = picture.read_bytes()
    assert drawn != photo
    assert predict(folder / "cat.png", "--attention", picture)[0] == 0


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        (["--sidecar"], ["--output"], "dog.txt"),
        (["--attention"], ["--output"], "dog.png"),
        (["--embed"], ["--attention"], "dog.captioned.jpg"),
    ],
)
def test_two_options_never_write_to_one_file(predict, captioner, folder, first, second, shared):
    named = {"--output", "--attention"}
    options = [
        each for option in (*first, *second) for each in ([option, folder / shared] if option in named else [option])
    ]
    status, _, err = predict(folder / "dog.jpg", *options)
    assert status == 2
    assert f"would both write to {folder / shared}; name another" in err
    assert captioner.asked == []


def test_a_caption_does_not_replace_a_longer_text(predict, captioner, folder, tmp_path):
    notes = tmp_path / "notes.txt"
    notes.write_text("my\nnotes\n")
    status, _, err = predict(folder / "dog.jpg", "--output", notes)
    assert status == 2
    assert f"--output {notes}: has more lines than what would replace it; name another file, or give --overwrite" in err
    assert (notes.read_text(), captioner.asked) == ("my\nnotes\n", [])
    assert predict(folder / "dog.jpg", "--output", notes, "--overwrite")[0] == 0
    assert notes.read_text().count("\n") == 1
    assert predict(folder / "dog.jpg", "--output", notes)[0] == 0


def test_texts_that_were_kept_are_counted(predict, folder):
    (folder / "dog.txt").write_text("mine\n")
    assert (
        "kept: the texts beside 1 of 1 photos (--overwrite replaces them)"
        in predict(folder / "dog.jpg", "--sidecar")[2]
    )
    predict(folder / "dog.jpg", "--sidecar", "--overwrite")
    assert "kept" not in predict(folder / "dog.jpg", "--sidecar")[2]  # it says the same


def test_no_two_photos_share_a_text_and_none_loses_its_place_to_one(predict, tmp_path):
    for name in ("x.jpg", "x.png", "x.jpg.png", "x.jpg.png.gif", "y.jpg", "z.txt"):
        Image.new("RGB", (4, 3)).save(tmp_path / name, "PNG")
    (tmp_path / "z.png").write_bytes((tmp_path / "z.txt").read_bytes())
    photo = (tmp_path / "z.txt").read_bytes()
    status, _, err = predict(tmp_path, tmp_path / "z.txt", "--sidecar", "--overwrite")
    assert status == 0, err
    texts = {path.name: path.read_text() for path in tmp_path.glob("*.txt") if path.name != "z.txt"}
    assert texts == {
        "x.jpg.txt": "a x x\n",
        "x.png.txt": "a x x\n",
        "x.jpg.png.txt": "a x.jpg x\n",
        "x.jpg.png.gif.txt": "a x.jpg.png x\n",
        "y.txt": "a y x\n",
        "z.png.txt": "a z x\n",
        "z.txt.txt": "a z x\n",
    }
    assert (tmp_path / "z.txt").read_bytes() == photo


def test_what_cannot_be_written_for_one_photo_does_not_stop_the_others(predict, folder):
    (folder / "cat.txt").mkdir()
    (folder / "bad.jpg").unlink()
    status, out, err = predict(folder, "--sidecar", "--overwrite")
    assert (status, len(out.splitlines())) == (1, 3)
    assert f"{folder / 'cat.png'}: cannot write {folder / 'cat.txt'}: Is a directory" in err
    assert [(folder / f"{name}.txt").read_text() for name in ("dim", "dog")] == ["a dim x\n", "a dog x\n"]


def test_photos_whose_captions_were_not_embedded_are_not_counted_as_new(predict, folder, tmp_path):
    (folder / "bad.jpg").unlink()
    Image.new("RGB", (4, 3)).save(folder / "vague.jpg")
    output = tmp_path / "captions.csv"
    predict(folder, "--format", "csv", "--output", output, "--embed")
    Image.new("RGB", (4, 3)).save(folder / "new.jpg")
    for expected in ("captioning the other 1, and 1 again, which lack", "captioning 1 again, which lack"):
        held = len(output.read_text().splitlines()) - 1
        _, _, err = predict(folder, "--format", "csv", "--output", output, "--embed")
        assert f"{output} holds {held} of 5 photos; {expected} what is to be written for them besides" in err
    assert len(output.read_text().splitlines()) == 6
