"""What holds of any caption that a stranger may write."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from captioner.data.formats import FORMATS, read_dataset
from captioner.errors import CaptionerError
from captioner.metrics.score import score
from captioner.text import SPECIAL_TOKENS, CharacterVocabulary, Vocabulary, normalise

ODD = (
    "👩‍👧 runs",
    "강아지가 달린다",
    "كلب يجري",
    "\u202eabc",
    'a "dog',
    "it's 'n",
    "a\0b",
    "\ud800",
    ". . .",
    "a" * 300,
)
captions = st.one_of(st.text(max_size=40), st.sampled_from(ODD))
steady = settings(
    max_examples=40,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@steady
@given(st.lists(captions, max_size=8), st.integers(1, 3))
def test_known_words_come_back_and_others_are_unknown(texts, min_count):
    sentences = [normalise(text) for text in texts]
    vocabulary = Vocabulary.build(sentences, min_count)
    for words in sentences:
        assert all(word and not word.isspace() for word in words)
        numbers = vocabulary.encode(words, len(words) + 1)
        assert numbers[-1] == vocabulary.end
        known = [word for word in words if word in vocabulary.tokens and word not in SPECIAL_TOKENS]
        assert vocabulary.decode(numbers) == known
        assert numbers.count(vocabulary.unknown) == len(words) - len(known)


@steady
@given(st.text(st.characters(), max_size=200))
@example("\ud800\U0010ffff\0")
def test_characters_come_back(text):
    vocabulary = CharacterVocabulary.build(text)
    assert vocabulary.decode(vocabulary.encode(text)) == text
    assert vocabulary.unknown_in(text) == []


@steady
@given(st.lists(st.text("ab c", max_size=6), unique=True, max_size=5))
def test_a_vocabulary_of_words_comes_back_from_a_file(tmp_path, words):
    words = [word for word in words if word not in SPECIAL_TOKENS]
    Vocabulary([*SPECIAL_TOKENS, *words]).save(tmp_path / "words.json")
    assert Vocabulary.load(tmp_path / "words.json").tokens == (*SPECIAL_TOKENS, *words)


sentence = st.lists(st.sampled_from("abcde"), max_size=9)
pairs = st.lists(st.tuples(sentence, st.lists(sentence, min_size=1, max_size=3)), min_size=1, max_size=6)


@steady
@given(pairs, st.randoms(use_true_random=False))
def test_scores_stay_in_range_and_do_not_depend_on_order(pairs, draw):
    found = score(*zip(*pairs, strict=True))
    for name, value in found.items():
        assert 0 <= value <= (1000 if name == "cider" else 100) + 1e-6
    mixed = [(words, draw.sample(references, len(references))) for words, references in pairs]
    draw.shuffle(mixed)
    assert score(*zip(*mixed, strict=True)) == pytest.approx(found, abs=1e-9)


@pytest.mark.parametrize(
    "line",
    [
        "a" * 1_000_000,
        ". ' " * 250_000,
        *(
            pytest.param(piece * (1_000_000 // len(piece)), marks=pytest.mark.slow)
            for piece in ("a ", " ", ".", "'", '"', "a.b'", "👩‍👧", "\0", "can't ", "-", "(", "1,2")
        ),
    ],
    ids=lambda line: repr(line[:5]),
)
def test_a_line_of_a_megabyte_takes_no_longer_than_it_must(line):
    began = time.process_time()
    normalise(line)
    assert time.process_time() - began < 5


def write(folder: Path, layout: str, texts: list[str]) -> None:
    """Put captions into a file of a layout, as a program that knows its rules would; two photos lie beside it."""
    inner = folder / "train" if layout == "imagefolder" else folder
    inner.mkdir(exist_ok=True)
    for name in ("a.jpg", "b.jpg"):
        (inner / name).touch()
    rows = [("ab"[number % 2] + ".jpg", text) for number, text in enumerate(texts)]
    if layout == "flickr8k":
        content = "".join(f"{name}#{number}\t{text}\n" for number, (name, text) in enumerate(rows))
        path = "Flickr8k.token.txt"
    elif layout == "karpathy":
        content = json.dumps({"images": [{"filename": name, "sentences": [{"raw": text}]} for name, text in rows]})
        path = "dataset_x.json"
    elif layout == "coco":
        images = [{"id": number, "file_name": f"{name}.jpg"} for number, name in enumerate("ab")]
        found = [{"image_id": number % 2, "caption": text} for number, text in enumerate(texts)]
        content, path = json.dumps({"images": images, "annotations": found}), "captions_train.json"
    elif layout == "jsonl":
        content = "".join(json.dumps({"file_name": name, "text": text}) + "\n" for name, text in rows)
        path = "metadata.jsonl"
    elif layout == "sidecar":
        for name in "ab":
            own = "".join(f"{text}\n" for photo, text in rows if photo == f"{name}.jpg")
            (folder / f"{name}.txt").write_bytes(own.encode("utf-8", "surrogatepass"))
        return
    else:
        quoted = [(name, '"' + text.replace('"', '""') + '"') for name, text in rows]
        content = "image,caption\n" + "".join(f"{name},{text}\n" for name, text in quoted)
        path = {"kaggle": "captions.txt", "imagefolder": "train/metadata.csv"}.get(layout, "captions.csv")
    (folder / path).write_bytes(content.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("layout", FORMATS)
@settings(steady, max_examples=15)
@given(texts=st.lists(captions, min_size=2, max_size=6))
def test_any_caption_is_read_or_told(tmp_path, layout, texts):
    write(tmp_path, layout, texts)
    try:
        dataset = read_dataset(tmp_path, layout)
    except CaptionerError as error:
        str(error).encode()
    else:
        dataset.report().encode()
        for examples in dataset.splits.values():
            for each in examples:
                for caption in each.captions:
                    caption.encode()
                    normalise(caption)


@pytest.mark.parametrize("layout", FORMATS)
def test_a_caption_of_a_megabyte_does_not_stop_the_others(tmp_path, layout):
    write(tmp_path, layout, ["a dog", "x" * 1_000_000, "a \0 cat", 'two "dogs', "강아지 👩‍👧 كلب"])
    read = {text for part in read_dataset(tmp_path, layout).splits.values() for each in part for text in each.captions}
    assert {"a dog", "강아지 👩‍👧 كلب"} <= read
