import keras
import numpy as np
import pytest

from captioner.layers.decoder import Decoder, TokenEmbeddings

B, K, L, T, D, E, A, U, V = 2, 3, 4, 5, 6, 5, 7, 8, 9


@pytest.fixture(params=["rnn", "gru", "lstm"])
def decoder(request, shake):
    return make(request.param, shake)


def make(cell, shake, **more):
    decoder = Decoder(cell, U, E, A, V, **more)
    decoder.build((None, L, D))
    shake(decoder)
    return decoder


@pytest.fixture
def features():
    return np.random.default_rng(9).normal(size=(B, L, D)).astype(np.float32)


@pytest.fixture
def tokens():
    return np.random.default_rng(10).integers(V, size=(B, K, T)).astype(np.int32)


def assert_close(one, other):
    np.testing.assert_allclose(one, other, atol=2e-6)


def test_teacher_forcing_equals_step_by_step(decoder, features, tokens):
    whole = decoder(features, tokens)
    memory = decoder.memory(features)
    states = [np.repeat(state, K, axis=1) for state in decoder.initial_states(memory)]
    for t in range(T):
        output, states = decoder.step(decoder.words(tokens[:, :, t]), states, memory)
        for part, expected in zip(output, whole, strict=True):
            assert_close(part, expected[:, :, t])
        assert_close(decoder.logits(output), decoder.logits(whole)[:, :, t])


def test_shapes(decoder, features, tokens):
    output = decoder(features, tokens)
    shapes = {name: tuple(part.shape) for name, part in output._asdict().items()}
    assert shapes == {
        "hidden": (B, K, T, U),
        "context": (B, K, T, U),
        "vectors": (B, K, T, E),
        "attention": (B, K, T, L),
    }
    assert tuple(decoder.logits(output).shape) == (B, K, T, V)


def test_initial_states_come_from_the_mean_of_the_places(decoder, features):
    memory = decoder.memory(features)
    states = decoder.initial_states(memory)
    assert len(states) == decoder.cell.states == len(decoder.start)
    mean = keras.ops.convert_to_numpy(memory.values).mean(axis=1, keepdims=True)
    for state, start in zip(states, decoder.start, strict=True):
        W_0, b_0 = (keras.ops.convert_to_numpy(weight) for weight in start.weights)
        assert tuple(state.shape) == (B, 1, U)
        assert_close(state, np.tanh(mean @ W_0 + b_0))


def test_captions_of_an_image_do_not_see_each_other(decoder, features, tokens):
    together = decoder(features, tokens)
    for k in range(K):
        alone = decoder(features, tokens[:, k : k + 1])
        for part, expected in zip(alone, together, strict=True):
            assert_close(part[:, 0], expected[:, k])


def test_images_do_not_see_each_other(decoder, features, tokens):
    together = decoder(features, tokens)
    for b in range(B):
        for part, expected in zip(decoder(features[b : b + 1], tokens[b : b + 1]), together, strict=True):
            assert_close(part[0], expected[b])


def test_a_word_changes_nothing_before_it(decoder, features, tokens):
    before = decoder.logits(decoder(features, tokens))
    changed = tokens.copy()
    changed[:, :, 2] = (changed[:, :, 2] + 1) % V
    after = decoder.logits(decoder(features, changed))
    np.testing.assert_array_equal(after[:, :, :2], before[:, :, :2])
    for t in range(2, T):
        assert np.abs(after[:, :, t] - before[:, :, t]).max() > 1e-4


def test_the_photo_matters(decoder, features, tokens):
    logits = decoder.logits(decoder(features, tokens))
    other = decoder.logits(decoder(features[::-1], tokens))
    assert np.abs(logits - other).max(axis=(0, 1, 3)).min() > 1e-3


def test_the_formulas_in_numpy(shake, features, tokens):
    decoder = make("rnn", shake)
    output = decoder(features, tokens)
    weights = {weight.path: keras.ops.convert_to_numpy(weight).astype(np.float64) for weight in decoder.weights}
    assert len(weights) == len(decoder.weights)
    names = {path.split("/", 1)[1]: value for path, value in weights.items()}

    def dense(name, x):
        return x @ names[f"{name}/kernel"] + names[f"{name}/bias"]

    for b, k in np.ndindex(B, K):
        m = dense("place", features[b].astype(np.float64))  # (L, U)
        m = (m - m.mean(axis=1, keepdims=True)) / np.sqrt(m.var(axis=1, keepdims=True) + 1e-3)
        m = m * names["place_norm/gamma"] + names["place_norm/beta"]
        h = np.tanh(dense("start_0", m.mean(axis=0)))
        for t in range(T):
            word = names["embedding/embeddings"][tokens[b, k, t]]
            scores = np.tanh(dense("attention/key", m) + h @ names["attention/query/kernel"]) @ names["attention/scale"]
            alpha = np.exp(scores[:, 0]) / np.exp(scores).sum()
            context = 1 / (1 + np.exp(-dense("gate", h))) * (alpha @ m)
            W_x = np.concatenate([names["cell/kernel"], names["context/kernel"]])
            h = np.tanh(np.concatenate([word, context]) @ W_x + h @ names["cell/recurrent_kernel"] + names["cell/bias"])
            deep = np.tanh(dense("deep", np.concatenate([h, context, word])))
            np.testing.assert_allclose(output.attention[b, k, t], alpha, atol=1e-5)
            np.testing.assert_allclose(output.hidden[b, k, t], h, atol=1e-5)
            one = type(output)(*(part[b, k, t] for part in output))
            np.testing.assert_allclose(
                decoder.logits(type(output)(*(part[None] for part in one)))[0],
                dense("output_projection", deep),
                atol=1e-5,
            )


def test_dropout_is_for_training_alone(shake, features, tokens):
    decoder = make("rnn", shake, dropout=0.5)
    plain = make("rnn", shake)

    def logits(layer, training):
        return keras.ops.convert_to_numpy(layer.logits(layer(features, tokens, training=training), training=training))

    np.testing.assert_array_equal(logits(decoder, training=False), logits(plain, training=False))
    assert np.abs(logits(decoder, training=True) - logits(decoder, training=True)).max() > 0.01
    np.testing.assert_array_equal(logits(plain, training=True), logits(plain, training=False))


def test_dropout_hides_words_and_places(shake, features, tokens):
    decoder = make("rnn", shake, dropout=0.5)
    memory, words = decoder.memory(features, training=True), decoder.words(tokens, training=True)
    for part in (memory.values, words.vectors):
        dropped = keras.ops.convert_to_numpy(part) == 0
        assert 0.2 < dropped.mean() < 0.8
    expected = decoder.cell.project(words.vectors)
    np.testing.assert_array_equal(words.projected, expected)


def test_a_batch_of_any_size_and_captions_of_any_number(decoder, features, tokens):
    call = keras.ops.convert_to_numpy(decoder(features, tokens).hidden)
    import tensorflow as tf

    graph = tf.function(
        lambda features, tokens: decoder(features, tokens).hidden,
        input_signature=[tf.TensorSpec((None, L, D)), tf.TensorSpec((None, None, T), tf.int32)],
    )
    assert_close(graph(features, tokens), call)
    assert_close(graph(features[:1], tokens[:1, :2]), call[:1, :2])


def test_words_of_a_step_are_those_of_a_sentence(decoder, tokens):
    sentence = decoder.words(tokens)
    step = decoder.words(tokens[:, :, 1])
    assert_close(step.vectors, sentence.vectors[:, :, 1])
    assert_close(step.projected, sentence.projected[:, :, 1])
    assert isinstance(step, TokenEmbeddings)


def test_an_unknown_cell_is_refused():
    with pytest.raises(ValueError, match="cell: expected one of rnn, gru, lstm, found 'transformer'"):
        Decoder("transformer", U, E, A, V)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("float32", "float32"), ("mixed_bfloat16", "float32"), ("mixed_float16", "float32"), ("float64", "float64")],
)
def test_logits_are_never_narrower_than_float32(shake, features, tokens, dtype, expected):
    decoder = make("rnn", shake, dtype=dtype)
    assert keras.backend.standardize_dtype(decoder.logits(decoder(features, tokens)).dtype) == expected


def test_steps_outside_a_call_keep_the_compute_type(shake, features, tokens):
    for cell in ("rnn", "gru", "lstm"):
        decoder = make(cell, shake, dtype="mixed_bfloat16")
        memory = decoder.memory(features)
        states = [np.repeat(state, K, axis=1) for state in decoder.initial_states(memory)]
        output, after = decoder.step(decoder.words(tokens[:, :, 0]), states, memory)
        kinds = {keras.backend.standardize_dtype(part.dtype) for part in (*output, *after)}
        assert kinds == {"bfloat16"}


def test_sentences_that_have_ended_are_left_out(decoder, features, tokens):
    """Sentences of 5, 3 and 1 words; what stands behind their ends is 0, and nothing else differs."""
    active, ends = np.array([3, 2, 2, 1, 1]), [5, 3, 1]
    memory = decoder.memory(features)
    whole = decoder.read(memory, tokens)
    shorter = decoder.read(memory, tokens, active=keras.ops.convert_to_tensor(active))
    for name in ("hidden", "context", "attention"):
        expected, found = (keras.ops.convert_to_numpy(getattr(output, name)) for output in (whole, shorter))
        assert found.shape == expected.shape
        for k, end in enumerate(ends):
            assert_close(found[:, k, :end], expected[:, k, :end])
            assert not found[:, k, end:].any()


def test_predictions_at_positions_are_those_of_the_whole(decoder, features, tokens):
    positions = np.array([0, 1, T, 2 * T + 4, K * T + 3, B * K * T - 1], np.int32)
    memory = decoder.memory(features)
    whole = keras.ops.convert_to_numpy(decoder.predict(memory, tokens))
    assert_close(whole, decoder.logits(decoder(features, tokens)))
    assert_close(decoder.predict(memory, tokens, positions), whole.reshape(-1, V)[positions])
