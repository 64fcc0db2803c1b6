import numpy as np
import pytest

from captioner.data.feature_parts import FeatureParts
from captioner.training.batches import CaptionBatches

FEATURES = np.arange(6, dtype=np.float16)[:, None, None] * np.ones((6, 2, 3), np.float16)  # row n is full of n


def images_of(batches):
    """The row of every image, in the order of the batches."""
    return [int(row) for inputs, _ in batches for row in inputs["features"][:, 0, 0]]


def test_tokens_targets_and_positions_by_hand():
    captions = [[[6, 2], [4, 5, 2]], [[4, 2]], [[5, 6, 7, 2]]]
    batches = CaptionBatches(FEATURES, [3, 0, 5], captions, batch_size=2)
    first, last = list(batches.in_order())

    inputs, targets = first
    assert inputs["features"].dtype == np.float16
    np.testing.assert_array_equal(inputs["features"], FEATURES[[3, 0]])
    # T is 3, the longest caption, rounded up to even, and that caption comes first; the second image has one of two
    np.testing.assert_array_equal(inputs["tokens"], [[[1, 4, 5, 0], [1, 6, 0, 0]], [[1, 4, 0, 0], [0, 0, 0, 0]]])
    np.testing.assert_array_equal(inputs["positions"], [0, 1, 2, 4, 5, 8, 9])
    np.testing.assert_array_equal(targets, [4, 5, 2, 6, 2, 4, 2])

    inputs, targets = last
    np.testing.assert_array_equal(inputs["features"], FEATURES[[5]])
    np.testing.assert_array_equal(inputs["tokens"], [[[1, 5, 6, 7], [0, 0, 0, 0]]])
    np.testing.assert_array_equal(inputs["positions"], [0, 1, 2, 3])
    np.testing.assert_array_equal(targets, [5, 6, 7, 2])
    assert {inputs["tokens"].dtype, inputs["positions"].dtype, targets.dtype} == {np.dtype(np.int32)}


def test_of_more_captions_the_first_are_measured_and_others_are_drawn_each_epoch():
    captions = [[[4, 2], [5, 2], [6, 2], [7, 2]]]
    batches = CaptionBatches(FEATURES, [0], captions, batch_size=1, captions_per_image=2)
    ((inputs, _),) = list(batches.in_order())
    np.testing.assert_array_equal(inputs["tokens"], [[[1, 4], [1, 5]]])

    drawn = []
    for epoch in range(20):
        ((inputs, targets),) = list(batches.shuffled(seed=0, epoch=epoch))
        assert inputs["tokens"].shape == (1, 2, 2)
        words = targets[targets != 2]
        assert len(set(words)) == 2, "a caption twice in one epoch"
        drawn.append(tuple(sorted(words)))
    assert set(np.ravel(drawn)) == {4, 5, 6, 7}


def test_a_batch_has_as_many_images_as_it_must():
    batches = CaptionBatches(FEATURES, [3, 0, 5], [[[4, 2]], [[5, 2]], [[6, 2]]], batch_size=2, least=2)
    assert images_of(batches.in_order()) == [3, 0, 5, 5]
    assert len(batches) == 2


def test_no_image_has_as_many_captions_as_are_asked_for():
    batches = CaptionBatches(FEATURES, [0, 1], [[[4, 2]], [[5, 2], [6, 2]]], batch_size=2, captions_per_image=5)
    ((inputs, _),) = list(batches.in_order())
    assert inputs["tokens"].shape == (2, 2, 2)


@pytest.fixture
def many():
    rng = np.random.default_rng(0)
    features = np.arange(50, dtype=np.float16)[:, None, None] * np.ones((50, 1, 1), np.float16)
    captions = [[[4] * length + [2] for length in rng.integers(1, 12, size=rng.integers(1, 4))] for _ in range(50)]
    return CaptionBatches(features, range(50), captions, batch_size=3, captions_per_image=2)


def test_an_epoch_follows_from_seed_and_number(many):
    once, again = list(many.shuffled(7, 1)), list(many.shuffled(7, 1))
    for (inputs, targets), (same_inputs, same_targets) in zip(once, again, strict=True):
        np.testing.assert_array_equal(targets, same_targets)
        for name in inputs:
            np.testing.assert_array_equal(inputs[name], same_inputs[name])
    assert images_of(once) != images_of(list(many.shuffled(7, 2)))
    assert images_of(once) != images_of(list(many.shuffled(8, 1)))


def test_every_image_comes_once_an_epoch(many):
    for batches in (list(many.shuffled(0, 1)), list(many.shuffled(0, 2)), list(many.in_order())):
        assert sorted(images_of(batches)) == list(range(50))
        assert len(batches) == len(many) == 17
    assert images_of(list(many.in_order())) == list(range(50))


def test_lengths_are_even_and_no_longer_than_needed(many):
    for inputs, _ in list(many.shuffled(3, 4)):
        tokens = inputs["tokens"]
        assert tokens.shape[2] % 2 == 0
        assert tokens[:, :, -2].any(), "two columns of padding alone"


def test_images_of_like_length_go_together():
    captions = [[[4] * length + [2]] for length in (7, 1, 5, 3, 6, 2)]
    batches = CaptionBatches(FEATURES, range(6), captions, batch_size=2)
    lengths = sorted(inputs["tokens"].shape[2] for inputs, _ in list(batches.shuffled(0, 1)))
    assert lengths == [4, 6, 8]  # 2 and 3 words with their ends, 4 and 6, 7 and 8


def test_of_equally_long_captions_those_go_together_whose_next_are_of_like_length():
    captions = [[[4] * 5 + [2], [4] * length + [2]] for length in (4, 1, 4, 1, 4, 1)]
    for epoch in range(5):
        batches = CaptionBatches(FEATURES, range(6), captions, batch_size=3)
        words = sorted(len(targets) for _, targets in list(batches.shuffled(0, epoch)))
        assert words == [3 * (6 + 2), 3 * (6 + 5)]


def test_each_epoch_an_image_brings_one_of_its_views():
    batches = CaptionBatches(FEATURES, [0, 3], [[[4, 2]], [[5, 2]]], batch_size=2, views=3)
    assert images_of(batches.in_order()) == [0, 3]  # the whole photo
    drawn = [sorted(images_of(batches.shuffled(0, epoch))) for epoch in range(30)]
    assert {first for first, _ in drawn} == {0, 1, 2}
    assert {second for _, second in drawn} == {3, 4, 5}


def test_features_in_parts_give_the_batches_of_an_array(write_part, tmp_path):
    for number in range(3):
        write_part(tmp_path / "parts", {f"{row}.jpg": FEATURES[row] for row in (2 * number, 2 * number + 1)}, number)
    captions = [[[4, 2]]] * 6
    epochs = [
        CaptionBatches(features, range(6), captions, batch_size=4).shuffled(seed=1, epoch=2)
        for features in (FEATURES, FeatureParts(tmp_path / "parts"))
    ]
    for (expected, _), (found, _) in zip(*epochs, strict=True):
        np.testing.assert_array_equal(found["features"], expected["features"])
