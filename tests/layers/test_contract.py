"""What every layer keeps to, whatever it computes; the cases are in conftest.py."""

import keras
import numpy as np
import tensorflow as tf


def loss_and_gradients(layer, case, inputs):
    """The output's distance from 1, and its gradient by each weight."""
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((tf.cast(case.run(layer, inputs), tf.float32) - 1) ** 2)
    return loss, [tf.convert_to_tensor(each) for each in tape.gradient(loss, layer.trainable_variables)]


def assert_one_step_lowers_the_loss(layer, case):
    before, gradients = loss_and_gradients(layer, case, case.inputs)
    for weight, gradient in zip(layer.trainable_variables, gradients, strict=True):
        assert np.abs(gradient).max() > 1e-9, weight.path
    keras.optimizers.SGD(0.1).apply(gradients, layer.trainable_variables)
    assert float(loss_and_gradients(layer, case, case.inputs)[0]) < float(before)


def test_configuration_round_trip(case, shake):
    layer = case.make("float32")
    shake(layer)
    twin = type(layer).from_config(layer.get_config())
    assert twin.get_config() == layer.get_config()
    assert case.arguments.items() <= layer.get_config().items()
    assert keras.saving.get_registered_name(type(layer)) == f"captioner>{type(layer).__name__}"
    config = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer)).get_config()
    assert config == layer.get_config()
    twin = case.make("float32")
    twin.set_weights(layer.get_weights())
    np.testing.assert_array_equal(case.run(twin, case.inputs), case.run(layer, case.inputs))


def test_shapes_and_weight_count(case):
    layer = case.make("float32")
    output = case.run(layer, case.inputs)
    assert tuple(output.shape) == case.shape
    assert keras.backend.standardize_dtype(output.dtype) == "float32"
    assert layer.count_params() == case.weights


def test_every_weight_gets_a_gradient_and_one_step_lowers_the_loss(case, shake):
    layer = case.make("float32")
    shake(layer)
    assert_one_step_lowers_the_loss(layer, case)


def test_with_and_without_xla(case, shake):
    layer = case.make("float32")
    shake(layer)
    loss, gradients = loss_and_gradients(layer, case, case.inputs)
    compiled = tf.function(lambda inputs: loss_and_gradients(layer, case, inputs), jit_compile=True, autograph=False)
    xla_loss, xla_gradients = compiled([tf.constant(each) for each in case.inputs])
    np.testing.assert_allclose(xla_loss, loss, rtol=1e-5)
    for weight, expected, found in zip(layer.trainable_variables, gradients, xla_gradients, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6, err_msg=weight.path)


def test_mixed_precision(case, shake):
    exact, mixed = case.make("float32"), case.make("mixed_bfloat16")
    shake(exact)
    mixed.set_weights(exact.get_weights())
    assert {keras.backend.standardize_dtype(weight.dtype) for weight in mixed.weights} == {"float32"}
    assert mixed.compute_dtype == "bfloat16"
    expected, found = (
        keras.ops.convert_to_numpy(case.run(layer, case.inputs)).astype(np.float32) for layer in (exact, mixed)
    )
    np.testing.assert_allclose(found, expected, atol=0.05)
    assert np.abs(found - expected).max() > 0
    assert_one_step_lowers_the_loss(mixed, case)
