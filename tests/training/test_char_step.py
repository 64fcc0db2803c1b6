import keras
import numpy as np
import pytest

from captioner.config import CharModelConfig
from captioner.models.char_lm import CharModel
from captioner.runtime.char_lm import LanguageModel
from captioner.runtime.char_network import CharNetwork
from captioner.text import CharacterVocabulary
from captioner.training import char_step as char_step_module
from captioner.training.char_step import CharStep, stream_loss
from captioner.training.streams import TextStreams

V = 9


@pytest.fixture
def network():
    model = CharModel(CharModelConfig("rnn", 2, 6, 4, 0.0, True, V))
    draw = np.random.default_rng(1)
    model.set_weights([draw.uniform(-0.7, 0.7, weight.shape) for weight in model.weights])
    return model


def text(length, seed=2):
    return np.random.default_rng(seed).integers(2, V, length).astype(np.uint8)


def nats(network, tokens):
    """The mean surprise of the whole text as one stream, by the network in NumPy."""
    vocabulary = CharacterVocabulary(["<start>", "<unk>", *"abcdefg"])
    model = LanguageModel(vocabulary, CharNetwork(network.config, network.named_weights()))
    return float(model.surprises(vocabulary.decode(tokens)).mean())


@pytest.mark.parametrize("length", [1, 5, 20])
def test_the_state_is_carried_so_that_windows_are_one_long_pass(network, length):
    tokens = text(20)
    windows = list(TextStreams(tokens, 1, length).epoch(0, 1))
    assert len(windows) == 20 // length
    assert CharStep(network).over(windows) == pytest.approx(nats(network, tokens), rel=1e-5)


def test_streams_side_by_side_are_each_read_alone(network):
    tokens = text(60)
    windows = list(TextStreams(tokens, 3, 5).epoch(0, 1))
    parts = tokens.reshape(3, 20)
    expected = np.mean([nats(network, part) for part in parts])
    assert CharStep(network).over(windows) == pytest.approx(expected, rel=1e-5)


def test_what_is_below_0_is_not_counted(network):
    tokens = text(10)
    ((inputs, targets),) = TextStreams(tokens, 1, 10).epoch(0, 1)
    targets[0, 7:] = -1
    assert CharStep(network).over([(inputs, targets)]) == pytest.approx(nats(network, tokens[:7]), rel=1e-5)


def test_training_lowers_the_loss_and_tells_the_mean_so_far(network):
    tokens = np.tile(np.arange(2, V), 60).astype(np.uint8)  # the same seven characters again and again
    optimizer = keras.optimizers.Adam(0.02)
    optimizer.build(network.trainable_variables)
    step, streams, told = CharStep(network, optimizer), TextStreams(tokens, 4, 7), []
    losses = [step.over(streams.epoch(0, epoch), told.append) for epoch in range(1, 13)]
    assert losses[-1] < 0.3 < losses[0]
    assert len(told) == 12 * len(streams)
    assert told[len(streams) - 1] == losses[0]
    assert int(optimizer.iterations) == 12 * len(streams)


def test_measuring_changes_nothing(network):
    before = network.get_weights()
    CharStep(network).over(TextStreams(text(40), 2, 5).epoch(0, 1))
    for found, expected in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("length", [1, 3, 50, 79])
def test_a_short_text_is_scored_exactly(network, length):
    assert stream_loss(CharStep(network), text(length), 16) == pytest.approx(nats(network, text(length)), rel=1e-5)


@pytest.mark.parametrize("length", [80, 160, 161, 317])
def test_streams_count_every_character_once(network, monkeypatch, length):
    monkeypatch.setattr(char_step_module, "WARM_UP", 20)
    monkeypatch.setattr(char_step_module, "STREAMS", 3)
    seen = []

    class Spy(CharStep):
        def over(self, windows, seen_loss=lambda loss: None):
            pairs = list(windows)
            inputs, targets = (np.concatenate(parts, axis=1) for parts in zip(*pairs, strict=True))
            seen.append((inputs, targets))
            return super().over(pairs, seen_loss)

    tokens = text(length)
    found = stream_loss(Spy(network), tokens, 7)
    inputs, targets = seen[0]
    assert inputs.shape[0] == min(3, length // 80)
    np.testing.assert_array_equal(targets[targets >= 0], tokens)
    for stream, counted in enumerate(targets >= 0):
        begin = int(np.argmax(counted))
        assert begin == (20 if stream else 0)
    # Twenty characters are enough for so small a network to forget that it began elsewhere.
    assert found == pytest.approx(nats(network, tokens), rel=2e-3)
