"""Data sets as people have them: published ones, tables of spreadsheets, and what our own `predict` writes."""

import errno
import json
import os
from pathlib import Path

import pytest

from captioner.cli.formats import HEADING, csv_row
from captioner.cli.output_paths import sidecar_paths
from captioner.data.dataset import CaptionDataset
from captioner.data.formats import detect_format, read_dataset
from captioner.errors import CaptionerError
from captioner.text import normalise

CAPTIONS = (
    *("a girl in a blue shirt", "two dogs run", "a man climbs a wall", "children play", "a woman rides a bike"),
    *("a boy jumps", "a black dog", "people in the snow", "a man surfs", "two girls smile"),
)
PHOTOS = " ".join(f"img{number}.jpg" for number in range(10))


def captions_of(dataset: CaptionDataset) -> dict[str, tuple[str, ...]]:
    return {each.image.name: each.captions for part in dataset.splits.values() for each in part}


def sizes(dataset: CaptionDataset) -> list[int]:
    return [len(dataset.splits[split]) for split in ("train", "dev", "test")]


def table(separator: str, heading: str, ending: str = "\n") -> str:
    rows = [f"img{number}.jpg{separator}{caption}" for number, caption in enumerate(CAPTIONS)]
    return ending.join([heading, *rows, ""])


ALL = {f"img{number}.jpg": (caption,) for number, caption in enumerate(CAPTIONS)}


class TestFlickr30k:
    def test_results_csv_beside_its_folder_of_photos(self, make_files):
        lines = [f"img{n}.jpg| {k}| {caption} ." for n, caption in enumerate(CAPTIONS) for k in range(5)]
        text = "\n".join(["image_name| comment_number| comment", *lines, ""])
        photos = " ".join(f"flickr30k_images/{name}" for name in PHOTOS.split())
        dataset = read_dataset(make_files({"results.csv": text}, photos))
        assert sizes(dataset) == [8, 1, 1]
        assert dataset.issues == ()
        assert captions_of(dataset) == {name: (f"{each[0]} .",) * 5 for name, each in ALL.items()}

    def test_as_kaggle_packs_it_with_the_row_that_lacks_a_separator(self, make_files):
        text = (
            'image_name| comment_number| comment\na.jpg| 0| A dog .\na.jpg| 1   A cat .\nb.jpg| 0| "Hi" says a man .\n'
        )
        files = {"flickr30k_images/results.csv": text}
        dataset = read_dataset(
            make_files(files, "flickr30k_images/flickr30k_images/a.jpg flickr30k_images/flickr30k_images/b.jpg")
        )
        assert captions_of(dataset) == {"a.jpg": ("A dog .",), "b.jpg": ('"Hi" says a man .',)}
        assert "1 empty caption (a.jpg)" in dataset.issues

    def test_the_token_file(self, make_files):
        text = "1.jpg#0\tTwo men .\n1.jpg#1\tMen .\n2.jpg#0\tA dog .\n"
        root = make_files({"results_20130124.token": text}, "flickr30k-images/1.jpg flickr30k-images/2.jpg")
        assert detect_format(root) == "flickr8k"
        dataset = read_dataset(root)
        assert dataset.name == "flickr30k"
        assert captions_of(dataset) == {"1.jpg": ("Two men .", "Men ."), "2.jpg": ("A dog .",)}

    @pytest.mark.parametrize("place", ["", "flickr30k/"])
    def test_karpathys_json(self, make_files, place):
        images = [
            {"filename": f"{name}.jpg", "split": split, "sentences": [{"raw": f"Photo {name}"}]}
            for name, split in (("1", "train"), ("2", "val"), ("3", "test"))
        ]
        files = {f"{place}dataset_flickr30k.json": json.dumps({"images": images})}
        dataset = read_dataset(make_files(files, " ".join(f"flickr30k-images/{name}.jpg" for name in "123")))
        assert dataset.name == "flickr30k"
        assert sizes(dataset) == [1, 1, 1]


class TestSeparators:
    @pytest.mark.parametrize(
        "text",
        [
            table(";", "image;caption"),
            table(";", "sep=;\r\nImage;Caption", "\r\n"),
            table(";", '"sep=;"\nimage;caption'),
            table("\t", "image\tcaption"),
            table("\t", "sep=\t\nimage\tcaption"),
            table("|", "image|caption"),
            table(" | ", "image | caption"),
            table(",", "sep=,\nimage,caption"),
            table("^", "sep=^\nimage^caption"),
            table("~", "SEP=~\nimage~caption"),
        ],
    )
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    def test_any_usual_one_is_found(self, make_files, text, encoding):
        dataset = read_dataset(make_files({"captions.csv": text.encode(encoding)}, PHOTOS))
        assert captions_of(dataset) == ALL
        assert sizes(dataset) == [8, 1, 1]

    def test_semicolons_keep_commas_in_captions(self, make_files):
        text = 'image;caption\na.jpg;A dog, a cat\nb.jpg;"A man; a boy"\nc.jpg;one; two\n'
        dataset = read_dataset(make_files({"captions.csv": text}, "a.jpg b.jpg c.jpg"))
        assert captions_of(dataset) == {"a.jpg": ("A dog, a cat",), "b.jpg": ("A man; a boy",), "c.jpg": ("one; two",)}

    def test_tsv_with_commas(self, make_files):
        assert captions_of(read_dataset(make_files({"captions.tsv": table(",", "image,caption")}, PHOTOS))) == ALL

    def test_what_separates_nothing_is_refused_with_what_was_looked_for(self, make_files):
        with pytest.raises(
            CaptionerError, match=r"are image caption; wanted are image, caption .* semicolons, tabs or \|"
        ):
            read_dataset(make_files({"captions.csv": "image caption\na.jpg x\n"}, "a.jpg"))


class TestColumns:
    @pytest.mark.parametrize(
        "image", ["image", "file_name", "filename", "image_path", "File Name", "img", "path", "image-id"]
    )
    @pytest.mark.parametrize("caption", ["caption", "text", "Sentence", "comment", "description"])
    def test_usual_names(self, make_files, image, caption):
        text = f"id,{caption},{image},width\n7,A dog,a.jpg,640\n8,A cat,b.jpg,640\n"
        dataset = read_dataset(make_files({"captions.csv": text}, "a.jpg b.jpg"))
        assert captions_of(dataset) == {"a.jpg": ("A dog",), "b.jpg": ("A cat",)}

    def test_the_usual_name_goes_before_a_rarer_one(self, make_files):
        text = "text,path,caption,image\nno,nowhere,A dog,a.jpg\n"
        assert captions_of(read_dataset(make_files({"captions.csv": text}, "a.jpg"))) == {"a.jpg": ("A dog",)}

    def test_two_people_with_numbers_of_their_own_may_write_the_same(self, make_files):
        text = "image,number,caption\na.jpg,0,A dog\na.jpg,1,A dog\na.jpg,1,A dog\n"
        dataset = read_dataset(make_files({"captions.csv": text}, "a.jpg"))
        assert captions_of(dataset) == {"a.jpg": ("A dog", "A dog")}
        assert dataset.issues[0] == "1 repeated caption line (a.jpg)"


class TestMetadata:
    """As Hugging Face's imagefolder has it."""

    def test_csv_beside_photos_without_a_split(self, make_files):
        text = "file_name,text\n" + "".join(f"img{n}.jpg,{caption}\n" for n, caption in enumerate(CAPTIONS))
        assert captions_of(read_dataset(make_files({"metadata.csv": text}, PHOTOS))) == ALL

    def test_jsonl(self, make_files):
        lines = [json.dumps({"file_name": name, "text": each[0]}) for name, each in ALL.items()]
        root = make_files({"metadata.jsonl": "\n".join(lines)}, PHOTOS)
        assert detect_format(root) == "jsonl"
        assert captions_of(read_dataset(root)) == ALL

    @pytest.mark.parametrize("kind", ["csv", "jsonl"])
    @pytest.mark.parametrize("outer", ["", "data/"])
    def test_a_table_for_each_split(self, make_files, kind, outer):
        files, photos = {}, []
        for split, name in (("train", "a.jpg"), ("validation", "b.jpg"), ("test", "a.jpg")):
            line = (
                json.dumps({"file_name": name, "text": split}) if kind == "jsonl" else f"file_name,text\n{name},{split}"
            )
            files[f"{outer}{split}/metadata.{kind}"] = f"{line}\n"
            photos.append(f"{outer}{split}/{name}")
        root = make_files(files, " ".join(photos))
        assert detect_format(root) == "imagefolder"
        dataset = read_dataset(root)
        assert [[each.captions for each in dataset.splits[split]] for split in ("train", "dev", "test")] == [
            [("train",)],
            [("validation",)],
            [("test",)],
        ]
        assert dataset.issues == ()

    def test_one_table_whose_paths_begin_with_the_split(self, make_files):
        text = "file_name,text\ntrain/1.jpg,A dog\nval/1.jpg,A cat\ntest/1.jpg,A man\n"
        dataset = read_dataset(make_files({"metadata.csv": text}, "train/1.jpg val/1.jpg test/1.jpg"))
        assert [dataset.splits[split][0].captions for split in ("train", "dev", "test")] == [
            ("A dog",),
            ("A cat",),
            ("A man",),
        ]

    def test_captions_csv_goes_before_metadata(self, make_files):
        files = {"captions.csv": "image,caption\na.jpg,Mine\n", "metadata.csv": "file_name,text\na.jpg,Theirs\n"}
        assert captions_of(read_dataset(make_files(files, "a.jpg"))) == {"a.jpg": ("Mine",)}


class TestJson:
    def test_lists_of_captions_numbers_and_broken_lines(self, make_files):
        lines = [
            '{"image": "a.jpg", "caption": ["A dog", "A dog", "Dogs"], "split": "train"}',
            '{"image_id": 12, "sentence": "A cat", "split": "val"}',
            "{",
            '{"image": "a.jpg", "caption": 5}',
            '{"image": "a.jpg", "caption": "\\ud83d"}',
            '["image", "caption"]',
            "",
        ]
        dataset = read_dataset(make_files({"captions.jsonl": "\r\n".join(lines)}, "a.jpg 12.jpg"))
        assert captions_of(dataset) == {"a.jpg": ("A dog", "A dog", "Dogs"), "12.jpg": ("A cat",)}
        assert dataset.issues[0] == "4 broken entries (captions.jsonl line 3, captions.jsonl line 4, ...)"

    @pytest.mark.parametrize("layout", ["list", "lines"])
    def test_a_json_file_of_records(self, make_files, layout):
        records = [{"image": f"images/{name}", "caption": each[0], "score": -0.5} for name, each in ALL.items()]
        text = json.dumps(records) if layout == "list" else "".join(f"{json.dumps(each)}\n" for each in records)
        root = make_files({"captions.json": text}, " ".join(f"images/{name}" for name in PHOTOS.split()))
        assert detect_format(root) == "jsonl"
        assert captions_of(read_dataset(root)) == ALL

    @pytest.mark.parametrize("text", ["", "{", "5\n6", "[", "[" * 100_000, '{"a": "b"}', '[{"image": "a.jpg"}]'])
    def test_what_holds_no_caption_is_refused(self, make_files, text):
        with pytest.raises(CaptionerError, match=r"captions\.jsonl"):
            read_dataset(make_files({"captions.jsonl": text}, "a.jpg"))


class TestWhatPredictWrites:
    def test_its_table_of_paths_from_where_the_user_stood(self, make_files, monkeypatch):
        root = make_files({}, " ".join(f"photos/{name}" for name in PHOTOS.split()))
        rows = [csv_row([f"data/photos/{name}", each[0], "-0.5"]) for name, each in ALL.items()]
        (root / "captions.csv").write_text(csv_row(HEADING) + "".join(rows))
        assert captions_of(read_dataset(root)) == ALL
        monkeypatch.chdir(root.parent)
        assert captions_of(read_dataset(Path("data"))) == ALL

    @pytest.mark.parametrize("where", ["captions.csv", "photos/captions.csv"])
    def test_its_table_of_absolute_paths(self, make_files, where):
        root = make_files({}, " ".join(f"photos/{name}" for name in PHOTOS.split()))
        rows = [csv_row([str(root / "photos" / name), each[0], "-0.5"]) for name, each in ALL.items()]
        (root / where).write_text(csv_row(HEADING) + "".join(rows))
        assert captions_of(read_dataset(root)) == ALL

    def test_text_files_beside_the_photos(self, make_files):
        root = make_files({}, "a.jpg b.jpg b.png trip/c.jpg trip/deep/d.JPG .hidden/e.jpg notes.txt")
        photos = sorted(
            path for path in root.rglob("*") if path.suffix.lower() in (".jpg", ".png") and "hid" not in str(path)
        )
        for photo, text in sidecar_paths(photos).items():
            text.write_text(f"{photo.name} in words\n")
        (root / ".hidden" / "e.txt").write_text("hidden\n")
        assert detect_format(root) == "sidecar"
        dataset = read_dataset(root)
        assert captions_of(dataset) == {
            name: (f"{name} in words",) for name in ("a.jpg", "b.jpg", "b.png", "c.jpg", "d.JPG")
        }

    def test_sidecars_with_several_lines_none_and_of_two_photos(self, make_files):
        files = {"a.txt": "A dog\n\nDogs\r\n", "b.txt": " \n", "c.txt": "Whose?\n", "d.txt": "A cat"}
        dataset = read_dataset(make_files(files, "a.jpg b.jpg c.jpg c.png d.jpg"))
        assert captions_of(dataset) == {"a.jpg": ("A dog", "Dogs"), "d.jpg": ("A cat",)}
        assert "1 empty caption (b.jpg)" in dataset.issues
        assert "1 name that stands for several photos (c.txt)" in dataset.issues

    def test_sidecars_in_folders_named_after_splits(self, make_files):
        files = {"train/a.txt": "A dog", "val/b.txt": "A cat", "test/a.txt": "A man"}
        dataset = read_dataset(make_files(files, "train/a.jpg val/b.jpg test/a.jpg"))
        assert [dataset.splits[split][0].captions for split in ("train", "dev", "test")] == [
            ("A dog",),
            ("A cat",),
            ("A man",),
        ]

    def test_a_sidecar_in_another_encoding_is_refused(self, make_files):
        with pytest.raises(CaptionerError, match=r"a\.txt is not UTF-8 .*cp1252"):
            read_dataset(make_files({"a.txt": "Ein M\u00e4dchen".encode("cp1252")}, "a.jpg"))


class TestNames:
    """What a table may call a photo."""

    def read(self, root: Path, *names: str) -> CaptionDataset:
        rows = "".join(f'"{name}",{number}\n' for number, name in enumerate(names))
        (root / "captions.csv").write_text(f"image,caption\n{rows}")
        return read_dataset(root)

    def found(self, root: Path, *names: str) -> set[str]:
        dataset = self.read(root, *names)
        return {str(each.image.relative_to(root)) for part in dataset.splits.values() for each in part}

    @pytest.mark.parametrize("name", ["a", "images/a", "A", "images\\a"])
    def test_without_extension(self, make_files, name):
        assert self.found(make_files({"images/a.txt": ""}, "images/a.jpg"), name) == {"images/a.jpg"}

    def test_without_extension_and_two_photos(self, make_files):
        dataset = self.read(make_files({}, "a.jpg a.png b.jpg"), "a", "b")
        assert captions_of(dataset) == {"b.jpg": ("1",)}
        assert "1 name that stands for several photos (a)" in dataset.issues

    @pytest.mark.parametrize("folder", ["my holiday", "images/2024/may", "x/y/z/w"])
    def test_any_folder(self, make_files, folder):
        root = make_files({})
        (root / folder).mkdir(parents=True)
        (root / folder / "a.jpg").touch()
        assert self.found(root, "a.jpg") == {f"{folder}/a.jpg"}
        assert self.found(root, "a") == {f"{folder}/a.jpg"}

    def test_the_same_name_in_two_such_folders_is_nobodys(self, make_files):
        root = make_files({}, "cats/1.jpg dogs/1.jpg dogs/2.jpg")
        dataset = self.read(root, "1.jpg", "2.jpg")
        assert captions_of(dataset) == {"2.jpg": ("1",)}
        assert "1 name that stands for several photos (1.jpg)" in dataset.issues
        assert self.found(root, "cats/1.jpg", "dogs/1.jpg") == {"cats/1.jpg", "dogs/1.jpg"}

    def test_paths_that_end_so_in_a_deeper_folder(self, make_files):
        root = make_files({}, "set/cats/1.jpg set/dogs/1.jpg")
        assert self.found(root, "cats/1.jpg", "dogs/1.jpg") == {"set/cats/1.jpg", "set/dogs/1.jpg"}
        assert captions_of(self.read(root, "set/cats/1.jpg", "birds/1.jpg")) == {"1.jpg": ("0",)}

    def test_absolute_paths_inside_and_of_another_machine(self, make_files):
        root = make_files({}, "photos/a.jpg photos/b.jpg c.jpg")
        names = (str(root / "photos" / "a.jpg"), "/home/me/data/photos/b.jpg", r"C:\Users\me\data\c.jpg")
        assert self.found(root, *names) == {"photos/a.jpg", "photos/b.jpg", "c.jpg"}

    def test_absolute_paths_outside_and_missing_inside_are_told_apart(self, make_files):
        root = make_files({}, "a.jpg ../b.jpg")
        dataset = self.read(root, "a.jpg", str(root.parent / "b.jpg"), str(root / "c.jpg"))
        assert len(captions_of(dataset)) == 1
        assert any(hole.startswith("1 name that leads out of the folder (") for hole in dataset.issues)
        assert any(hole.startswith("1 caption entry without a photo (") for hole in dataset.issues)

    def test_paths_from_where_the_caption_file_lies(self, make_files):
        root = make_files({"annotations/captions.csv": "image,caption\n../pictures/a.jpg,A dog\n"}, "pictures/a.jpg")
        assert captions_of(read_dataset(root)) == {"a.jpg": ("A dog",)}

    def test_paths_through_a_link_to_the_data(self, make_files):
        root = make_files({}, "a.jpg")
        (root.parent / "link").symlink_to(root)
        assert self.found(root, str(root.parent / "link" / "a.jpg")) == {"a.jpg"}


class TestLinks:
    """Linked folders are followed, each once, and a photo has one path."""

    def test_loops_end(self, make_files):
        root = make_files({"captions.csv": "image,caption\na.jpg,A dog\nmissing.jpg,A cat\n"}, "deep/er/a.jpg")
        (root / "deep" / "up").symlink_to(root)
        (root / "deep" / "er" / "again").symlink_to(root / "deep")
        (root / "broken").symlink_to(root / "nowhere")
        assert captions_of(read_dataset(root)) == {"a.jpg": ("A dog",)}

    def test_a_folder_linked_twice_is_one(self, make_files, tmp_path):
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "a.jpg").touch()
        root = make_files({"captions.csv": "image,caption\na.jpg,A dog\n"})
        (root / "one").symlink_to(tmp_path / "elsewhere")
        (root / "two").symlink_to(tmp_path / "elsewhere")
        assert captions_of(read_dataset(root)) == {"a.jpg": ("A dog",)}

    def test_one_photo_by_two_paths_is_in_one_split(self, make_files):
        text = "image,caption,split\nimages/a.jpg,A dog,train\nlinked/a.jpg,A hound,test\nimages/b.jpg,A cat,train\n"
        root = make_files({"captions.csv": text}, "images/a.jpg images/b.jpg")
        (root / "linked").symlink_to(root / "images")
        dataset = read_dataset(root)
        paths = [each.image for part in dataset.splits.values() for each in part]
        assert sorted(path.name for path in paths) == ["a.jpg", "b.jpg"]
        assert any("in two splits" in hole for hole in dataset.issues)

    def test_sidecars_in_loops(self, make_files):
        root = make_files({"x/a.txt": "A dog"}, "x/a.jpg")
        (root / "x" / "up").symlink_to(root)
        (root / "y").symlink_to(root / "x")
        assert [len(part) for part in read_dataset(root).splits.values()] == [1, 0, 0]

    def test_a_linked_folder_goes_by_its_own_name_where_it_has_one(self, make_files):
        """As in predict and bulk, though the link comes first in the alphabet and is nearer to the root."""
        root = make_files({"captions.csv": "image,caption\n1.jpg,A dog\n"}, "z/deep/1.jpg")
        (root / "a").symlink_to(root / "z" / "deep")
        (example,) = read_dataset(root).split("train")
        assert example.image == root / "z" / "deep" / "1.jpg"

    def test_a_folder_that_cannot_be_listed_is_told(self, make_files, monkeypatch):
        root = make_files({"captions.csv": "image,caption\na.jpg,A dog\nb.jpg,A cat\n"}, "x/a.jpg y/b.jpg")
        scandir = os.scandir

        def refused(folder: Path):
            if Path(folder) == root / "y":
                raise PermissionError(errno.EACCES, "Permission denied", str(folder))
            return scandir(folder)

        monkeypatch.setattr(os, "scandir", refused)
        dataset = read_dataset(root)
        assert captions_of(dataset) == {"a.jpg": ("A dog",)}
        assert any("1 folder that cannot be listed" in hole for hole in dataset.issues)
        assert "1 caption entry without a photo (b.jpg)" in dataset.issues


class TestDev:
    def test_is_cut_from_train_where_all_is_train_and_this_is_said(self, make_files):
        rows = "".join(f"img{n}.jpg,{caption},train\n" for n, caption in enumerate(CAPTIONS))
        root = make_files({"captions.csv": f"image,caption,split\n{rows}"}, PHOTOS)
        dataset = read_dataset(root)
        assert sizes(dataset) == [9, 1, 0]
        (dev,) = dataset.splits["dev"]
        assert dataset.issues[0] == f"1 photo taken from train for dev, which had none ({dev.image.name})"
        assert read_dataset(root) == dataset
        assert captions_of(dataset) == ALL

    def test_the_test_split_stays_as_it_is(self, make_files):
        words = ["train"] * 8 + ["test"] * 2
        rows = "".join(f"img{n}.jpg,A dog,{word}\n" for n, word in enumerate(words))
        dataset = read_dataset(make_files({"captions.csv": f"image,caption,split\n{rows}"}, PHOTOS))
        assert sizes(dataset) == [7, 1, 2]

    def test_karpathys_restval_too(self, make_files):
        images = [{"filename": name, "split": "restval", "sentences": [{"raw": "x"}]} for name in PHOTOS.split()]
        dataset = read_dataset(make_files({"dataset.json": json.dumps({"images": images})}, PHOTOS))
        assert sizes(dataset) == [9, 1, 0]

    def test_one_photo_stays_in_train(self, make_files):
        dataset = read_dataset(make_files({"captions.csv": "image,caption,split\na.jpg,A dog,train\n"}, "a.jpg"))
        assert sizes(dataset) == [1, 0, 0]


class TestLanguages:
    def test_chinese_captions_of_ten_photos(self, make_files):
        text = "image,caption\nimg0.jpg,一个女孩穿着蓝色的衬衫\nimg1.jpg,两只狗在草地上奔跑\nimg2.jpg,一个男人爬墙\n"
        dataset = read_dataset(make_files({"captions.csv": text}, PHOTOS))
        words = [word for each in captions_of(dataset).values() for word in normalise(each[0])]
        assert all(len(word) == 1 for word in words)
        assert words.count("个") == 2

    def test_a_caption_that_lost_a_character_is_not_trained_on(self, make_files):
        text = "image,caption\na.jpg,a caf\ufffd\na.jpg,a bar\n"
        dataset = read_dataset(make_files({"captions.csv": text}, "a.jpg"))
        assert captions_of(dataset) == {"a.jpg": ("a bar",)}
        assert dataset.issues[0].startswith("1 caption with a character lost in a conversion (a.jpg: a caf")
