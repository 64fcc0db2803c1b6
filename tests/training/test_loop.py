import dataclasses
import logging

import numpy as np
import pytest

from captioner.config.decoding import DecodingConfig
from captioner.config.training import TrainingConfig
from captioner.errors import CaptionerError
from captioner.training import evaluator, loop
from captioner.training.checkpoint import Checkpoint
from captioner.training.context import Context
from captioner.training.loop import run_stage
from captioner.training.profile import Profile
from captioner.training.stages import caption_stage, cross_entropy
from captioner.training.stages.cross_entropy import CrossEntropy
from captioner.training.step import Step

CONFIG = TrainingConfig(epochs=3, batch_size=4, learning_rate=0.05, warmup_steps=2, label_smoothing=0.1, seed=3)
DECODING = DecodingConfig(2, 0.5, 4)


class Interruption:
    """Stands in for the progress bar; Ctrl-C comes at the batch numbered `at` over all epochs, from 1."""

    def __init__(self, at):
        self.at = at
        self.batches = 0

    def __call__(self, **settings):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return False

    def set_postfix(self, values, refresh=True):
        pass

    def update(self):
        self.batches += 1
        if self.batches == self.at:
            raise KeyboardInterrupt


@pytest.fixture
def train(make_network, make_split, vocabulary, tmp_path):
    """Returns a function that trains a new network in a directory, as a process that was started again would."""
    dev_split = make_split(4, seed=2)

    def run(directory, config=CONFIG, photos=8, dropout=0.3, **more):
        network = make_network(len(vocabulary), seed=5, dropout=dropout)
        train_split = make_split(photos, seed=1)
        context = Context(vocabulary, train_split, dev_split, config, DECODING).with_data(train_split, dev_split)
        checkpoint = Checkpoint(tmp_path / directory, {})
        return network, run_stage(CrossEntropy(context, network), checkpoint, Profile(), **more)

    return run


@pytest.fixture
def lines(caplog):
    """Returns a function that gives what was logged so far, and forgets it."""
    caplog.set_level(logging.INFO, "captioner")

    def take():
        messages = caplog.messages.copy()
        caplog.clear()
        return messages

    return take


WHOLE = {}


@pytest.fixture
def uninterrupted(train):
    """Returns a function that gives the weights and the progress of a training that nobody stopped."""

    def run(ema_momentum):
        if ema_momentum not in WHOLE:
            network, progress = train("whole", dataclasses.replace(CONFIG, ema_momentum=ema_momentum))
            assert progress.epoch == 3
            WHOLE[ema_momentum] = network.get_weights(), progress
        return WHOLE[ema_momentum]

    return run


def comparable(progress):
    """The progress without what depends on the clock."""
    history = [{name: value for name, value in row.items() if name != "seconds"} for row in progress.history]
    return dataclasses.replace(progress, history=history)


class StopAfterEpoch2(logging.Handler):
    def emit(self, record):
        if record.getMessage().startswith("epoch 2/3"):
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("ema_momentum", "at_batch", "done"),
    [
        pytest.param(0.6, None, 2, id="between epochs", marks=pytest.mark.long),
        pytest.param(0.6, 3, 1, id="in the middle of epoch 2"),
        pytest.param(0.0, 3, 1, id="without a moving average", marks=pytest.mark.long),
    ],
)
def test_an_interrupted_training_ends_with_the_weights_of_one_that_was_not(
    train, uninterrupted, monkeypatch, lines, ema_momentum, at_batch, done
):
    config = dataclasses.replace(CONFIG, ema_momentum=ema_momentum)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "progress_bar", Interruption(at_batch))
        if at_batch is None:
            patch.setattr(loop.log, "handlers", [StopAfterEpoch2()])
        with pytest.raises(KeyboardInterrupt):
            train("stopped", config)

    lines()
    resumed, progress = train("stopped", config)
    messages = lines()
    assert messages[0] == f"resuming after epoch {done} of 3"
    assert len([line for line in messages if line.startswith("epoch")]) == 3 - done
    weights, expected_progress = uninterrupted(ema_momentum)
    for expected, found in zip(weights, resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert comparable(progress) == comparable(expected_progress)


def scripted_scores(monkeypatch, ciders):
    """Make the stage see these scores, and note the weights that earned each."""
    scores, weights = iter(ciders), []

    def score(captions, references, cider):
        names = ("bleu1", "bleu2", "bleu3", "bleu4", "rouge_l")
        weights.append(network[0].get_weights())
        return dict.fromkeys(names, 1.0) | {"cider": next(scores)}

    network = []
    monkeypatch.setattr(evaluator, "score", score)
    original = cross_entropy.in_float32

    def scored(model):
        network.append(original(model))
        return network[0]

    monkeypatch.setattr(cross_entropy, "in_float32", scored)
    return weights


def test_training_stops_when_patience_is_out_and_the_best_weights_come_back(train, monkeypatch, lines):
    monkeypatch.setattr(caption_stage, "ENOUGH_PHOTOS", 1)
    weights = scripted_scores(monkeypatch, [10.0, 30.0, 20.0, 25.0])
    config = dataclasses.replace(CONFIG, epochs=9, patience=2, ema_momentum=0.6)
    network, progress = train("run", config)
    assert (progress.epoch, progress.best_epoch, progress.best["cider"]) == (4, 2, 30.0)
    assert [row["epoch"] for row in progress.history] == [1, 2, 3, 4]
    for best, last, found in zip(weights[1], weights[3], network.get_weights(), strict=True):
        np.testing.assert_array_equal(found, best)
        assert not np.array_equal(found, last)
    assert [line.endswith("(best)") for line in lines() if line.startswith("epoch")] == [True, True, False, False]

    again, progress = train("run", config)  # scores are used up: it must not train on
    assert progress.epoch == 4
    for best, found in zip(weights[1], again.get_weights(), strict=True):
        np.testing.assert_array_equal(found, best)


def test_equal_scores_are_told_apart_by_the_loss_on_dev(train, monkeypatch):
    scripted_scores(monkeypatch, [0.0, 0.0, 0.0])  # CIDEr-D of a single dev photo is always 0
    _, progress = train("run", dataclasses.replace(CONFIG, epochs=3))
    losses = [row["dev_loss"] for row in progress.history]
    assert progress.best_epoch == 1 + losses.index(min(losses)) > 1


def test_a_handful_of_dev_photos_chooses_by_the_loss(train, monkeypatch):
    scripted_scores(monkeypatch, [50.0, 30.0, 10.0])
    _, progress = train("run")
    assert progress.best_epoch == 3


def test_a_trained_model_is_scored_first_and_stays_where_nothing_is_better(train, monkeypatch, lines):
    monkeypatch.setattr(caption_stage, "ENOUGH_PHOTOS", 1)
    followed = []
    weights = scripted_scores(monkeypatch, [20.0, 10.0, 15.0])
    network, progress = train(
        "run", baseline=True, on_epoch=lambda *each: followed.append(each), config=dataclasses.replace(CONFIG, epochs=2)
    )
    assert [(row["epoch"], row["cider"]) for row in progress.history] == [(0, 20.0), (1, 10.0), (2, 15.0)]
    assert "loss" not in progress.history[0]
    assert (progress.epoch, progress.best_epoch, progress.best["cider"]) == (2, 0, 20.0)
    for found, expected in zip(network.get_weights(), weights[0], strict=True):
        np.testing.assert_array_equal(found, expected)
    assert [(each.epoch, improved) for each, improved in followed] == [(0, True), (1, False), (2, False)]
    messages = lines()
    parameters = sum(np.prod(each.shape) for each in network.trainable_variables)
    assert messages[0].startswith(f"training {parameters} parameters in float32 on ")
    assert "2 steps an epoch" in messages[0]
    assert messages[1].startswith("epoch 0/2")
    assert messages[1].endswith("(the model that this training starts from)")
    assert messages[-1] == "no epoch improved on the model that this training started from, so its weights are kept"


@pytest.mark.parametrize("at_batch", [1, 3])
def test_a_training_that_was_stopped_after_epoch_0_ends_alike(train, monkeypatch, at_batch):
    expected, whole = train("whole", baseline=True)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "progress_bar", Interruption(at_batch))
        with pytest.raises(KeyboardInterrupt):
            train("stopped", baseline=True)
    network, progress = train("stopped", baseline=True)
    assert comparable(progress) == comparable(whole)
    for found, other in zip(network.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(found, other)


def test_it_learns_to_say_what_photos_show_that_it_has_never_seen(train, lines):
    config = dataclasses.replace(CONFIG, epochs=10, label_smoothing=0.0, ema_momentum=0.0)
    _, progress = train("run", config, photos=16, dropout=0.0)
    first, best = progress.history[0], progress.history[progress.best_epoch - 1]
    assert best["loss"] < first["loss"]
    assert best["dev_cross_entropy"] < 1.0 < first["dev_cross_entropy"]
    assert best["loss"] == pytest.approx(best["cross_entropy"])  # no smoothing
    assert best["bleu1"] > 90
    samples = [line.split(": ")[1] for line in lines() if line.startswith("    ")][-3:]
    assert [sample.split()[1:] for sample in samples] == [["dog", "runs"], ["cat", "sits"], ["cat", "runs"]]


@pytest.mark.parametrize("where", ["training", "dev"])
def test_a_loss_that_is_not_finite_is_said_to_have_diverged(train, monkeypatch, where):
    original = Step.over

    def over(step, *arguments):
        totals = original(step, *arguments)
        if (step.optimizer is not None) == (where == "training"):
            totals["loss"] = float("nan")
        return totals

    monkeypatch.setattr(Step, "over", over)
    with pytest.raises(CaptionerError, match=r"diverged in epoch 1.*loss is nan.*--learning-rate"):
        train("run")


@pytest.mark.parametrize(("asked", "found"), [(1, 1), (2, 2), (5, 2)])
def test_a_step_learns_from_as_many_captions_of_a_photo_as_it_is_told(
    make_network, make_split, vocabulary, asked, found
):
    split = make_split(4, seed=2)
    assert {len(each) for each in split.captions} == {2}
    config = dataclasses.replace(CONFIG, captions_per_image=asked)
    context = Context(vocabulary, split, split, config, DECODING).with_data(split, split)
    stage = CrossEntropy(context, make_network(len(vocabulary), seed=5))
    assert {batch["tokens"].shape[1] for batch in stage.batches.shuffled(0, 1)} == {found}
