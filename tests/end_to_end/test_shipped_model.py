"""The model that is shipped, on the photos that it was chosen by; the encoder reads them once, which takes minutes."""

import functools
import itertools
import json
import os
import shutil
from pathlib import Path

import pytest

from captioner.model_files.shipped import shipped_model

SCORES = ("bleu1", "bleu2", "bleu3", "bleu4", "rouge_l", "cider")
NEEDED = ("CAPTIONER_DATA", "CAPTIONER_ENCODER_WEIGHTS")
GIVEN = {name: os.environ.get(name) for name in (*NEEDED, "XDG_CACHE_HOME")}

pytestmark = [
    pytest.mark.long,
    pytest.mark.data,
    pytest.mark.skipif(
        not all(GIVEN[name] for name in NEEDED), reason=f"needs {' and '.join(NEEDED)}, the photos and the weights"
    ),
    pytest.mark.skipif(not (shipped_model() / "metrics.json").is_file(), reason="no model in saved_models/flickr8k"),
]


@pytest.fixture(autouse=True)
def as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo what the made-up data need, the cache's place above all: features are kept from one run to the next."""
    from captioner.models import encoder, networks

    for name, value in GIVEN.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    monkeypatch.setattr(networks, "build_encoder", encoder.build_encoder)


@pytest.fixture(scope="session")
def dev(folder: Path) -> tuple[Path, Path]:
    """Where the scores and the predictions of the dev split will be."""
    return folder / "shipped.json", folder / "shipped.jsonl"


@pytest.fixture
def evaluated(dev, command) -> tuple[dict, list[dict]]:
    """The scores and the predictions of the shipped model on dev, made by the first test that asks."""
    scores, predictions = dev
    if not scores.is_file():
        outcome = command(
            *("evaluate", "--model", shipped_model(), "--split", "dev", "--json", scores),
            *("--predictions", predictions),
        )
        assert outcome.status == 0, outcome.err
    return json.loads(scores.read_text()), [json.loads(line) for line in predictions.read_text().splitlines()]


def coco_scores(captions: dict, references: dict) -> dict[str, float]:
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    bleu, _ = Bleu(4).compute_score(references, captions, verbose=0)
    rouge, _ = Rouge().compute_score(references, captions)
    cider, _ = Cider().compute_score(references, captions)
    return {name: 100 * float(value) for name, value in zip(SCORES, (*bleu, rouge, cider), strict=True)}


def test_the_scores_are_those_that_it_was_shipped_with(evaluated):
    scores, predictions = evaluated
    shipped = json.loads((shipped_model() / "metrics.json").read_text())
    assert len(predictions) == shipped["images"] == 1000
    for name in ("beam_width", "length_penalty", "no_repeat_ngram_size", "split", "images"):
        assert scores[name] == shipped[name]
    for name in SCORES:
        assert scores[name] == pytest.approx(shipped[name], abs=0.1), name


def test_the_standard_scorer_agrees_on_the_same_words(evaluated):
    scores, predictions = evaluated
    captions = {number: [each["caption"]] for number, each in enumerate(predictions)}
    references = {number: each["references"] for number, each in enumerate(predictions)}
    assert coco_scores(captions, references) == pytest.approx({name: scores[name] for name in SCORES}, abs=1e-4)


@pytest.mark.skipif(shutil.which("java") is None, reason="the tokenizer of pycocoevalcap needs Java")
def test_the_standard_scorer_agrees_with_its_own_tokenizer(evaluated):
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    from captioner.data.formats import read_dataset

    scores, predictions = evaluated
    raw = {example.image.name: example.captions for example in read_dataset(Path(GIVEN["CAPTIONER_DATA"])).split("dev")}
    tokenize = functools.partial(PTBTokenizer.tokenize, PTBTokenizer())
    captions = tokenize({number: [{"caption": each["caption"]}] for number, each in enumerate(predictions)})
    references = tokenize(
        {number: [{"caption": text} for text in raw[each["image"]]] for number, each in enumerate(predictions)}
    )
    found = coco_scores(captions, references)
    assert found == pytest.approx({name: scores[name] for name in SCORES}, abs=0.3)


def test_captions_differ_from_photo_to_photo(evaluated):
    _, predictions = evaluated
    captions = [each["caption"] for each in predictions]
    assert len(set(captions)) > 300
    assert not any(token in caption for caption in captions for token in ("<unk>", "<end>", "<start>", "<pad>"))
    assert not any(one == other for caption in captions for one, other in itertools.pairwise(caption.split()))


def test_captions_without_keras_are_those_of_keras():
    from captioner.data.formats import read_dataset
    from captioner.library import Captioner

    photos = [example.image for example in read_dataset(Path(GIVEN["CAPTIONER_DATA"])).split("dev")][::50]
    ours, keras = (
        Captioner.load(shipped_model(), num_captions=3, backend=backend, precision="float32")(photos)
        for backend in ("litert", "keras")
    )
    assert len(ours) == 20
    for found, expected in zip(ours, keras, strict=True):
        assert [each.text for each in found.candidates] == [each.text for each in expected.candidates]
        assert found.score == pytest.approx(expected.score, abs=1e-4)
