import math

import pytest

from captioner.metrics.bleu import bleu


def words(*captions):
    return [caption.split() for caption in captions]


def test_a_perfect_caption():
    assert bleu(words("a dog runs fast"), [words("a dog runs fast", "a cat")]) == pytest.approx((1, 1, 1, 1))


def test_clipping_by_the_reference_that_has_most():
    # The example of Papineni et al. 2002: "the" occurs at most twice in a reference, so 2 of 7 count
    hypothesis = words("the the the the the the the")
    references = [words("the cat is on the mat", "there is a cat on the mat")]
    assert bleu(hypothesis, references) == pytest.approx((2 / 7, 0, 0, 0))


def test_precisions_are_summed_over_the_images_before_they_are_divided():
    hypotheses = words("a dog runs", "a cat")
    references = [words("a dog sits"), words("the cat")]
    # 2 of 3 and 1 of 2 words: 3 of 5; 1 of 2 and 0 of 1 pairs: 1 of 3
    assert bleu(hypotheses, references) == pytest.approx((3 / 5, math.sqrt(3 / 5 * 1 / 3), 0, 0))


def test_brevity_by_the_closest_reference_and_the_shorter_of_two_as_close():
    # Lengths 2 and 6 are as far from 4: the shorter counts, and there is no penalty
    assert bleu(words("a b c d"), [words("a b", "a b c d e f")]) == pytest.approx((1, 1, 1, 1))
    assert bleu(words("a b c d"), [words("a b c d e f")]) == pytest.approx([math.exp(1 - 6 / 4)] * 4)


def test_what_is_too_short_for_an_n_gram_counts_for_none():
    hypotheses = words("a dog runs fast", "a")
    references = [words("a dog runs fast"), words("a")]
    assert bleu(hypotheses, references) == pytest.approx((1, 1, 1, 1))


def test_no_words_and_nothing_in_common_give_zero_without_a_warning():
    assert bleu([[]], [words("a dog")]) == (0, 0, 0, 0)
    assert bleu(words("one two three four five"), [words("a dog")]) == (0, 0, 0, 0)


def test_captions_and_images_must_be_as_many():
    with pytest.raises(ValueError, match="shorter"):
        bleu(words("a", "b"), [words("a")])
