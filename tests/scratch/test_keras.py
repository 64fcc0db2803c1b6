"""The oracle and the Keras cell: same weights, same outputs, same gradients, same training."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from captioner.layers.cells import RNNCell
from captioner.scratch.hello import INPUTS, LETTERS, TARGETS, Hello, train
from captioner.scratch.optimizers import SGD, Adagrad
from captioner.scratch.rnn_layer import RNN
from captioner.scratch.time_rnn import TimeRNN

N, T, D, H = 3, 6, 5, 4


@pytest.fixture
def params(rng) -> list[np.ndarray]:
    return [0.5 * rng.normal(size=(D, H)), 0.5 * rng.normal(size=(H, H)), rng.normal(size=H)]


def assert_equal(ours, theirs) -> None:
    for one, other in zip(ours, theirs, strict=True):
        assert other.dtype == np.float64
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


def test_one_step_of_the_cell(params, rng):
    x, h_prev, dh_next = (tf.constant(rng.normal(size=shape)) for shape in [(N, D), (N, H), (N, H)])
    cell = RNNCell(H, dtype="float64")
    cell.build((N, D))
    cell.set_weights(params)
    with tf.GradientTape() as tape:
        tape.watch([x, h_prev])
        output, (state,) = cell(x, [h_prev])
    theirs = tape.gradient(output, [x, h_prev, *cell.trainable_variables], output_gradients=dh_next)

    ours = RNN(*params)
    h_next = ours.forward(x.numpy(), h_prev.numpy())
    assert_equal([h_next, h_next], [output.numpy(), state.numpy()])
    assert_equal([*ours.backward(dh_next.numpy()), *ours.grads], [each.numpy() for each in theirs])


def test_a_window_of_steps_from_a_carried_state(params, rng):
    xs, h, dhs = (tf.constant(rng.normal(size=shape)) for shape in [(N, T, D), (N, H), (N, T, H)])
    layer = keras.layers.RNN(RNNCell(H, dtype="float64"), return_sequences=True, dtype="float64")
    layer.build((N, T, D))
    layer.set_weights(params)
    with tf.GradientTape() as tape:
        tape.watch([xs, h])
        outputs = layer(xs, initial_state=[h])
    theirs = tape.gradient(outputs, [xs, h, *layer.trainable_variables], output_gradients=dhs)

    ours = TimeRNN(*params)
    ours.h = h.numpy()
    assert_equal([ours.forward(xs.numpy())], [outputs.numpy()])
    dxs = ours.backward(dhs.numpy())
    assert_equal([dxs, ours.dh, *ours.grads], [each.numpy() for each in theirs])


@pytest.mark.parametrize(
    ("ours", "theirs", "max_norm"),
    [
        (lambda: SGD(0.5), lambda: keras.optimizers.SGD(0.5), np.inf),
        (lambda: SGD(0.5), lambda: keras.optimizers.SGD(0.5, global_clipnorm=0.25), 0.25),
        (
            lambda: Adagrad(0.25),
            lambda: keras.optimizers.Adagrad(0.25, initial_accumulator_value=0.0, epsilon=1e-8),
            np.inf,
        ),
    ],
    ids=["sgd", "sgd-clipped", "adagrad"],
)
def test_hello_has_the_same_loss_curve(ours, theirs, max_norm):
    model = Hello(seed=0)
    network = keras.Sequential(
        [
            keras.Input((4, len(LETTERS)), dtype="float64"),
            keras.layers.RNN(RNNCell(3, dtype="float64"), return_sequences=True, unroll=True, dtype="float64"),
            keras.layers.Dense(len(LETTERS), dtype="float64"),
        ]
    )
    network.set_weights(model.params)
    optimizer = theirs()
    optimizer.build(network.trainable_variables)

    @tf.function
    def step() -> tf.Tensor:
        with tf.GradientTape() as tape:
            scores = network(INPUTS)
            loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(TARGETS, scores, from_logits=True))
        optimizer.apply(tape.gradient(loss, network.trainable_variables))
        return loss

    curve = train(model, ours(), steps=300, max_norm=max_norm)
    np.testing.assert_allclose([float(step()) for _ in curve], curve, rtol=0, atol=1e-6)
    probabilities = keras.ops.softmax(network(INPUTS)).numpy()
    np.testing.assert_allclose(probabilities, model.probabilities(INPUTS), rtol=0, atol=1e-6)
    assert (probabilities[0, range(4), TARGETS[0]] > 0.95).all()
