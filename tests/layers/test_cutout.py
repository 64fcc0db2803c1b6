import keras
import numpy as np
import pytest

from captioner.layers.cutout import Cutout


def blanked(share, rows=6, count=2000, training=True, dtype="float32"):
    layer = Cutout(share, seed=3, dtype=dtype)
    found = layer(np.ones((count, rows * rows, 2), np.float32), training=training)
    found = keras.ops.convert_to_numpy(keras.ops.cast(found, "float32"))
    assert (found[..., 0] == found[..., 1]).all()  # all channels of a place
    return found[..., 0].reshape(count, rows, rows) == 0


def test_a_square_is_blanked_wherever_its_middle_lies():
    seen = set()
    for grid in blanked(0.5):
        rows, columns = np.flatnonzero(grid.any(axis=1)), np.flatnonzero(grid.any(axis=0))
        assert grid.sum() == len(rows) * len(columns)  # nothing but a rectangle
        seen.add((tuple(rows), tuple(columns)))
    # Sides of 0 and of 1 to 3 places: 2 at most to each side of the middle, and less where the edge cuts.
    spans = {1: {(n,) for n in range(6)}, 3: {tuple(range(max(0, n - 1), min(6, n + 2))) for n in range(6)}}
    squares = {((), ())} | {(rows, columns) for span in spans.values() for rows in span for columns in span}
    assert seen == squares


def test_the_mean_share_that_is_blanked():
    # A row is blank if its distance to the middle is under half the side: 0, 1, 1, 3 rows for sides of 0 to 3, of which
    # the edge leaves 1, 1 and 16/6 in the mean over six middles.
    expected = (0 + 1 + 1 + (16 / 6) ** 2) / 4 / 36
    assert blanked(0.5, count=20_000).mean() == pytest.approx(expected, rel=0.03)


def test_nothing_is_blanked_outside_training_or_of_no_share():
    assert not blanked(1.0, training=False).any()
    assert not blanked(0.0).any()
    assert not blanked(0.08).any()  # under half a place


def test_half_precision_and_configuration():
    np.testing.assert_array_equal(blanked(0.5, dtype="mixed_bfloat16"), blanked(0.5))
    layer = Cutout(0.3, seed=7)
    assert Cutout.from_config(layer.get_config()).get_config() == layer.get_config()
    assert not layer.weights


def test_a_part_that_is_blank_has_no_gradient():
    import tensorflow as tf

    layer, grid = Cutout(1.0, seed=3), tf.ones((20, 16, 3))
    with tf.GradientTape() as tape:
        tape.watch(grid)
        found = layer(grid, training=True)
        total = tf.reduce_sum(found)
    np.testing.assert_array_equal(tape.gradient(total, grid), found)
    assert 0 < tf.reduce_mean(found) < 1
