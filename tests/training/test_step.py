import keras
import numpy as np
import pytest

from captioner.training.batches import CaptionBatches
from captioner.training.step import LossStep


@pytest.fixture
def batches(make_split, vocabulary):
    split = make_split(5, seed=1)
    encoded = [[vocabulary.encode(words, 8) for words in captions] for captions in split.captions]
    encoded[4] = [encoded[4][0][:2]]  # a batch with another length and fewer words: the mean is over words
    return CaptionBatches(split.features, split.rows, encoded, batch_size=4)


def test_measured_loss_is_the_mean_over_all_words(batches, make_network, vocabulary):
    network = make_network(len(vocabulary))
    before = network.get_weights()
    plain, smoothed, seen = [], [], []
    for inputs, targets in batches.in_order():
        logits = keras.ops.convert_to_numpy(network(inputs)).astype(float)
        log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        words = -log_probs[np.arange(len(targets)), targets.numpy()]
        plain += words.tolist()
        smoothed += (0.9 * words - 0.1 * log_probs.mean(axis=1)).tolist()
    assert len(plain) == 4 * 2 * 4 + 2

    measured = LossStep(network, label_smoothing=0.1).over(batches.in_order(), seen.append)
    assert measured == pytest.approx((np.mean(smoothed), np.mean(plain)), rel=1e-5)
    assert seen == pytest.approx([np.mean(smoothed[:32]), np.mean(smoothed)], rel=1e-5)
    for old, new in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_step_lowers_the_loss(batches, make_network, vocabulary):
    network = make_network(len(vocabulary))
    optimizer = keras.optimizers.SGD(0.05)
    optimizer.build(network.trainable_variables)
    first = batches.in_order().take(1)
    measuring = LossStep(network, 0.1)
    before = measuring.over(first)
    during = LossStep(network, 0.1, optimizer).over(first)
    after = measuring.over(first)
    assert optimizer.iterations == 1
    assert during == pytest.approx(before, rel=1e-5)  # the loss of a step is that of the weights before it
    assert after[0] < before[0]
    assert after[1] < before[1]
