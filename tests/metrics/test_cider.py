import math

import pytest

from captioner.metrics.cider import CiderD, DocumentFrequency, count_documents


def words(*captions):
    return [caption.split() for caption in captions]


def test_a_perfect_caption_of_words_of_its_own():
    # All four cosines are 1 and the lengths are equal
    assert CiderD([words("a b c d"), words("e f g h")]).scores(words("a b c d", "e f g h")).tolist() == pytest.approx(
        [10, 10]
    )


def test_by_hand():
    references = [words("dog runs"), words("cat sits")]
    # idf = ln 2 throughout. Of "dog sits", half the squared norm of the words is common: cosine 1/2, and 0 for
    # pairs; of "dog runs runs" the words weigh 1 and 2: (1 + min(2, 1)) / (sqrt 5 sqrt 2), its pairs
    # 1 / (sqrt 2 sqrt 1), and it is longer by one pair
    scorer = CiderD(references)
    assert scorer.score(0, ["dog", "sits"]) == pytest.approx(10 / 4 * 0.5)
    expected = 10 / 4 * (2 / math.sqrt(10) + 1 / math.sqrt(2)) * math.exp(-1 / 72)
    assert scorer.score(0, ["dog", "runs", "runs"]) == pytest.approx(expected)


def test_n_grams_of_all_images_weigh_nothing():
    references = [words("a dog"), words("a cat")]
    # "a" has idf ln(2/2) = 0: "a" alone scores nothing
    assert CiderD(references).score(0, ["a"]) == 0


def test_the_mean_over_the_references():
    scorer = CiderD([words("a b c d", "x y z w"), words("e f g h")])
    assert scorer.score(0, ["a", "b", "c", "d"]) == pytest.approx(5)


def test_documents_count_once_an_image():
    frequency = count_documents([words("a a b", "a"), words("a")])
    assert frequency.images == 2
    assert dict(frequency.counts) == {("a",): 2, ("b",): 1, ("a", "a"): 1, ("a", "b"): 1, ("a", "a", "b"): 1}


def test_frequencies_from_elsewhere():
    references = [words("a b")]
    assert CiderD(references).score(0, ["a", "b"]) == 0  # ln 1 = 0
    frequency = DocumentFrequency(100, {("a",): 100})
    # "a" weighs nothing, so that "a c" shares nothing with "a b"; orders 1 and 2 of "a b" agree with itself
    scorer = CiderD(references, frequency)
    assert scorer.score(0, ["a", "c"]) == 0
    assert scorer.score(0, ["a", "b"]) == pytest.approx(5)


def test_scores_are_those_of_each_image():
    scorer = CiderD([words("a b"), words("c d")])
    scores = scorer.scores(words("a b", "a d"))
    assert scores.tolist() == [scorer.score(0, ["a", "b"]), scorer.score(1, ["a", "d"])]
    assert scores.tolist() == pytest.approx([5, 10 / 4 * 0.5])


def test_what_cannot_be_scored():
    with pytest.raises(ValueError, match="1 captions for 2 images"):
        CiderD([words("a"), words("b")]).scores(words("a"))
    with pytest.raises(ValueError, match="every image needs at least one reference"):
        CiderD([words("a"), []])
