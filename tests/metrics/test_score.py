import random
import time
import warnings

import pytest

from captioner.metrics.bleu import bleu
from captioner.metrics.cider import CiderD
from captioner.metrics.score import score


def words(*captions):
    return [caption.split() for caption in captions]


(VOCABULARY,) = words("a the dog cat man woman child runs sits jumps on in over red green ball water grass snow beach")


def captions(random, images, references=5):
    """Hypotheses and references that share words, pairs and longer runs."""

    def one():
        return random.choices(VOCABULARY, weights=range(len(VOCABULARY), 0, -1), k=random.randint(4, 14))

    all_references = [[one() for _ in range(references)] for _ in range(images)]
    hypotheses = [[word for word in random.choice(refs) if random.random() < 0.8] for refs in all_references]
    return hypotheses, all_references


@pytest.fixture(scope="module")
def coco():
    """The COCO caption evaluation, the reference that papers use: the scores of a set of captions, x100."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scorers = [pytest.importorskip(f"pycocoevalcap.{name}.{name}") for name in ("bleu", "rouge", "cider")]

    def scores(hypotheses, references):
        ours = {index: [" ".join(caption)] for index, caption in enumerate(hypotheses)}
        theirs = {index: [" ".join(caption) for caption in refs] for index, refs in enumerate(references)}
        bleus, _ = scorers[0].Bleu(4).compute_score(theirs, ours, verbose=0)
        rouge, _ = scorers[1].Rouge().compute_score(theirs, ours)
        cider, _ = scorers[2].Cider().compute_score(theirs, ours)
        names = ("bleu1", "bleu2", "bleu3", "bleu4", "rouge_l", "cider")
        return {name: 100 * float(value) for name, value in zip(names, (*bleus, rouge, cider), strict=True)}

    return scores


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_the_coco_caption_evaluation(coco, seed):
    hypotheses, references = captions(random.Random(seed), images=200)
    assert score(hypotheses, references) == pytest.approx(coco(hypotheses, references), abs=1e-6)


def test_agrees_on_empty_short_and_long_captions(coco):
    hypotheses, references = captions(random.Random(7), images=200)
    hypotheses[:4] = [[], ["dog"], ["a", "dog"], ["never", "seen", "words", "only"]]
    hypotheses[4] = references[4][0] * 5
    references[5] = references[5][:1]
    assert score(hypotheses, references) == pytest.approx(coco(hypotheses, references), abs=1e-6)


def test_agrees_on_one_image(coco):
    hypotheses, references = words("a red dog runs on the beach"), [words("a red dog runs on grass")]
    result = score(hypotheses, references)
    assert result == pytest.approx(coco(hypotheses, references), abs=1e-6)
    assert result["bleu4"] > 30
    assert result["cider"] == 0


def test_bleu_agrees_with_nltk_where_no_caption_is_shorter_than_four_words():
    from nltk.translate.bleu_score import corpus_bleu

    hypotheses, references = captions(random.Random(3), images=50)
    hypotheses = [
        caption if len(caption) >= 4 else refs[0] for caption, refs in zip(hypotheses, references, strict=True)
    ]
    expected = corpus_bleu(references, hypotheses, weights=[(1,), (1 / 2,) * 2, (1 / 3,) * 3, (1 / 4,) * 4])
    assert bleu(hypotheses, references) == pytest.approx(tuple(expected), abs=1e-12)


def test_the_scores_are_plain_numbers_out_of_a_hundred():
    result = score(words("a b c d", "e f g h"), [words("a b c d"), words("e f g h")])
    assert result == pytest.approx(
        {"bleu1": 100, "bleu2": 100, "bleu3": 100, "bleu4": 100, "rouge_l": 100, "cider": 1000}
    )
    assert {type(value) for value in result.values()} == {float}


def test_what_cannot_be_scored():
    with pytest.raises(ValueError, match="2 captions for 1 images"):
        score([["a"], ["b"]], [[["a"]]])
    with pytest.raises(ValueError, match="no images to score"):
        score([], [])
    with pytest.raises(ValueError, match="image 1 has no reference"):
        score([["a"], ["b"]], [[["a"]], []])
    with pytest.raises(TypeError, match="image 0: expected lists of words, got a string"):
        score(["a dog"], [[["a"]]])
    with pytest.raises(TypeError, match="image 0: expected lists of words, got a string"):
        score([["a"]], [["a dog"]])


def test_fast_enough_for_a_thousand_images_and_for_a_reward():
    hypotheses, references = captions(random.Random(0), images=1000)
    score(hypotheses[:1], references[:1])  # imports NLTK
    start = time.process_time()
    score(hypotheses, references)
    assert time.process_time() - start < 5  # about 0.6 s
    scorer = CiderD(references)
    start = time.process_time()
    scorer.scores(hypotheses)
    assert time.process_time() - start < 1  # about 0.1 s
