import numpy as np
import pytest

from captioner.training.inputs.batches import CaptionBatches, caption_arrays


def rows_of(batches):
    """The row of every image, in the order of the batches."""
    return [row for batch in batches for row in batch["rows"].tolist()]


def test_tokens_targets_and_positions_by_hand():
    captions = [[[6, 2], [4, 5, 2]], [[4, 2]], [[5, 6, 7, 2]]]
    first, last = CaptionBatches(captions, batch_size=2, rows=[3, 0, 5]).in_order()

    assert (first["images"].tolist(), first["rows"].tolist()) == ([0, 1], [3, 0])
    # T is 3, the longest caption, rounded up to even, and that caption comes first; the second image has one of two
    np.testing.assert_array_equal(first["tokens"], [[[1, 4, 5, 0], [1, 6, 0, 0]], [[1, 4, 0, 0], [0, 0, 0, 0]]])
    np.testing.assert_array_equal(first["positions"], [0, 1, 2, 4, 5, 8, 9])
    np.testing.assert_array_equal(first["targets"], [4, 5, 2, 6, 2, 4, 2])
    # Where each word stands when the captions of its image are laid end to end as they came: [6 2 | 4 5 2], [4 2]
    np.testing.assert_array_equal(first["word_images"], [0, 0, 0, 0, 0, 1, 1])
    np.testing.assert_array_equal(first["word_places"], [2, 3, 4, 0, 1, 0, 1])

    assert (last["images"].tolist(), last["rows"].tolist()) == ([2], [5])
    np.testing.assert_array_equal(last["tokens"], [[[1, 5, 6, 7], [0, 0, 0, 0]]])
    np.testing.assert_array_equal(last["positions"], [0, 1, 2, 3])
    np.testing.assert_array_equal(last["targets"], [5, 6, 7, 2])
    assert {each.dtype for each in caption_arrays(last).values()} == {np.dtype(np.int32)}


def test_of_more_captions_the_first_are_measured_and_others_are_drawn_each_epoch():
    captions = [[[4, 2], [5, 2], [6, 2], [7, 2]]]
    batches = CaptionBatches(captions, batch_size=1, captions_per_image=2)
    (batch,) = batches.in_order()
    np.testing.assert_array_equal(batch["tokens"], [[[1, 4], [1, 5]]])

    drawn = []
    for epoch in range(20):
        (batch,) = batches.shuffled(seed=0, epoch=epoch)
        assert batch["tokens"].shape == (1, 2, 2)
        words = batch["targets"][batch["targets"] != 2]
        assert len(set(words)) == 2, "a caption twice in one epoch"
        drawn.append(tuple(sorted(words)))
    assert set(np.ravel(drawn)) == {4, 5, 6, 7}


def test_a_batch_has_as_many_images_as_it_must():
    batches = CaptionBatches([[[4, 2]], [[5, 2]], [[6, 2]]], batch_size=2, rows=[3, 0, 5], min_images=2)
    assert rows_of(batches.in_order()) == [3, 0, 5, 5]
    assert len(batches) == 2


def test_no_image_has_as_many_captions_as_are_asked_for():
    batches = CaptionBatches([[[4, 2]], [[5, 2], [6, 2]]], batch_size=2, captions_per_image=5)
    (batch,) = batches.in_order()
    assert batch["tokens"].shape == (2, 2, 2)


@pytest.fixture
def many():
    rng = np.random.default_rng(0)
    captions = [[[4] * length + [2] for length in rng.integers(1, 12, size=rng.integers(1, 4))] for _ in range(50)]
    return CaptionBatches(captions, batch_size=3, captions_per_image=2)


def test_an_epoch_follows_from_seed_and_number(many):
    once, again = list(many.shuffled(7, 1)), list(many.shuffled(7, 1))
    for batch, same in zip(once, again, strict=True):
        for name in batch:
            np.testing.assert_array_equal(batch[name], same[name])
    assert rows_of(once) != rows_of(list(many.shuffled(7, 2)))
    assert rows_of(once) != rows_of(list(many.shuffled(8, 1)))


def test_every_image_comes_once_an_epoch(many):
    for batches in (list(many.shuffled(0, 1)), list(many.shuffled(0, 2)), list(many.in_order())):
        assert sorted(rows_of(batches)) == list(range(50))
        assert len(batches) == len(many) == 17
    assert rows_of(list(many.in_order())) == list(range(50))


def test_lengths_are_even_and_no_longer_than_needed(many):
    for batch in many.shuffled(3, 4):
        tokens = batch["tokens"]
        assert tokens.shape[2] % 2 == 0
        assert tokens[:, :, -2].any(), "two columns of padding alone"


def test_images_of_like_length_go_together():
    captions = [[[4] * length + [2]] for length in (7, 1, 5, 3, 6, 2)]
    batches = CaptionBatches(captions, batch_size=2)
    lengths = sorted(batch["tokens"].shape[2] for batch in batches.shuffled(0, 1))
    assert lengths == [4, 6, 8]  # 2 and 3 words with their ends, 4 and 6, 7 and 8


def test_of_equally_long_captions_those_go_together_whose_next_are_of_like_length():
    captions = [[[4] * 5 + [2], [4] * length + [2]] for length in (4, 1, 4, 1, 4, 1)]
    for epoch in range(5):
        batches = CaptionBatches(captions, batch_size=3)
        words = sorted(len(batch["targets"]) for batch in batches.shuffled(0, epoch))
        assert words == [3 * (6 + 2), 3 * (6 + 5)]


def test_each_epoch_an_image_brings_one_of_its_views():
    batches = CaptionBatches([[[4, 2]], [[5, 2]]], batch_size=2, rows=[0, 3], views=3)
    assert rows_of(batches.in_order()) == [0, 3]  # the whole photo
    drawn = [sorted(rows_of(batches.shuffled(0, epoch))) for epoch in range(30)]
    assert {first for first, _ in drawn} == {0, 1, 2}
    assert {second for _, second in drawn} == {3, 4, 5}


def test_batches_are_prepared_in_order_with_their_numbers(many):
    numbered = list(many.shuffled(5, 1, lambda number, batch: {"number": number, "rows": batch["rows"]}))
    assert [batch["number"] for batch in numbered] == list(range(17))
    assert rows_of(numbered) == rows_of(many.shuffled(5, 1))
