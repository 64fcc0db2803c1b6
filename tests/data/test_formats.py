import json
import os
import zlib
from pathlib import Path

import pytest

from captioner.data import flickr8k_split, text_files
from captioner.data.dataset import CaptionDataset, Example
from captioner.data.flickr8k_split import official_split
from captioner.data.formats import FORMATS, detect_format, random_split, read_dataset
from captioner.errors import CaptionerError


def names(dataset: CaptionDataset, split: str) -> list[str]:
    return [example.image.name for example in dataset.splits[split]]


def split_names(dataset: CaptionDataset) -> list[list[str]]:
    return [names(dataset, split) for split in ("train", "dev", "test")]


def sizes(dataset: CaptionDataset) -> list[int]:
    return [len(dataset.splits[split]) for split in ("train", "dev", "test")]


def everything(dataset: CaptionDataset) -> dict[str, tuple[str, ...]]:
    return {example.image.name: example.captions for examples in dataset.splits.values() for example in examples}


FLICKR8K = {
    "Flickr8k_text/Flickr8k.token.txt": "b.jpg#0\tA dog .\nb.jpg#1\tThe dog runs .\na.jpg#0\tA cat .\n"
    "c.jpg#0\tA man .\nd.jpg#0\tA boy .\ne.jpg#0\tNo list has me .\n",
    "Flickr8k_text/Flickr_8k.trainImages.txt": "b.jpg\na.jpg\n",
    "Flickr8k_text/Flickr_8k.devImages.txt": "c.jpg\n",
    "Flickr8k_text/Flickr_8k.testImages.txt": "d.jpg\n",
}


class TestDataset:
    @pytest.fixture
    def dataset(self) -> CaptionDataset:
        examples = tuple(Example(Path(f"{i}.jpg"), (f"photo {i}",)) for i in range(3))
        splits = {"train": examples, "dev": examples[:1], "test": ()}
        return CaptionDataset("pets", splits, ("1 thing (x)", "2 things (y)"))

    def test_report_is_one_line(self, dataset):
        assert dataset.report() == "pets: 3 train, 1 dev, 0 test photos; issues: 1 thing (x); 2 things (y)"

    def test_report_without_holes(self, dataset):
        assert CaptionDataset("pets", dataset.splits).report() == "pets: 3 train, 1 dev, 0 test photos"

    def test_limited_keeps_the_first_of_every_split(self, dataset):
        limited = dataset.limited(2)
        assert sizes(limited) == [2, 1, 0]
        assert limited.split("train") == dataset.split("train")[:2]

    def test_an_empty_split_names_the_others(self, dataset):
        with pytest.raises(CaptionerError, match=r"test split of pets .* train \(3 photos\), dev \(1 photos\)\."):
            dataset.split("test")

    def test_a_split_that_does_not_exist(self, dataset):
        with pytest.raises(CaptionerError, match="the tset split"):
            dataset.split("tset")


class TestFlickr8k:
    @pytest.mark.parametrize("folder", ["", "Flicker8k_Dataset/", "Images/", "Flickr8k_Dataset/Flicker8k_Dataset/"])
    def test_official_layout(self, make_files, folder):
        root = make_files(FLICKR8K, " ".join(f"{folder}{name}.jpg" for name in "abcde"))
        dataset = read_dataset(root)
        assert dataset.name == "flickr8k"
        assert split_names(dataset) == [
            ["b.jpg", "a.jpg"],
            ["c.jpg"],
            ["d.jpg"],
        ]
        assert dataset.splits["train"][0] == Example(root / folder / "b.jpg", ("A dog .", "The dog runs ."))
        assert dataset.issues == ()

    @pytest.mark.parametrize("folder", ["", "Flickr8k_text/Flickr8k_text/", "Flickr8k_Dataset/Flickr8k_text/"])
    def test_text_files_elsewhere(self, make_files, folder):
        files = {name.replace("Flickr8k_text/", folder): text for name, text in FLICKR8K.items()}
        dataset = read_dataset(make_files(files, "Images/a.jpg Images/b.jpg Images/c.jpg Images/d.jpg Images/e.jpg"))
        assert len(everything(dataset)) == 4

    def test_missing_test_list_is_an_empty_split(self, make_files):
        files = {name: text for name, text in FLICKR8K.items() if "testImages" not in name}
        dataset = read_dataset(make_files(files, "a.jpg b.jpg c.jpg d.jpg e.jpg"))
        assert dataset.splits["test"] == ()
        assert dataset.issues == ("1 split without photos (test)",)

    def test_no_lists_at_all_splits_at_random(self, make_files):
        files = {name: text for name, text in FLICKR8K.items() if "Images" not in name}
        dataset = read_dataset(make_files(files, "a.jpg b.jpg c.jpg d.jpg e.jpg"))
        assert sizes(dataset) == [3, 1, 1]

    def test_image_path_is_absolute(self, make_files, monkeypatch):
        root = make_files(FLICKR8K, "a.jpg b.jpg c.jpg d.jpg e.jpg")
        monkeypatch.chdir(root.parent)
        assert read_dataset(Path(root.name)).splits["dev"][0].image == root / "c.jpg"


class TestHoles:
    """Every hole is reported in a phrase, and the rest is read."""

    def read(self, make_files, photos="a.jpg b.jpg c.jpg d.jpg e.jpg", **changes: str | bytes) -> CaptionDataset:
        files = dict(FLICKR8K)
        for key, change in changes.items():
            (name,) = [name for name in files if key in name]
            files[name] = change(files[name]) if callable(change) else change
        return read_dataset(make_files(files, photos))

    def test_photo_missing(self, make_files):
        dataset = self.read(make_files, photos="a.jpg c.jpg d.jpg e.jpg")
        assert dataset.issues == ("1 photo of a split missing (b.jpg)",)
        assert names(dataset, "train") == ["a.jpg"]

    def test_stray_name(self, make_files):
        dataset = self.read(make_files, token=lambda text: text + "f.jpg.1#0\tStray .\nf.jpg.1#1\tStray again .\n")
        assert dataset.issues == ("1 caption entry without a photo (f.jpg.1)",)

    @pytest.mark.parametrize(("total", "shown"), [(2, "0.jpg, 1.jpg"), (3, "0.jpg, 1.jpg, ...")])
    def test_several_of_a_kind_are_counted(self, make_files, total, shown):
        strays = "".join(f"{number}.jpg#0\tStray .\n" for number in range(total))
        dataset = self.read(make_files, token=lambda text: text + strays)
        assert dataset.issues == (f"{total} caption entries without a photo ({shown})",)

    def test_listed_without_captions(self, make_files):
        dataset = self.read(make_files, photos="a.jpg b.jpg c.jpg d.jpg e.jpg f.jpg", dev="c.jpg\nf.jpg\n")
        assert dataset.issues == ("1 photo of a split without captions (f.jpg)",)

    def test_listed_twice(self, make_files):
        dataset = self.read(make_files, train="b.jpg\na.jpg\nb.jpg\n")
        assert names(dataset, "train") == ["b.jpg", "a.jpg"]
        assert dataset.issues == ("1 photo listed twice in a split (b.jpg)",)

    def test_a_photo_in_two_splits_is_kept_for_testing(self, make_files):
        dataset = self.read(make_files, train="b.jpg\nc.jpg\nD.JPG\na.jpg\n")
        assert split_names(dataset) == [
            ["b.jpg", "a.jpg"],
            ["c.jpg"],
            ["d.jpg"],
        ]
        assert dataset.issues == ("2 photos in two splits (c.jpg, D.JPG)",)

    def test_empty_caption(self, make_files):
        dataset = self.read(make_files, token=lambda text: text + "a.jpg#1\t  \n")
        assert dataset.issues == ("1 empty caption (a.jpg)",)
        assert everything(dataset)["a.jpg"] == ("A cat .",)

    def test_a_photo_whose_captions_are_all_empty(self, make_files):
        dataset = self.read(make_files, token=lambda text: text.replace("A cat .", ""))
        assert dataset.issues == ("1 empty caption (a.jpg)", "1 photo of a split without captions (a.jpg)")

    def test_repeated_line(self, make_files):
        dataset = self.read(make_files, token=lambda text: text + "a.jpg#0\tA cat .\n")
        assert dataset.issues == ("1 repeated caption line (Flickr8k.token.txt line 7)",)
        assert everything(dataset)["a.jpg"] == ("A cat .",)

    def test_two_people_may_write_the_same(self, make_files):
        dataset = self.read(make_files, token=lambda text: text + "a.jpg#1\tA cat .\n")
        assert everything(dataset)["a.jpg"] == ("A cat .", "A cat .")
        assert dataset.issues == ()

    def test_line_without_tab(self, make_files):
        dataset = self.read(make_files, token=lambda text: text + "\na.jpg#1 A cat .\n")
        assert dataset.issues == ("1 line without a tab (Flickr8k.token.txt line 8)",)

    def test_crlf_and_byte_order_mark(self, make_files):
        dataset = self.read(make_files, token=lambda text: ("\ufeff" + text).replace("\n", "\r\n"))
        assert dataset.issues == (
            "1 file with a byte order mark (Flickr8k.token.txt)",
            "1 file with CRLF line ends (Flickr8k.token.txt)",
        )
        assert everything(dataset)["b.jpg"] == ("A dog .", "The dog runs .")

    def test_utf16(self, make_files):
        dataset = self.read(make_files, token=lambda text: text.encode("utf-16"))
        assert everything(dataset)["b.jpg"] == ("A dog .", "The dog runs .")

    def test_another_encoding_is_refused_with_a_guess_and_a_remedy(self, make_files):
        with pytest.raises(CaptionerError, match=r"token\.txt is not UTF-8 .* line 3; it looks like .*cp1252") as error:
            self.read(make_files, token=lambda text: text.replace("A cat", "A café").encode("latin-1"))
        assert "A café" in str(error.value)
        assert "iconv -f CP1252 -t UTF-8" in str(error.value)

    @pytest.mark.parametrize(
        "name", ["/etc/passwd", "../secret.jpg", "x/../../secret.jpg", "..\\secret.jpg", "C:\\a.jpg"]
    )
    def test_names_that_lead_out_are_not_followed(self, make_files, name):
        root = make_files({}, "../secret.jpg")
        assert (root.parent / "secret.jpg").exists()
        dataset = self.read(make_files, token=lambda text: text + f"{name}#0\tOut .\n", dev=f"c.jpg\n{name}\n")
        assert len(dataset.issues) == 1
        assert dataset.issues[0].startswith("1 name that leads out of the folder (")
        assert len(everything(dataset)) == 4

    def test_a_name_too_long_for_a_folder_is_only_missing(self, make_files):
        dataset = self.read(make_files, token=lambda text: text + f"{'x' * 300}/a.jpg#0\tLong .\n")
        assert dataset.issues == (f"1 caption entry without a photo ({'x' * 80})",)

    def test_control_characters_do_not_reach_the_terminal(self, make_files):
        dataset = self.read(make_files, token=lambda text: text + "\x1b[2J.jpg#0\tClear .\n")
        assert dataset.issues == (r"1 caption entry without a photo ('\x1b[2J.jpg')",)

    def test_case_of_names_is_a_second_choice(self, make_files):
        dataset = self.read(make_files, photos="A.JPG b.jpg B.jpg c.jpg d.jpg e.jpg")
        assert names(dataset, "train") == ["b.jpg", "A.JPG"]
        assert dataset.issues == ()

    def test_decomposed_letters_are_the_same_name(self, make_files):
        files = {"captions.csv": "image,caption\ncafe\u0301.jpg,Coffee\n"}
        assert len(everything(read_dataset(make_files(files, "caf\u00e9.jpg")))) == 1

    def test_nothing_left_is_an_error(self, make_files):
        with pytest.raises(
            CaptionerError, match=r"no photo with a caption.*4 photos of a split missing \(d\.jpg, c\.jpg, \.\.\.\)"
        ):
            self.read(make_files, photos="z.jpg")


class TestKaggle:
    CAPTIONS = 'image,caption\na.jpg,"A dog , running ."\na.jpg,"He said ""sit"" ."\nb.jpg,A cat .\nb.jpg,A cat .\n'

    def test_quotes_commas_and_equal_captions(self, make_files):
        root = make_files({"captions.txt": self.CAPTIONS}, "Images/a.jpg Images/b.jpg")
        assert detect_format(root) == "kaggle"
        dataset = read_dataset(root)
        assert dataset.name == "data"
        assert everything(dataset) == {
            "a.jpg": ("A dog , running .", 'He said "sit" .'),
            "b.jpg": ("A cat .", "A cat ."),
        }

    def test_split_files_nearby(self, make_files):
        lists = {"Flickr_8k.trainImages.txt": "b.jpg\n", "Flickr_8k.devImages.txt": "a.jpg\n"}
        dataset = read_dataset(make_files({"captions.txt": self.CAPTIONS, **lists}, "Images/a.jpg Images/b.jpg"))
        assert (names(dataset, "train"), names(dataset, "dev")) == (["b.jpg"], ["a.jpg"])

    def test_a_caption_that_is_the_word_na(self, make_files):
        dataset = read_dataset(make_files({"captions.txt": "image,caption\na.jpg,NA\n"}, "a.jpg"))
        assert everything(dataset) == {"a.jpg": ("NA",)}

    def test_official_split_by_the_names_alone(self, make_files, monkeypatch):
        known = {"train": ["c.jpg", "a.jpg"], "dev": ["b.jpg"], "unused": ["u.jpg"]}
        codes = {split: [zlib.crc32(name.encode()) for name in listed] for split, listed in known.items()}
        monkeypatch.setattr(flickr8k_split, "_known_hashes", lambda: codes)
        rows = "".join(f"{name}.jpg,A photo\n" for name in "abcutx")
        photos = " ".join(f"Images/{name}.jpg" for name in "abcutx")
        dataset = read_dataset(make_files({"captions.txt": f"image,caption\n{rows}"}, photos))
        assert dataset.name == "flickr8k"
        assert split_names(dataset) == [
            ["c.jpg", "a.jpg"],
            ["b.jpg"],
            ["t.jpg", "x.jpg"],
        ]


class TestOfficialSplit:
    def test_the_hashes_are_those_of_the_official_lists(self):
        known = flickr8k_split._known_hashes()
        assert {split: len(codes) for split, codes in known.items()} == {"train": 6000, "dev": 1000, "unused": 92}
        assert len(set().union(*known.values())) == 7092
        assert known["train"][0] == zlib.crc32(b"2513260012_03d33305cf.jpg")
        assert zlib.crc32(b"2258277193_586949ec62.jpg.1") in known["unused"]

    def test_encode_is_little_endian_base64(self):
        # crc32("a.jpg") computed apart, with the bytes of the number in reverse.
        code = zlib.crc32(b"a.jpg")
        assert flickr8k_split.base64.b64decode(flickr8k_split.encode(["Images/a.jpg"])) == code.to_bytes(4, "little")

    @pytest.fixture
    def known(self, monkeypatch) -> list[str]:
        listed = [f"{number}.jpg" for number in range(200)]
        codes = [zlib.crc32(name.encode()) for name in listed]
        known = {"train": codes[:150], "dev": codes[150:190], "unused": codes[190:]}
        monkeypatch.setattr(flickr8k_split, "_known_hashes", lambda: known)
        return listed

    def test_two_of_two_hundred_may_be_missing_but_not_three(self, known):
        assert len(official_split(known[2:])["train"]) == 148
        assert official_split(known[3:]) is None

    def test_more_others_than_the_test_split_has(self, known):
        others = [f"other{number}.jpg" for number in range(1001)]
        assert official_split(known + others[1:])["test"] == sorted(others[1:])
        assert official_split(known + others) is None

    @pytest.mark.data
    @pytest.mark.skipif(not os.environ.get("CAPTIONER_DATA"), reason="CAPTIONER_DATA is not set")
    def test_agrees_with_the_official_files(self):
        dataset = read_dataset(Path(os.environ["CAPTIONER_DATA"]))
        token = next(Path(os.environ["CAPTIONER_DATA"]).rglob("Flickr8k.token.txt"))
        every = {line.partition("#")[0] for line in token.read_text().splitlines()}
        split = official_split(every)
        found = set(names(dataset, "train"))
        assert [name for name in split["train"] if name in found] == names(dataset, "train")
        assert split["dev"] == names(dataset, "dev")
        assert split["test"] == sorted(names(dataset, "test"))


class TestKarpathy:
    IMAGES = [  # noqa: RUF012
        {
            "filename": "a.jpg",
            "split": "train",
            "sentences": [{"raw": "A dog."}, {"tokens": ["a", "cat"]}],
        },
        {"filename": "b.jpg", "split": "val", "sentences": [{"raw": "A man."}]},
        {"filename": "c.jpg", "split": "test", "sentences": [{"raw": "A boy."}]},
        {"filename": "d.jpg", "split": "restval", "sentences": [{"raw": "A girl."}], "filepath": "val2014"},
    ]

    def test_splits_and_sentences(self, make_files):
        files = {"dataset_flickr8k.json": json.dumps({"images": self.IMAGES})}
        root = make_files(files, "images/a.jpg b.jpg Flicker8k_Dataset/c.jpg val2014/d.jpg")
        assert detect_format(root) == "karpathy"
        dataset = read_dataset(root)
        assert dataset.name == "flickr8k"
        assert split_names(dataset) == [
            ["a.jpg", "d.jpg"],
            ["b.jpg"],
            ["c.jpg"],
        ]
        assert everything(dataset)["a.jpg"] == ("A dog.", "a cat")

    def test_filepath_that_is_not_there(self, make_files):
        dataset = read_dataset(make_files({"dataset.json": json.dumps({"images": self.IMAGES})}, "a.jpg d.jpg"))
        assert names(dataset, "train") == ["a.jpg", "d.jpg"]

    @pytest.mark.parametrize(
        "entry",
        [
            {"split": "train"},
            "x.jpg",
            {"filename": 5, "split": "train"},
            {"filename": "b.jpg", "sentences": [{}], "split": "train"},
            {"filename": "b.jpg", "sentences": [{"raw": "\ud83d"}], "split": "train"},
            {"filename": "b.jpg", "sentences": None, "split": "train"},
        ],
    )
    def test_broken_entries(self, make_files, entry):
        files = {"dataset.json": json.dumps({"images": [self.IMAGES[0], entry]})}
        dataset = read_dataset(make_files(files, "a.jpg b.jpg"))
        assert "1 broken entry (dataset.json images[1])" in dataset.issues
        assert names(dataset, "train") == ["a.jpg"]

    def test_unknown_split(self, make_files):
        images = [self.IMAGES[0], {**self.IMAGES[1], "split": "later"}]
        dataset = read_dataset(make_files({"dataset.json": json.dumps({"images": images})}, "a.jpg b.jpg"))
        assert dataset.issues[0] == "1 entry with an unknown split (b.jpg: later)"

    @pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "[]", '{"images": {}}'])
    def test_not_such_a_file(self, make_files, text):
        with pytest.raises(CaptionerError, match=r"dataset\.json (is not valid JSON|holds no list 'images')"):
            read_dataset(make_files({"dataset.json": text}, "a.jpg"))

    def test_several_files(self, make_files):
        with pytest.raises(CaptionerError, match=r"several caption files .* dataset_a\.json, dataset_b\.json"):
            read_dataset(make_files({"dataset_a.json": "{}", "dataset_b.json": "{}"}))


def coco(*images: tuple[int, str], captions: tuple[tuple[int, str], ...]) -> str:
    return json.dumps(
        {
            "images": [{"id": number, "file_name": name} for number, name in images],
            "annotations": [{"image_id": number, "caption": caption} for number, caption in captions],
        }
    )


class TestCoco:
    def test_a_file_a_split(self, make_files):
        files = {
            "annotations/captions_train2017.json": coco(
                (1, "a.jpg"), (2, "b.jpg"), captions=((2, "B"), (1, "A"), (2, "BB"))
            ),
            "annotations/captions_val2017.json": coco((1, "c.jpg"), captions=((1, "C"),)),
        }
        root = make_files(files, "train2017/a.jpg train2017/b.jpg val2017/c.jpg")
        assert detect_format(root) == "coco"
        dataset = read_dataset(root)
        assert split_names(dataset) == [["a.jpg", "b.jpg"], ["c.jpg"], []]
        assert everything(dataset) == {"a.jpg": ("A",), "b.jpg": ("B", "BB"), "c.jpg": ("C",)}

    def test_one_file_is_split_at_random(self, make_files):
        images = [(number, f"{number}.jpg") for number in range(20)]
        text = coco(*images, captions=tuple((number, f"Photo {number}") for number in range(20)))
        dataset = read_dataset(make_files({"captions.json": text}, " ".join(f"images/{name}" for _, name in images)))
        assert sizes(dataset) == [16, 2, 2]

    def test_annotation_of_an_unknown_image(self, make_files):
        text = coco((1, "a.jpg"), captions=((1, "A"), (7, "Who ?")))
        dataset = read_dataset(make_files({"captions_train.json": text}, "a.jpg"))
        assert dataset.issues[0] == "1 broken entry (captions_train.json annotations[1])"

    def test_a_file_without_a_split_beside_one_with(self, make_files):
        files = {
            "captions_train.json": coco((1, "a.jpg"), captions=((1, "A"),)),
            "captions_more.json": coco((1, "b.jpg"), captions=((1, "B"),)),
        }
        dataset = read_dataset(make_files(files, "a.jpg b.jpg"))
        assert names(dataset, "train") == ["a.jpg"]
        assert dataset.issues[0] == "1 entry with an unknown split (b.jpg)"


class TestCsv:
    def test_split_column(self, make_files):
        text = (
            "Split, Caption ,image,id\ntrain,A dog,a.jpg,1\nvalidation,A cat,b.jpg,2\ntrain,Dogs,a.jpg,3\n"
            "TEST,A man,sub/c.jpg,4\nval,A boy,d.jpg,5\n"
        )
        root = make_files({"pets.csv": text}, "a.jpg images/b.jpg photos/sub/c.jpg d.jpg")
        assert detect_format(root) == "csv"
        dataset = read_dataset(root)
        assert split_names(dataset) == [
            ["a.jpg"],
            ["b.jpg", "d.jpg"],
            ["c.jpg"],
        ]
        assert everything(dataset)["a.jpg"] == ("A dog", "Dogs")
        assert dataset.issues == ()

    def test_crlf_is_right_in_csv(self, make_files):
        files = {"captions.csv": "image,caption\r\na.jpg,A dog\r\n"}
        dataset = read_dataset(make_files(files, "a.jpg"))
        assert everything(dataset) == {"a.jpg": ("A dog",)}
        assert dataset.issues == ("2 splits without photos (dev, test)",)

    def test_tsv(self, make_files):
        text = "image\tcaption\na.jpg\tA dog, a cat\n"
        dataset = read_dataset(make_files({"captions.tsv": text}, "a.jpg"))
        assert everything(dataset) == {"a.jpg": ("A dog, a cat",)}

    def test_captions_csv_comes_first(self, make_files):
        files = {"a.csv": "x,y\n", "captions.csv": "image,caption\na.jpg,A dog\n", "z.csv": "x,y\n"}
        assert len(everything(read_dataset(make_files(files, "a.jpg")))) == 1

    def test_missing_column_names_found_and_wanted(self, make_files):
        root = make_files({"captions.csv": "which,words\na.jpg,A dog\n"}, "a.jpg")
        with pytest.raises(CaptionerError, match=r"captions\.csv are which, words; wanted are image, caption"):
            read_dataset(root)

    @pytest.mark.parametrize("content", ["", "\n\n", b"\x00\x01\x7f" * 99_999, "image caption\n"])
    def test_no_table_at_all(self, make_files, content):
        with pytest.raises(CaptionerError, match="wanted are image, caption"):
            read_dataset(make_files({"captions.csv": content}, "a.jpg"))

    def test_repeated_row(self, make_files):
        dataset = read_dataset(make_files({"captions.csv": "image,caption\na.jpg,A dog\na.jpg,A dog\n"}, "a.jpg"))
        assert everything(dataset) == {"a.jpg": ("A dog",)}
        assert dataset.issues[0] == "1 repeated caption line (a.jpg)"

    @pytest.mark.parametrize("first", ["", "b.jpg,A cat\n"])
    def test_unquoted_comma_belongs_to_the_last_column(self, make_files, first):
        text = f"image,caption\n{first}a.jpg,A dog, running, in grass\n"
        dataset = read_dataset(make_files({"captions.csv": text}, "a.jpg b.jpg"))
        assert everything(dataset)["a.jpg"] == ("A dog, running, in grass",)
        assert dataset.issues[0] == "1 row with an unquoted separator (a.jpg)"

    def test_unquoted_comma_before_other_columns_drops_the_row(self, make_files):
        text = "image,caption,id\na.jpg,A dog,1\nb.jpg,A cat, asleep,2\n"
        dataset = read_dataset(make_files({"captions.csv": text}, "a.jpg b.jpg"))
        assert everything(dataset) == {"a.jpg": ("A dog",)}
        assert dataset.issues[0] == "1 row with an unquoted separator (b.jpg)"

    def test_quote_that_is_never_closed(self, make_files):
        text = 'image,caption\na.jpg,"A dog\nb.jpg,A cat\n'
        dataset = read_dataset(make_files({"captions.csv": text}, "a.jpg b.jpg"))
        assert everything(dataset) == {"a.jpg": ("A dog",), "b.jpg": ("A cat",)}
        assert dataset.issues[0] == "1 file with a quote that is never closed (captions.csv)"

    def test_open_quote_and_unquoted_comma(self, make_files):
        text = 'image,caption\na.jpg,A dog, running\nb.jpg,"A cat, asleep"\nc.jpg,"A man\nd.jpg,A boy\n'
        dataset = read_dataset(make_files({"captions.csv": text}, "a.jpg b.jpg c.jpg d.jpg"))
        assert everything(dataset) == {
            "a.jpg": ("A dog, running",),
            "b.jpg": ("A cat, asleep",),
            "c.jpg": ("A man",),
            "d.jpg": ("A boy",),
        }

    def test_text_after_a_closing_quote_beside_an_unquoted_comma(self, make_files):
        text = 'image,caption\na.jpg,"A dog" runs\nb.jpg,A cat, asleep\n\n'
        dataset = read_dataset(make_files({"captions.csv": text}, "a.jpg b.jpg"))
        assert everything(dataset) == {"a.jpg": ("A dog runs",), "b.jpg": ("A cat, asleep",)}
        assert dataset.issues[0] == "1 row with an unquoted separator (b.jpg)"

    def test_a_field_without_end(self, make_files):
        text = f"image,caption\na.jpg,A cat, asleep\nb.jpg,{'x' * 200_000}\n"
        with pytest.raises(CaptionerError, match=r"captions\.csv is not a readable table \(field larger"):
            read_dataset(make_files({"captions.csv": text}, "a.jpg b.jpg"))

    def test_short_rows_and_rows_without_image(self, make_files):
        text = "image,caption\na.jpg,A dog\nb.jpg\n,A cat\n"
        dataset = read_dataset(make_files({"captions.csv": text}, "a.jpg b.jpg"))
        assert everything(dataset) == {"a.jpg": ("A dog",)}
        assert dataset.issues[:2] == ("1 broken entry (captions.csv, no image: A cat)", "1 empty caption (b.jpg)")

    def test_caption_over_several_lines(self, make_files):
        dataset = read_dataset(make_files({"captions.csv": 'image,caption\na.jpg,"A dog\nruns"\n'}, "a.jpg"))
        assert everything(dataset) == {"a.jpg": ("A dog\nruns",)}
        assert dataset.issues[0] == "1 caption over several lines (a.jpg)"

    def test_an_empty_split_column_splits_at_random(self, make_files):
        rows = "".join(f"{number}.jpg,A photo,\n" for number in range(10))
        photos = " ".join(f"{number}.jpg" for number in range(10))
        dataset = read_dataset(make_files({"captions.csv": f"image,caption,split\n{rows}"}, photos))
        assert sizes(dataset) == [8, 1, 1]


class TestRandomSplit:
    @pytest.mark.parametrize(
        ("total", "expected"),
        [(0, [0, 0, 0]), (1, [1, 0, 0]), (2, [1, 1, 0]), (3, [1, 1, 1]), (10, [8, 1, 1]), (105, [85, 10, 10])],
    )
    def test_sizes(self, total, expected):
        split = random_split([f"{number}.jpg" for number in range(total)], seed=0)
        assert [len(split[name]) for name in ("train", "dev", "test")] == expected
        assert len(set().union(*split.values())) == total

    def test_order_of_names_does_not_matter_but_the_seed_does(self):
        listed = [f"{number}.jpg" for number in range(100)]
        assert random_split(listed, 1) == random_split(reversed(listed), 1)
        assert random_split(listed, 1) != random_split(listed, 2)

    def test_is_the_same_on_every_machine(self):
        assert random_split("abcdefghij", 0)["dev"] == ["e"]

    def test_a_photo_more_moves_few(self):
        listed = [f"{number:04}.jpg" for number in range(1000)]
        before, after = random_split(listed, 0), random_split([*listed, "new.jpg"], 0)
        moved = sum(len(set(before[split]) ^ set(after[split])) for split in before)
        assert moved <= 5  # the new one, and one photo at each of the two cuts, counted where it left and where it came

    def test_seed_of_read_dataset(self, make_files):
        rows = "".join(f"{number}.jpg,A photo\n" for number in range(50))
        root = make_files({"captions.csv": f"image,caption\n{rows}"}, " ".join(f"{number}.jpg" for number in range(50)))
        expected = random_split([f"{number}.jpg" for number in range(50)], 3)
        assert {split: names(read_dataset(root, seed=3), split) for split in expected} == expected


class TestFolder:
    def test_nothing_there_lists_what_was_looked_for_and_what_is_there(self, make_files):
        root = make_files({"notes.md": "", "photos/a.jpg": ""})
        with pytest.raises(CaptionerError) as error:
            read_dataset(root)
        for part in ("Flickr8k.token.txt", "dataset_*.json", "captions.txt", "captions*.json", ".tsv"):
            assert part in str(error.value)
        assert "There is: photos/, notes.md." in str(error.value)

    def test_missing_folder(self, tmp_path):
        with pytest.raises(CaptionerError, match="nowhere does not exist"):
            read_dataset(tmp_path / "nowhere")

    def test_a_name_too_long(self, tmp_path):
        with pytest.raises(CaptionerError, match="cannot be reached"):
            read_dataset(tmp_path / ("x" * 300))

    def test_a_file_is_no_folder(self, make_files):
        with pytest.raises(CaptionerError, match="is a file"):
            read_dataset(make_files({"captions.csv": ""}) / "captions.csv")

    def test_unknown_format(self, tmp_path):
        with pytest.raises(CaptionerError, match="unknown data format 'xml'; choose auto, flickr8k, karpathy"):
            read_dataset(tmp_path, "xml")

    def test_format_that_is_not_there(self, make_files):
        root = make_files(FLICKR8K, "a.jpg")
        with pytest.raises(CaptionerError, match=r"no coco captions .* looked for captions\*\.json"):
            read_dataset(root, "coco")

    def test_format_named_where_several_are(self, make_files):
        root = make_files({**FLICKR8K, "captions.csv": "image,caption\na.jpg,Mine\n"}, "a.jpg b.jpg")
        assert everything(read_dataset(root, "csv")) == {"a.jpg": ("Mine",)}

    def test_links_to_photos_and_folders_are_followed(self, make_files, tmp_path):
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / "a.jpg").touch()
        root = make_files({"captions.csv": "image,caption\na.jpg,A dog\n"})
        (root / "images").symlink_to(elsewhere)
        assert names(read_dataset(root), "train") == ["a.jpg"]

    def test_a_link_in_a_circle_hides_nothing(self, make_files):
        root = make_files({"captions.csv": "image,caption\na.jpg,A dog\n"}, "a.jpg")
        (root / "circle").symlink_to("circle")
        assert names(read_dataset(root), "train") == ["a.jpg"]

    def test_formats_are_all_that_can_be_named(self):
        assert FORMATS == ("flickr8k", "karpathy", "kaggle", "coco", "csv", "jsonl", "imagefolder", "sidecar")


@pytest.mark.data
@pytest.mark.skipif(not os.environ.get("CAPTIONER_DATA"), reason="CAPTIONER_DATA is not set")
def test_flickr8k_itself():
    dataset = read_dataset(Path(os.environ["CAPTIONER_DATA"]))
    assert len(dataset.split("train")) == 5999
    assert len(dataset.split("dev")) == 1000
    assert {len(example.captions) for examples in dataset.splits.values() for example in examples} == {5}
    assert "1 photo of a split missing (3050606344_af711c726c.jpg)" in dataset.issues
    assert "1 caption entry without a photo (2258277193_586949ec62.jpg.1)" in dataset.issues


@pytest.mark.needs("os.mkfifo")
@pytest.mark.parametrize("name", ["captions.csv", "captions.jsonl", "captions.txt"])
def test_a_caption_file_that_is_a_pipe_or_a_device_is_refused(make_files, name):
    root = make_files({}, photos="a.jpg")
    (root / name).symlink_to("/dev/zero")
    with pytest.raises(CaptionerError, match=r"cannot read .*: it is a pipe or a device, and no file"):
        read_dataset(root)
    (root / name).unlink()
    os.mkfifo(root / name)
    with pytest.raises(CaptionerError, match=r"cannot read .*: it is a pipe or a device, and no file"):
        read_dataset(root)


def test_a_caption_file_that_is_too_large_is_refused(make_files, monkeypatch):
    monkeypatch.setattr(text_files, "LARGEST", 1 << 4)
    root = make_files({"captions.csv": "image,caption\na.jpg,a dog\n"}, photos="a.jpg")
    with pytest.raises(CaptionerError, match=r"captions\.csv has more than the 0 GiB that are read"):
        read_dataset(root)
