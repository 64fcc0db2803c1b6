import keras
import numpy as np
import pytest
import tensorflow as tf

from captioner.models.captioner import CaptionModel
from captioner.training.loss import SmoothedCrossEntropy

CELLS = ["rnn", "gru", "lstm"]
B, K, T = 3, 2, 4
WORDS = np.flatnonzero([True] * 4 + [True, False, True, True] * 5)  # positions of words, none at some


@pytest.fixture
def tokens():
    return np.random.default_rng(13).integers(10, size=(B, K, T)).astype(np.int32)


@pytest.fixture
def targets():
    return np.random.default_rng(14).integers(10, size=B * K * T).astype(np.int32)


def to_numpy(value):
    return keras.ops.convert_to_numpy(tf.convert_to_tensor(value))


def loss_of(network, inputs, targets):
    loss = SmoothedCrossEntropy(0.1, dtype=network.compute_dtype)
    logits = network(inputs)
    return loss(targets, tf.reshape(logits, (-1, logits.shape[-1])))


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_equal_finite_differences(network, features, tokens, targets, cell):
    """Central differences in float64, at up to 5 numbers of every weight; cs231n asks for 5e-6 of a whole captioner."""
    model = network(cell, dtype="float64")
    inputs = {"features": tf.constant(features, tf.float64), "tokens": tf.constant(tokens)}

    @tf.function
    def loss():
        return loss_of(model, inputs, targets)

    @tf.function
    def gradients():
        with tf.GradientTape() as tape:
            value = loss_of(model, inputs, targets)
        return [tf.convert_to_tensor(each) for each in tape.gradient(value, model.trainable_variables)]

    draw, step, checked = np.random.default_rng(15), 1e-5, 0
    for variable, gradient in zip(model.trainable_variables, gradients(), strict=True):
        values, gradient = to_numpy(variable).copy(), to_numpy(gradient)
        steepest = np.argmax(np.abs(gradient))  # a gradient of 0 equals any difference of 0
        indices = {int(steepest), *draw.integers(values.size, size=4).tolist()}
        for index in sorted(indices):
            ends = []
            for sign in (1, -1):
                moved = values.copy()
                moved.flat[index] += sign * step
                variable.assign(moved)
                ends.append(float(loss()))
            numeric, analytic = (ends[0] - ends[1]) / (2 * step), gradient.flat[index]
            assert abs(numeric - analytic) <= 5e-6 * abs(analytic) + 1e-10, (variable.path, index)
            checked += abs(analytic) > 1e-6
        variable.assign(values)
        assert np.abs(gradient).max() > 1e-5, variable.path
    assert checked >= 2 * len(model.trainable_variables)


def test_positions_give_the_logits_and_gradients_of_those_places(network, features, tokens, targets):
    model = network()
    inputs = {"features": features, "tokens": tokens}

    def run(chosen):
        loss = SmoothedCrossEntropy(0.1)
        with tf.GradientTape() as tape:
            if chosen:
                logits = model({**inputs, "positions": WORDS.astype(np.int32)})
            else:
                logits = tf.gather(tf.reshape(model(inputs), (B * K * T, -1)), WORDS)
            value = loss(targets[WORDS], logits)
        return logits, [tf.convert_to_tensor(each) for each in tape.gradient(value, model.trainable_variables)]

    logits, gradients = run(chosen=True)
    all_logits, all_gradients = run(chosen=False)
    assert 0 < len(WORDS) < B * K * T
    assert tuple(logits.shape) == (len(WORDS), 10)
    np.testing.assert_allclose(logits, all_logits, atol=1e-6)
    for one, other in zip(gradients, all_gradients, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_padding_changes_neither_loss_nor_gradient(network, features, tokens, targets, cell):
    model = network(cell)

    def run(length):
        padded = np.zeros((B, K, length), np.int32)
        padded[:, :, :T] = tokens
        positions = np.flatnonzero(np.broadcast_to(np.arange(length) < T, padded.shape)).astype(np.int32)
        with tf.GradientTape() as tape:
            value = loss_of(model, {"features": features, "tokens": padded, "positions": positions}, targets)
        return value, [tf.convert_to_tensor(each) for each in tape.gradient(value, model.trainable_variables)]

    loss, gradients = run(T)
    padded_loss, padded_gradients = run(T + 2)
    np.testing.assert_allclose(padded_loss, loss, rtol=1e-6)
    for one, other in zip(padded_gradients, gradients, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_logits_by_layout(network, features, tokens):
    model = network()
    logits = model({"features": features, "tokens": tokens})
    assert tuple(logits.shape) == (B, K, T, 10)
    positions = np.int32([0, T, K * T, B * K * T - 1])
    np.testing.assert_allclose(
        model({"features": features, "tokens": tokens, "positions": positions}),
        np.stack([logits[0, 0, 0], logits[0, 1, 0], logits[1, 0, 0], logits[2, 1, 3]]),
        atol=1e-6,
    )


def test_loss_by_hand():
    logits = np.log(np.float32([[0.5, 0.25, 0.25], [0.125, 0.125, 0.75]]))
    plain = SmoothedCrossEntropy(0.0, reduction=None)(np.int32([0, 1]), logits)
    np.testing.assert_allclose(plain, [np.log(2), np.log(8)], rtol=1e-6)
    smoothed = SmoothedCrossEntropy(0.3, reduction=None)(np.int32([0, 1]), logits)
    expected = [0.7 * np.log(2) + 0.3 * np.log(2 * 4 * 4) / 3, 0.7 * np.log(8) + 0.3 * np.log(8 * 8 * 4 / 3) / 3]
    np.testing.assert_allclose(smoothed, expected, rtol=1e-6)


def test_a_new_model_says_words_as_often_as_the_captions(network, features, tokens):
    model = network()
    model.decoder.output_projection.kernel.assign(np.zeros((5, 10)))
    counts = np.float64([0, 0, 9, 1, 5, 4, 3, 2, 1, 0])
    model.set_word_frequencies(counts)
    probabilities = keras.ops.softmax(model({"features": features, "tokens": tokens}))
    np.testing.assert_allclose(probabilities[0, 0, 0], (counts + 1) / 35, rtol=1e-5)


def test_reseeding_repeats_dropout(network, features, tokens):
    model = network(dropout=0.5)

    def run(seed, epoch):
        model.reseed(seed, epoch)
        return [to_numpy(model({"features": features, "tokens": tokens}, training=True)) for _ in range(2)]

    first = run(1, 1)
    np.testing.assert_array_equal(first, run(1, 1))
    assert np.abs(first[0] - first[1]).max() > 0.01
    for other in ((1, 2), (2, 1)):
        assert np.abs(first[0] - run(*other)[0]).max() > 0.01


@pytest.mark.parametrize("cell", CELLS)
def test_a_step_equals_teacher_forcing(network, features, tokens, cell):
    model = network(cell)
    expected = keras.ops.log_softmax(model({"features": features, "tokens": tokens}))
    step, states = model.start(features)
    assert all(state.shape == (B, 1, 8) and isinstance(state, np.ndarray) for state in states)
    states = [np.repeat(state, K, axis=1) for state in states]
    for t in range(T):
        log_probs, states, attention = step(tokens[:, :, t], states)
        np.testing.assert_allclose(log_probs, expected[:, :, t], atol=2e-6)
        assert attention.shape == (B, K, 4)
        np.testing.assert_allclose(attention.sum(axis=-1), 1, atol=1e-6)
        assert all(isinstance(array, np.ndarray) for array in (log_probs, attention, *states))
    assert len(states) == (2 if cell == "lstm" else 1)


def test_float16_features_are_read_as_they_are(network, features, tokens):
    model = network()
    stored = features.astype(np.float16)
    np.testing.assert_array_equal(
        model({"features": stored, "tokens": tokens}),
        model({"features": stored.astype(np.float32), "tokens": tokens}),
    )


def test_a_step_in_mixed_precision(network, features, tokens):
    model = network("gru", dtype="mixed_bfloat16")
    step, states = model.start(features)
    log_probs, _, _ = step(tokens[:, :1, 0], states)
    expected = keras.ops.log_softmax(model({"features": features, "tokens": tokens}))[:, :1, 0]
    np.testing.assert_allclose(log_probs, expected, atol=0.05)


def test_configuration_round_trip(network):
    model = network("lstm", dropout=0.25)
    twin = CaptionModel.from_config(model.get_config())
    assert twin.config == model.config
    assert [weight.shape for weight in twin.weights] == [weight.shape for weight in model.weights]


def test_logits_are_adjusted_by_the_frequency_of_words_alone(network, features, tokens):
    model = network("rnn")
    inputs = {"features": features, "tokens": tokens}
    before = to_numpy(model(inputs))
    counts = np.array([0, 0, 50, 5, 99, 9, 9, 0, 0, 0])
    model.adjust_logits(counts, 0.5)
    moved = to_numpy(model(inputs)) - before
    np.testing.assert_allclose(moved[..., :4], 0, atol=1e-6)  # <end> too
    np.testing.assert_allclose(moved[..., 5] - moved[..., 4], 0.5 * np.log(100 / 10), rtol=1e-4)
    np.testing.assert_allclose(moved[..., 9] - moved[..., 5], 0.5 * np.log(10 / 1), rtol=1e-4)
    share = (counts + 1)[4:] / (counts + 1)[4:].sum()
    np.testing.assert_allclose(moved[..., 4:] @ share, 0, atol=1e-5)
