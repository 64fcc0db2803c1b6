"""`CaptionModel` in the hands of somebody who has Keras alone in mind: `fit`, `summary`, `.keras` files."""

import keras
import numpy as np
import pytest
import tensorflow as tf

B, K, T, L, D, V = 3, 2, 4, 4, 6, 10


@pytest.fixture
def tokens():
    return np.random.default_rng(13).integers(1, V, size=(B, K, T)).astype(np.int32)


def compiled(model, **options):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0)
    model.compile(keras.optimizers.Adam(0.05), loss, **options)
    return model


def batches(features, tokens, lengths):
    """Batches of sentences that share their first words, each as long as `lengths` says."""
    signature = {"features": tf.TensorSpec((None, *features.shape[1:])), "tokens": _unknown(tokens)}

    def make():
        for length in lengths:
            part = tokens[..., :length]
            yield {"features": features, "tokens": part}, np.roll(part, -1, axis=-1)

    return tf.data.Dataset.from_generator(make, output_signature=(signature, _unknown(tokens)))


def _unknown(tokens):
    return tf.TensorSpec((None,) * tokens.ndim, tf.int32)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_an_unknown_length_gives_what_a_known_one_gives(network, features, tokens, cell, policy):
    model = network(cell, dtype=policy)
    call = tf.function(
        lambda features, tokens: model({"features": features, "tokens": tokens}),
        input_signature=[tf.TensorSpec((None, L, D)), _unknown(tokens)],
        autograph=False,
    )
    expected = model({"features": features, "tokens": tokens})
    found = call(features, tokens)
    np.testing.assert_allclose(found, expected, atol=1e-5 if policy == "float32" else 0.05)


@pytest.mark.parametrize("one", [True, False])
def test_fit_on_batches_of_unknown_length(network, features, tokens, one):
    model, tokens = compiled(network()), tokens[:, 0] if one else tokens
    history = model.fit(
        batches(features, tokens, (2, 4, 3) * 2).repeat(), epochs=4, steps_per_epoch=6, shuffle=False, verbose=0
    )
    assert history.history["loss"][-1] < 0.8 * history.history["loss"][0]


def test_the_gradients_of_the_loop_are_those_of_the_steps(network, features, tokens):
    model = network("lstm")

    def gradients(tokens):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model({"features": features, "tokens": tokens}) ** 2)
        return [tf.convert_to_tensor(each) for each in tape.gradient(loss, model.trainable_variables)]

    loop = tf.function(gradients, input_signature=[_unknown(tokens)], autograph=False)
    for expected, found in zip(gradients(tf.constant(tokens)), loop(tokens), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_one_sentence_an_image_equals_the_first_of_several(network, features, tokens):
    model = network()
    several = model({"features": features, "tokens": tokens})
    alone = model({"features": features, "tokens": tokens[:, 0]})
    assert alone.shape == (B, T, V)
    np.testing.assert_allclose(alone, several[:, 0], atol=1e-6)


def test_fit_under_xla_where_the_length_is_known(network, features, tokens):
    model = compiled(network(), jit_compile=True)
    inputs = {"features": features, "tokens": tokens}
    loss = model.fit(inputs, tokens, epochs=3, verbose=0).history["loss"]
    assert loss[-1] < loss[0]


def test_callbacks_and_the_file_they_write(network, features, tokens, tmp_path):
    model = compiled(network("gru", dropout=0.2))
    data = batches(features, tokens[:, 0], (3, 4)).apply(tf.data.experimental.assert_cardinality(2))
    path = tmp_path / "best.keras"
    callbacks = [
        keras.callbacks.ModelCheckpoint(path, monitor="val_loss", save_best_only=True),
        keras.callbacks.EarlyStopping("val_loss", patience=1, min_delta=1e9),
    ]
    history = model.fit(data, validation_data=data, epochs=5, callbacks=callbacks, shuffle=False, verbose=0)
    assert len(history.history["loss"]) == 2  # the second is no better by a billion
    twin = keras.saving.load_model(path)
    assert twin.config == model.config
    assert twin.evaluate(data, verbose=0) == pytest.approx(min(history.history["val_loss"]), rel=1e-5)


def test_summary_shows_the_parts(network):
    lines: list[str] = []
    model = network("lstm")
    model.summary(print_fn=lambda line, **_: lines.append(line), line_length=120)
    text = "\n".join(lines)
    assert "?" not in text
    for part in ("place", "attention (BahdanauAttention)", "cell (LSTMCell)", "output_projection"):
        assert part in text
    assert f"{model.count_params():,}" in text
    assert sum(layer.count_params() for layer in model.layers) == model.count_params()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokens": None}, "inputs: expected a dictionary with `features` and `tokens`"),
        ({"features": np.zeros((L, D), np.float32)}, r"features: expected shape \(B, L, 6\), found \(4, 6\)"),
        ({"features": np.zeros((B, L, 5), np.float32)}, r"features: expected shape \(B, L, 6\), found \(3, 4, 5\)"),
        ({"features": np.zeros((B, L, D), np.int32)}, "features: expected numbers of type float, found int32"),
        ({"tokens": np.zeros(T, np.int32)}, r"tokens: expected shape \(B, T\) or \(B, K, T\), found \(4,\)"),
        ({"tokens": np.zeros((B, T), np.float32)}, "tokens: expected numbers of type int, found float32"),
    ],
)
def test_wrong_inputs_are_named(network, features, tokens, change, message):
    inputs = {"features": features, "tokens": tokens, **change}
    inputs = {name: each for name, each in inputs.items() if each is not None}
    with pytest.raises(ValueError, match=message):
        network()({name: tf.constant(each) for name, each in inputs.items()})
