import keras
import numpy as np
import pytest
import tensorflow as tf

from captioner.training import devices, step
from captioner.training.caption_loss import CaptionLoss, per_word
from captioner.training.inputs.batches import CaptionBatches, caption_arrays
from captioner.training.step import Step


@pytest.fixture
def batches(make_split, vocabulary):
    """Two batches, as `CaptionBatches` gives them, with features."""
    split = make_split(5, seed=1)
    encoded = [[vocabulary.encode(words, 8) for words in captions] for captions in split.captions]
    encoded[4] = [encoded[4][0][:2]]  # a batch with another length and fewer words: the mean is over words

    def prepare(number, batch):
        return {"features": split.features[batch["rows"]], **caption_arrays(batch)}

    return list(CaptionBatches(encoded, batch_size=4).in_order(prepare))


def log_probabilities(network, batch):
    """Float (N, V), of the words at the positions."""
    inputs = {name: each for name, each in batch.items() if name in ("features", "tokens", "positions")}
    logits = keras.ops.convert_to_numpy(network(inputs)).astype(float)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


@pytest.mark.parametrize(("seconds", "read"), [(0.0, 2), (1e9, 1)])
def test_measured_loss_is_the_mean_over_all_words(batches, make_network, vocabulary, monkeypatch, seconds, read):
    monkeypatch.setattr(step, "READ_EVERY", seconds)
    network = make_network(len(vocabulary))
    before = network.get_weights()
    plain, smoothed, seen = [], [], []
    for batch in batches:
        log_probs, targets = log_probabilities(network, batch), batch["targets"]
        words = -log_probs[np.arange(len(targets)), targets]
        plain += words.tolist()
        smoothed += (0.9 * words - 0.1 * log_probs.mean(axis=1)).tolist()
    assert len(plain) == 4 * 2 * 4 + 2

    totals = Step(CaptionLoss(network, 0.1)).over(batches, lambda sums: seen.append(per_word(sums)["loss"]))
    assert totals["words"] == len(plain)
    expected = {"loss": np.mean(smoothed), "cross_entropy": np.mean(plain)}
    assert per_word(totals) == pytest.approx(expected, rel=1e-5)
    assert seen == pytest.approx([np.mean(smoothed[:32]), np.mean(smoothed if read == 2 else smoothed[:32])], rel=1e-5)
    for old, new in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("cores", [1, 2])
def test_teachers_have_their_share_of_the_loss(batches, make_network, vocabulary, monkeypatch, cores):
    monkeypatch.setattr(devices, "available_cores", lambda: cores)
    network, rng = make_network(len(vocabulary)), np.random.default_rng(4)
    expected = []
    for batch in batches:
        log_probs, count = log_probabilities(network, batch), len(batch["targets"])
        batch["teacher_words"] = rng.integers(len(vocabulary), size=(count, 2)).astype(np.int32)
        batch["teacher_probabilities"] = np.full((count, 2), [0.75, 0.25], np.float16)
        for word, target in enumerate(batch["targets"]):
            first, second = batch["teacher_words"][word]
            said = 0.75 * log_probs[word, first] + 0.25 * log_probs[word, second]
            smoothed = 0.9 * log_probs[word, target] + 0.1 * log_probs[word].mean()
            expected.append(-0.3 * smoothed - 0.7 * said)
    step = Step(CaptionLoss(network, 0.1, distillation=0.7))
    assert per_word(step.over(batches))["loss"] == pytest.approx(np.mean(expected), rel=1e-5)


def test_a_step_lowers_the_loss(batches, make_network, vocabulary):
    network = make_network(len(vocabulary))
    optimizer = keras.optimizers.SGD(0.05)
    optimizer.build(network.trainable_variables)
    measuring = Step(CaptionLoss(network, 0.1))
    before = measuring.over(batches[:1])
    during = Step(CaptionLoss(network, 0.1), optimizer, network.trainable_variables).over(batches[:1])
    after = measuring.over(batches[:1])
    assert optimizer.iterations == 1
    assert during == pytest.approx(before, rel=1e-5)  # the loss of a step is that of the weights before it
    assert after["loss"] < before["loss"]
    assert after["cross_entropy"] < before["cross_entropy"]


class Recorder:
    """Stands in for an optimiser and keeps the gradients."""

    def apply(self, gradients, variables):
        self.gradients = dict(zip([each.path for each in variables], gradients, strict=True))


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("cores", [1, 2, 3, 4])
def test_the_fast_path_has_the_loss_and_gradients_of_the_plain_one(
    batches, make_network, vocabulary, monkeypatch, cell, cores
):
    """Parts, positions and hand-made gradients against: all captions at once, logits everywhere, TensorFlow's own."""
    monkeypatch.setattr(devices, "available_cores", lambda: cores)
    network = make_network(len(vocabulary), cell=cell)
    draw = np.random.default_rng(9)
    network.set_weights([draw.uniform(-0.5, 0.5, weight.shape) for weight in network.weights])
    recorder = Recorder()
    inputs, targets, variables = batches[0], batches[0]["targets"], network.trainable_variables
    fast, _ = Step(CaptionLoss(network, 0.1), recorder, variables)._run(inputs, [])
    with tf.GradientTape() as tape:
        output = network.decoder(inputs["features"], inputs["tokens"])
        logits = tf.reshape(network.decoder.logits(output), (-1, len(vocabulary)))
        log_probs = tf.nn.log_softmax(tf.gather(logits, inputs["positions"]))
        wanted = tf.gather(log_probs, targets, batch_dims=1)
        smoothed = -tf.reduce_sum(0.9 * wanted + 0.1 * tf.reduce_mean(log_probs, axis=-1))
        loss = smoothed / len(targets)
    np.testing.assert_allclose(fast, [smoothed, -tf.reduce_sum(wanted), len(targets)], rtol=1e-5)
    for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
        found, expected = (tf.convert_to_tensor(each) for each in (recorder.gradients[variable.path], gradient))
        tolerance = max(1e-5 * np.abs(expected).max(), 1e-9)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=tolerance, err_msg=variable.path)
