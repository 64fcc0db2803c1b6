import pytest

from captioner.metrics.rouge import rouge_l


def words(*captions):
    return [caption.split() for caption in captions]


def test_by_hand():
    # "police the gunman" is common in order: P = 3/4, R = 3/5
    hypothesis, reference = words("police kill the gunman"), words("police ended then the gunman")
    precision, recall = 3 / 4, 3 / 5
    expected = (1 + 1.44) * precision * recall / (recall + 1.44 * precision)
    assert rouge_l(hypothesis, [reference]) == pytest.approx(expected)


def test_the_order_of_words_counts():
    assert rouge_l(words("a b c"), [words("c b a")]) == pytest.approx(1 / 3)


def test_precision_and_recall_may_come_from_different_references():
    # "a b c x": P = 3/4 in the longer reference, R = 1 in the shorter
    score = rouge_l(words("a b c x"), [words("a b c d e f", "a")])
    assert score == pytest.approx(2.44 * 0.75 * 1 / (1 + 1.44 * 0.75))


def test_the_mean_over_the_images():
    assert rouge_l(words("a b", "c"), [words("a b"), words("d")]) == pytest.approx(0.5)


def test_no_words_give_zero():
    assert rouge_l([[]], [words("a")]) == 0
    assert rouge_l(words("a"), [[[]]]) == 0
    assert rouge_l(words("a"), [[[], ["a"]]]) == pytest.approx(1)
