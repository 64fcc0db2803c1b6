import ast
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from captioner.config.model import CharModelConfig
from captioner.config.training import CharTrainingConfig
from captioner.errors import CaptionerError
from captioner.models.char_lm import CharModel
from captioner.runtime.char_lm import LanguageModel
from captioner.runtime.char_network import CharNetwork
from captioner.text import CharacterVocabulary
from captioner.training import step as step_module
from captioner.training.checkpoint import Checkpoint
from captioner.training.inputs import text_windows
from captioner.training.inputs.text_windows import TextWindows, validation_windows
from captioner.training.loop import run_stage
from captioner.training.profile import Profile
from captioner.training.stages import char_lm
from captioner.training.stages.char_lm import CharLM, CharLoss, EncodedText, mean_loss
from captioner.training.step import Step

TEXT = "the cat sat on the mat and the dog sat on the log. " * 12
CONFIG = CharTrainingConfig(epochs=3, batch_size=8, sequence_length=4, learning_rate=0.01, warmup_steps=5)
V = 9


@pytest.fixture
def train(tmp_path):
    """Returns a function that trains a tiny network in the directory `name` and gives it with its progress."""

    def run(name, config=CONFIG):
        vocabulary = CharacterVocabulary.build(TEXT)
        tokens = vocabulary.encode(TEXT)
        keras.utils.set_random_seed(config.seed)
        network = CharModel(CharModelConfig("rnn", 1, 8, 6, 0.2, True, len(vocabulary)))
        windows = TextWindows(tokens[:550], config.batch_size, config.sequence_length)
        stage = CharLM(network, EncodedText(vocabulary, windows, tokens[550:], tokens[:0]), config, Profile())
        return network, run_stage(stage, Checkpoint(tmp_path / name, {}), Profile())

    return run


def assert_same(one, other):
    for found, expected in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_run_that_was_stopped_twice_ends_as_one_that_was_not(train, monkeypatch, caplog):
    whole, expected = train("whole")
    original = Step.over

    def stopped_in(epoch):
        epochs = []

        def over(step, windows, *more):
            if step.optimizer is not None:
                epochs.append(step)
                if len(epochs) == epoch:
                    original(step, list(windows)[:3], *more)  # some of the epoch is done, and lost
                    raise KeyboardInterrupt
            return original(step, windows, *more)

        with monkeypatch.context() as patch:
            patch.setattr(Step, "over", over)
            with pytest.raises(KeyboardInterrupt):
                train("parts")

    stopped_in(2)  # the first epoch is kept
    stopped_in(2)  # the second too
    with caplog.at_level("INFO", logger="captioner"):
        network, progress = train("parts")
    assert caplog.messages[0] == "resuming after epoch 2 of 3"
    assert_same(network, whole)
    without_time = [[{**row, "seconds": 0} for row in each.history] for each in (progress, expected)]
    assert without_time[0] == without_time[1]
    assert [row["epoch"] for row in progress.history] == [1, 2, 3]


def test_what_is_minimised_is_the_loss_and_that_to_the_ngrams():
    network = CharModel(CharModelConfig("rnn", 1, 8, 6, 0.0, True, V))
    rng = np.random.default_rng(2)
    inputs, targets = rng.integers(0, V, (2, 3, 4)).astype(np.int32)
    ngrams = rng.dirichlet(np.ones(V), (3, 4)).astype(np.float32)
    log_probs, _ = CharNetwork(network.config, network.named_weights())(inputs, network.initial_states(3))
    loss = -np.take_along_axis(log_probs, targets[..., None], axis=-1).sum()
    to_ngrams = -(ngrams * log_probs).sum()

    batch = {"inputs": tf.constant(inputs), "targets": tf.constant(targets), "ngram_probabilities": tf.constant(ngrams)}
    objective = CharLoss(network, ngram_share=0.25)
    found, _ = objective.sums(batch, objective.initial_states(batch), training=False)
    np.testing.assert_allclose(found, [loss, 12, 0.75 * loss + 0.25 * to_ngrams], rtol=1e-5)
    mean = objective.loss(dict(zip(objective.names, found, strict=True)), batch)
    np.testing.assert_allclose(mean, (0.75 * loss + 0.25 * to_ngrams) / 12, rtol=1e-5)


def test_it_learns_and_keeps_the_best_epoch(train, monkeypatch):
    losses = iter([2.0, 1.5, 1.7])
    weights = []

    def measured(step, windows, *more):
        if step.optimizer is not None:
            return mean_loss(step, windows, *more)
        weights.append(step.objective.network.get_weights())
        return next(losses)

    monkeypatch.setattr(char_lm, "mean_loss", measured)
    network, progress = train("run")
    assert (progress.best_epoch, progress.best["validation_nats_per_char"]) == (2, 1.5)
    for found, expected in zip(network.get_weights(), weights[1], strict=True):
        np.testing.assert_array_equal(found, expected)
    assert progress.history[-1]["nats_per_char"] < progress.history[0]["nats_per_char"]


@pytest.mark.parametrize(
    ("optimised", "message"),
    [
        pytest.param(True, "nats_per_char is inf", id="training"),
        pytest.param(False, "validation_nats_per_char is inf", id="validation"),
    ],
)
def test_a_loss_that_is_not_finite_is_said_to_have_diverged(train, monkeypatch, optimised, message):
    original = Step.over

    def over(step, windows, *more):
        if (step.optimizer is not None) == optimised:
            return {"loss": float("inf"), "characters": 7.0}
        return original(step, windows, *more)

    monkeypatch.setattr(Step, "over", over)
    with pytest.raises(CaptionerError, match=rf"diverged in epoch 1/3: {message}; lower --learning-rate"):
        train("run")


def test_weights_that_are_no_numbers_are_said_to_have_diverged(train, monkeypatch):
    original = Step.over

    def over(step, windows, *more):
        totals = original(step, windows, *more)
        if step.optimizer is not None:
            for variable in step.variables:
                variable.assign(keras.ops.full_like(variable, float("nan")))
        return totals

    monkeypatch.setattr(Step, "over", over)
    with pytest.raises(CaptionerError, match=r"diverged in epoch 1/3: validation_nats_per_char is nan; lower"):
        train("run", replace(CONFIG, ema_momentum=0.0))


def test_people_are_told_of_every_epoch_with_a_sample(train, caplog):
    with caplog.at_level("INFO", logger="captioner"):
        train("run")
    messages = caplog.messages[1:]  # the first tells what is trained
    assert len(messages) == 6
    assert messages[0].startswith("epoch 1/3 ")
    assert "nats/char, validation " in messages[0]
    assert len(ast.literal_eval(messages[1].strip())) == char_lm.SAMPLE_LENGTH


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
    return float(model.surprisals(vocabulary.decode(tokens)).mean())


def measured(network, windows):
    return mean_loss(Step(CharLoss(network)), windows)


@pytest.mark.parametrize("length", [1, 5, 20])
def test_the_state_is_carried_so_that_windows_are_one_long_pass(network, length):
    tokens = text(20)
    windows = list(TextWindows(tokens, 1, length).epoch(0, 1))
    assert len(windows) == 20 // length
    assert measured(network, windows) == pytest.approx(nats(network, tokens), rel=1e-5)


def test_streams_side_by_side_are_each_read_alone(network):
    tokens = text(60)
    windows = list(TextWindows(tokens, 3, 5).epoch(0, 1))
    parts = tokens.reshape(3, 20)
    expected = np.mean([nats(network, part) for part in parts])
    assert measured(network, windows) == pytest.approx(expected, rel=1e-5)


def test_what_is_below_0_is_not_counted(network):
    tokens = text(10)
    (window,) = TextWindows(tokens, 1, 10).epoch(0, 1)
    window["targets"][0, 7:] = -1
    assert measured(network, [window]) == pytest.approx(nats(network, tokens[:7]), rel=1e-5)


def test_training_lowers_the_loss_and_tells_the_mean_so_far(network, monkeypatch):
    monkeypatch.setattr(step_module, "READ_EVERY", 0.0)
    tokens = np.tile(np.arange(2, V), 60).astype(np.uint8)  # the same seven characters again and again
    optimizer = keras.optimizers.Adam(0.02)
    optimizer.build(network.trainable_variables)
    step = Step(CharLoss(network), optimizer, network.trainable_variables)
    windows, told = TextWindows(tokens, 4, 7), []
    losses = [mean_loss(step, windows.epoch(0, epoch), told.append) for epoch in range(1, 13)]
    assert losses[-1] < 0.3 < losses[0]
    assert len(told) == 12 * len(windows)
    assert told[len(windows) - 1] == losses[0]
    assert int(optimizer.iterations) == 12 * len(windows)


def test_measuring_changes_nothing(network):
    before = network.get_weights()
    measured(network, TextWindows(text(40), 2, 5).epoch(0, 1))
    for found, expected in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("length", [1, 3, 50, 79])
def test_a_short_text_is_scored_exactly(network, length):
    tokens = text(length)
    assert measured(network, validation_windows(tokens, 16)) == pytest.approx(nats(network, tokens), rel=1e-5)


@pytest.mark.parametrize("length", [80, 160, 161, 317])
def test_a_text_read_by_several_streams_is_scored_nearly_as_by_one(network, monkeypatch, length):
    monkeypatch.setattr(text_windows, "WARM_UP", 20)
    monkeypatch.setattr(text_windows, "STREAMS", 3)
    tokens = text(length)
    # Twenty characters are enough for so small a network to forget that it began elsewhere.
    assert measured(network, validation_windows(tokens, 7)) == pytest.approx(nats(network, tokens), rel=2e-3)
