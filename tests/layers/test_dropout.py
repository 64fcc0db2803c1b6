import keras
import numpy as np
import pytest

from captioner.layers.dropout import ByteDropout, epoch_seed


def dropped(rate, shape=(40, 50, 36), training=True, dtype="float32", seed=3):
    layer = ByteDropout(rate, seed=seed, dtype=dtype)
    return keras.ops.convert_to_numpy(keras.ops.cast(layer(np.ones(shape, np.float32), training=training), "float32"))


@pytest.mark.parametrize("rate", [0.1, 0.4, 0.5, 0.95])
def test_the_share_that_is_dropped_and_the_scale_of_the_rest(rate):
    found = dropped(rate)
    quantised = round(rate * 256) / 256
    spread = np.sqrt(quantised * (1 - quantised) / found.size)
    assert abs((found == 0).mean() - quantised) < 5 * spread
    np.testing.assert_allclose(found[found != 0], 1 / (1 - quantised), rtol=1e-6)
    assert abs(found.mean() - 1) < 5 * spread / (1 - quantised)


def test_neighbours_are_dropped_independently():
    gone = dropped(0.5, (400, 64)) == 0
    for shift in range(1, 9):  # the four numbers that share 32 random bits, and farther ones
        together = (gone[:, shift:] == gone[:, :-shift]).mean()
        assert abs(together - 0.5) < 5 * 0.5 / np.sqrt(gone[:, shift:].size)


def test_each_call_drops_others_and_a_seed_repeats_them():
    layer = ByteDropout(0.5, seed=3)
    ones = np.ones((40, 50, 36), np.float32)
    first, second = (keras.ops.convert_to_numpy(layer(ones, training=True)) for _ in range(2))
    assert (first != second).mean() > 0.4
    np.testing.assert_array_equal(first, dropped(0.5))


@pytest.mark.parametrize("width", [1, 2, 3, 5, 7])
def test_widths_that_are_no_multiples_of_four(width):
    assert dropped(0.5, (300, width)).shape == (300, width)
    assert 0.35 < (dropped(0.5, (300, width)) == 0).mean() < 0.65


def test_nothing_is_dropped_outside_training_or_at_rate_0():
    for found in (dropped(0.5, training=False), dropped(0.0)):
        np.testing.assert_array_equal(found, 1)


def test_half_precision_and_configuration():
    found = dropped(0.5, dtype="mixed_bfloat16")
    assert set(np.unique(found)) == {0.0, 2.0}
    layer = ByteDropout(0.3, seed=7)
    assert ByteDropout.from_config(layer.get_config()).rate == 0.3


def test_the_gradient_goes_where_numbers_stayed():
    import tensorflow as tf

    layer, ones = ByteDropout(0.5, seed=3), tf.ones((20, 8))
    with tf.GradientTape() as tape:
        tape.watch(ones)
        found = layer(ones, training=True)
        total = tf.reduce_sum(found)
    np.testing.assert_array_equal(tape.gradient(total, ones), found)


def test_no_epoch_comes_to_the_seeds_of_another():
    states = [epoch_seed(seed, epoch).tolist() for seed in range(3) for epoch in range(100)]
    assert len({first for first, _ in states}) == 300  # Keras counts up the second number alone
    assert states[7] == epoch_seed(0, 7).tolist()
