import keras
import numpy as np
import pytest

from captioner.training.loss import SmoothedCrossEntropy

LOGITS = np.array([[1.0, -2.0, 0.5, 3.0], [0.0, 0.0, 0.0, 0.0], [5.0, -5.0, 1.0, 2.0]], np.float32)
TARGETS = np.array([3, 1, 0], np.int32)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_equals_cross_entropy_with_a_smoothed_target(smoothing):
    log_probs = LOGITS - np.log(np.exp(LOGITS).sum(axis=1, keepdims=True))
    wanted = (1 - smoothing) * np.eye(4)[TARGETS] + smoothing / 4
    expected = -(wanted * log_probs).sum(axis=1)
    found = SmoothedCrossEntropy(smoothing, reduction=None)(TARGETS, LOGITS)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(found), expected, rtol=1e-6)


def test_a_guess_among_equals_costs_the_log_of_their_number():
    found = SmoothedCrossEntropy(0.3, reduction=None)(TARGETS[:1], np.zeros((1, 4), np.float32))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(found), [np.log(4)], rtol=1e-6)


def test_the_mean_is_the_loss_by_default():
    parts = keras.ops.convert_to_numpy(SmoothedCrossEntropy(0.1, reduction=None)(TARGETS, LOGITS))
    assert float(SmoothedCrossEntropy(0.1)(TARGETS, LOGITS)) == pytest.approx(parts.mean(), rel=1e-6)


def test_configuration_round_trip():
    loss = SmoothedCrossEntropy(0.2, 0.7)
    again = SmoothedCrossEntropy.from_config(loss.get_config())
    assert (again.label_smoothing, again.distillation) == (0.2, 0.7)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_gradient_is_that_of_automatic_differentiation(smoothing):
    import tensorflow as tf

    weights = tf.constant([1.0, -0.5, 2.0])  # of the words, as a reward may weigh them
    logits = tf.constant(LOGITS)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        ours = tf.reduce_sum(weights * SmoothedCrossEntropy(smoothing, reduction=None)(TARGETS, logits))
    with tf.GradientTape() as plain:
        plain.watch(logits)
        wanted = (1 - smoothing) * np.eye(4, dtype=np.float32)[TARGETS] + np.float32(smoothing / 4)
        theirs = -tf.reduce_sum(weights[:, None] * wanted * tf.nn.log_softmax(logits))
    expected = plain.gradient(theirs, logits)
    np.testing.assert_allclose(tape.gradient(ours, logits), expected, atol=1e-6)
    assert np.abs(expected).max() > 0.1


WORDS = np.array([[3, 0], [2, 3], [1, 2]], np.int32)  # the second and third teachers do not name the target
PROBABILITIES = np.array([[0.75, 0.25], [0.5, 0.5], [0.875, 0.125]], np.float16)
DENSE = np.array([[0.25, 0, 0, 0.75], [0, 0, 0.5, 0.5], [0, 0.875, 0.125, 0]])


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_teacher_takes_its_share_of_the_target(share):
    log_probs = LOGITS - np.log(np.exp(LOGITS).sum(axis=1, keepdims=True))
    wanted = (1 - share) * (0.9 * np.eye(4)[TARGETS] + 0.1 / 4) + share * DENSE
    found = SmoothedCrossEntropy(0.1, share, reduction=None)((TARGETS, WORDS, PROBABILITIES), LOGITS)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(found), -(wanted * log_probs).sum(axis=1), rtol=1e-6)


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_the_gradient_with_a_teacher_is_that_of_automatic_differentiation(share):
    import tensorflow as tf

    logits, weights = tf.constant(LOGITS), tf.constant([1.0, -0.5, 2.0])
    less = PROBABILITIES * np.float16(0.5)  # a teacher whose words are not all that it said
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = SmoothedCrossEntropy(0.1, share, reduction=None)((TARGETS, WORDS, less), logits)
        ours = tf.reduce_sum(weights * loss)
    with tf.GradientTape() as plain:
        plain.watch(logits)
        wanted = (1 - share) * (0.9 * np.eye(4)[TARGETS] + 0.1 / 4) + share * 0.5 * DENSE
        theirs = -tf.reduce_sum(weights[:, None] * wanted.astype(np.float32) * tf.nn.log_softmax(logits))
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    np.testing.assert_allclose(tape.gradient(ours, logits), plain.gradient(theirs, logits), atol=1e-6)
