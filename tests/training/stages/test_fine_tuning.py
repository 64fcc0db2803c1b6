from dataclasses import replace

import numpy as np
import pytest

from captioner.config.decoding import DecodingConfig
from captioner.config.model import DecoderConfig, EncoderConfig, ModelConfig
from captioner.config.training import FineTuningConfig, SelfCriticalConfig, TrainingConfig
from captioner.models.tuned_model import TunedModel
from captioner.training import loop
from captioner.training.checkpoint import Checkpoint
from captioner.training.context import Context
from captioner.training.inputs.feature_extractor import grid_extractor
from captioner.training.inputs.split import Split
from captioner.training.loop import run_stage
from captioner.training.optimizer import make_optimizer
from captioner.training.profile import Profile
from captioner.training.sampler import Sampler
from captioner.training.stages.fine_tuning import FineTuning
from captioner.training.stages.self_critical import SelfCritical

TRAINING = TrainingConfig(batch_size=4, warmup_steps=0, ema_momentum=0.0, seed=1)
CONFIG = FineTuningConfig(2, fine_tune_rate=0.01, encoder_rate=0.002, fine_tune_views=2)
DECODING = DecodingConfig(1, 0.7, 5)


@pytest.fixture(scope="module")
def initial():
    encoder = EncoderConfig(feature_layer="mixed2", image_size=75, fine_tune_after="mixed1")
    network = TunedModel(ModelConfig(encoder, DecoderConfig("rnn", 8, 6, 5, 0.0, 11, 49, 288)))
    return network, network.get_weights()


@pytest.fixture
def network(initial):
    network, weights = initial
    network.set_weights(weights)
    return network


@pytest.fixture
def make_grids(make_split):
    """Returns a function that makes what the first layers see of `count` photos, in so many views."""

    def make(count: int, seed: int, views: int) -> Split:
        split = make_split(count, seed)
        grids = np.random.default_rng(seed).normal(size=(count * views, 49, 288)).astype(np.float16)
        return replace(split, features=grids, rows=[row * views for row in split.rows], views=views)

    return make


def tune(network, vocabulary, train, dev, directory):
    context = Context(vocabulary, train, dev, TRAINING, DECODING).with_data(train, dev)
    return run_stage(FineTuning(context, network, CONFIG), Checkpoint(directory, {}), Profile())


@pytest.mark.long
def test_encoder_and_decoder_learn(network, vocabulary, make_grids, tmp_path):
    before = [weight.numpy() for weight in network.trainable_variables]
    progress = tune(network, vocabulary, make_grids(8, 1, 2), make_grids(4, 2, 1), tmp_path)
    assert progress.epoch == 2
    assert progress.history[1]["loss"] < progress.history[0]["loss"]
    moved = [np.abs(new.numpy() - old).max() for new, old in zip(network.trainable_variables, before, strict=True)]
    unused = [
        weight.path
        for weight, most in zip(network.trainable_variables, moved, strict=True)
        if not most and "embedding" not in weight.path
    ]
    assert unused == []


@pytest.mark.long
def test_stopped_and_resumed_it_ends_with_the_same_weights(
    network, initial, vocabulary, make_grids, tmp_path, monkeypatch, caplog
):
    train, dev = make_grids(8, 1, 2), make_grids(4, 2, 1)
    tune(network, vocabulary, train, dev, tmp_path / "whole")
    expected = network.get_weights()

    def stop(message, *values):
        if (message % values).startswith("epoch 1/2"):
            raise KeyboardInterrupt

    network.set_weights(initial[1])
    with monkeypatch.context() as patch:
        patch.setattr(loop.log, "info", stop)
        with pytest.raises(KeyboardInterrupt):
            tune(network, vocabulary, train, dev, tmp_path / "stopped")
    network.set_weights(initial[1])
    with caplog.at_level("INFO", "captioner"):
        progress = tune(network, vocabulary, train, dev, tmp_path / "stopped")
    assert caplog.messages[0] == "resuming after epoch 1 of 2"
    assert progress.epoch == 2
    for ours, theirs in zip(network.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.long
def test_the_encoder_learns_from_the_reward_too_at_its_own_rate(network, vocabulary, make_grids, tmp_path):
    """One step, with which Adam moves a weight by the learning rate where its gradient is not near 0."""
    slow = network.layers_behind.trainable_variables
    before = [weight.numpy() for weight in network.trainable_variables]
    train, dev = make_grids(4, 1, 2), make_grids(2, 2, 1)
    training = replace(TRAINING, weight_decay=0.0)
    context = Context(vocabulary, train, dev, training, DECODING).with_data(train, dev)
    config = SelfCriticalConfig(1, self_critical_rate=0.01, self_critical_encoder_rate=0.002, samples=3)
    stage = SelfCritical(context, network, config)
    features = network.features(train.features[:2])
    expected = Sampler(network.captioner, 3, 5, 0.5)(features, [3, 4])
    np.testing.assert_array_equal(stage.sampler(train.features[:2], [3, 4]), expected)

    progress = run_stage(stage, Checkpoint(tmp_path, {}), Profile())
    assert "reward" in progress.history[0]
    for weight, old in zip(network.trainable_variables, before, strict=True):
        rate = 0.002 if any(weight is each for each in slow) else 0.01
        moved = np.abs(weight.numpy() - old).max()
        if "embedding" not in weight.path:
            assert moved == pytest.approx(rate, rel=0.05), weight.path


def test_the_encoder_moves_at_its_own_rate_and_is_not_drawn_to_zero(network):
    """Adam's first step moves every weight by the learning rate, whatever its gradient: m / sqrt(v) is 1."""
    slow = network.layers_behind.trainable_variables
    assert len(slow) == 14  # seven convolutions, each with a shift
    training = replace(TRAINING, learning_rate=0.01, weight_decay=0.1, clip_norm=1e6)
    optimizer = make_optimizer(network.trainable_variables, training, 10**6, slow=(slow, 0.002))
    before = [weight.numpy() for weight in network.trainable_variables]
    optimizer.apply([np.ones(weight.shape, np.float32) for weight in network.trainable_variables])
    for weight, old in zip(network.trainable_variables, before, strict=True):
        own = any(weight is each for each in slow)
        rate = 0.002 if own else 0.01
        decay = 0.0 if own or weight.path.split("/")[-1] in ("bias", "gamma", "beta") else 0.01 * 0.1 * old
        np.testing.assert_allclose(weight.numpy(), old - decay - rate, atol=2e-6, err_msg=weight.path)


def test_grids_are_read_through_the_last_layers_view_by_view(network, make_grids):
    grids = make_grids(5, 3, 3)
    grids = replace(grids, rows=grids.rows[1:], captions=grids.captions[1:], names=grids.names[1:])  # one is damaged
    read = grid_extractor(network.layers_behind)(grids, 2)
    assert (read.features.shape, read.views, list(read.rows)) == ((10, 49, 288), 2, [2, 4, 6, 8])
    expected = network.features(grids.features).numpy()
    for photo in range(5):
        for view in range(2):
            np.testing.assert_allclose(
                read.features[photo * 2 + view], expected[photo * 3 + view], rtol=2e-3, atol=1e-3
            )
