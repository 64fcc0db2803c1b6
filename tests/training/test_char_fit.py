import ast

import keras
import numpy as np
import pytest

from captioner.config import CharModelConfig, CharTrainingConfig
from captioner.errors import CaptionerError
from captioner.models.char_lm import CharModel
from captioner.text import CharacterVocabulary
from captioner.training import char_fit as char_fit_module
from captioner.training.char_fit import fit_char_model
from captioner.training.char_step import CharStep
from captioner.training.checkpoint import Checkpoint
from captioner.training.streams import TextStreams

TEXT = "the cat sat on the mat and the dog sat on the log. " * 12
CONFIG = CharTrainingConfig(epochs=3, batch_size=8, sequence_length=4, learning_rate=0.01, warmup_steps=5)


@pytest.fixture
def train(tmp_path):
    """Returns a function that trains a tiny network in the directory `name` and gives it with its progress."""

    def run(name, config=CONFIG, report=lambda line: None):
        vocabulary = CharacterVocabulary.build(TEXT)
        tokens = vocabulary.encode(TEXT)
        keras.utils.set_random_seed(config.seed)
        network = CharModel(CharModelConfig("rnn", 1, 8, 6, 0.2, True, len(vocabulary)))
        streams = TextStreams(tokens[:550], config.batch_size, config.sequence_length)
        progress = fit_char_model(
            network, vocabulary, streams, tokens[550:], config, Checkpoint(tmp_path / name, {}), report
        )
        return network, progress

    return run


def assert_same(one, other):
    for found, expected in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_run_that_was_stopped_twice_ends_as_one_that_was_not(train, monkeypatch):
    whole, expected = train("whole")
    original = CharStep.over

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
            patch.setattr(CharStep, "over", over)
            with pytest.raises(KeyboardInterrupt):
                train("parts")

    stopped_in(2)  # the first epoch is kept
    stopped_in(2)  # the second too
    lines = []
    network, progress = train("parts", report=lines.append)
    assert lines[0] == "going on after epoch 2 of 3"
    assert_same(network, whole)
    without_time = [[{**row, "seconds": 0} for row in each.history] for each in (progress, expected)]
    assert without_time[0] == without_time[1]
    assert [row["epoch"] for row in progress.history] == [1, 2, 3]


def test_it_learns_and_keeps_the_best_epoch(train, monkeypatch):
    losses = iter([2.0, 1.5, 1.7])
    weights = []
    monkeypatch.setattr(
        char_fit_module, "stream_loss", lambda step, *more: weights.append(step.network.get_weights()) or next(losses)
    )
    network, progress = train("run")
    assert (progress.best_epoch, progress.best_score) == (2, -1.5)
    for found, expected in zip(network.get_weights(), weights[1], strict=True):
        np.testing.assert_array_equal(found, expected)
    assert progress.history[-1]["nats_per_char"] < progress.history[0]["nats_per_char"]


@pytest.mark.parametrize("where", ["training", "validation"])
def test_a_loss_that_is_not_finite_is_said_to_have_diverged(train, monkeypatch, where):
    if where == "validation":
        monkeypatch.setattr(char_fit_module, "stream_loss", lambda *arguments: float("nan"))
    else:
        monkeypatch.setattr(CharStep, "over", lambda *arguments: float("inf"))
    with pytest.raises(CaptionerError, match=r"diverged in epoch 1: .*lower --learning-rate"):
        train("run")


def test_people_are_told_of_every_epoch_with_a_sample(train):
    lines = []
    train("run", report=lines.append)
    assert len(lines) == 6
    assert lines[0].startswith("epoch 1/3 ")
    assert "nats/char, validation " in lines[0]
    assert len(ast.literal_eval(lines[1].strip())) == char_fit_module.SAMPLE_LENGTH
