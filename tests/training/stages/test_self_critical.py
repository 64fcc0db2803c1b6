import dataclasses
import logging

import keras
import numpy as np
import pytest
import tensorflow as tf

from captioner.config.decoding import DecodingConfig
from captioner.config.training import SelfCriticalConfig, TrainingConfig
from captioner.metrics.cider import CiderD
from captioner.text import END, Vocabulary
from captioner.training import loop
from captioner.training.checkpoint import Checkpoint
from captioner.training.context import Context
from captioner.training.loop import run_stage
from captioner.training.loss import SmoothedCrossEntropy
from captioner.training.profile import Profile
from captioner.training.sampler import Sampler
from captioner.training.stages import self_critical
from captioner.training.stages.cross_entropy import CrossEntropy
from captioner.training.stages.self_critical import PolicyLoss, Reward, SelfCritical, advantages

CAPTIONS = [[["red", "dog", "runs"], ["a", "dog", "runs"]], [["blue", "cat", "sits"], ["a", "cat", "sits"]]]


def test_the_reward_is_cider_with_the_end_as_a_word():
    ended = [[[*words, END] for words in each] for each in CAPTIONS]
    reward, cider = Reward(CAPTIONS), CiderD(ended)
    assert reward(0, ["red", "dog", "runs"], True) == pytest.approx(cider.score(0, ["red", "dog", "runs", END]))
    assert reward(0, ["red", "dog"], False) == pytest.approx(cider.score(0, ["red", "dog"]))
    assert reward(1, ["red", "dog", "runs"], True) < 1e-9


def test_who_breaks_off_is_rewarded_less_than_who_finishes():
    reward = Reward(CAPTIONS)
    assert reward(0, ["red", "dog", "runs"], False) < reward(0, ["red", "dog", "runs"], True)


def test_the_reward_may_be_bleu_too():
    assert Reward(CAPTIONS, 1.0)(0, ["red", "dog", "runs"], True) == pytest.approx(10)
    assert Reward(CAPTIONS, 1.0)(0, ["red", "dog"], False) == 0  # no four words in a row
    halves = Reward(CAPTIONS, 0.5)(0, ["red", "dog", "runs"], True)
    assert halves == pytest.approx(5 + Reward(CAPTIONS)(0, ["red", "dog", "runs"], True) / 2)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_words_are_drawn_with_the_probabilities_of_the_model(make_network, make_split, vocabulary, temperature):
    network, features = make_network(len(vocabulary), seed=2), make_split(3, seed=1).features
    sampler = Sampler(network, 4000, 5, temperature)
    said = sampler(features, [1, 2])
    assert said.shape == (3, 4000, 5)
    step, states = network.start(features)
    log_probs, _, _ = step(np.full((3, 1), Vocabulary.start, np.int32), states)
    allowed = np.exp(log_probs[:, 0]) ** (1 / temperature)
    allowed[:, [Vocabulary.pad, Vocabulary.start, Vocabulary.unknown]] = 0
    allowed /= allowed.sum(axis=1, keepdims=True)
    for image in range(3):
        found = np.bincount(said[image, :, 0], minlength=len(vocabulary)) / 4000
        np.testing.assert_allclose(found, allowed[image], atol=5 * np.sqrt(0.25 / 4000))
    assert not np.isin(said, [Vocabulary.start, Vocabulary.unknown]).any()
    ended = np.cumsum(said == Vocabulary.end, axis=2) - (said == Vocabulary.end) > 0
    assert ended.any()
    np.testing.assert_array_equal(said == Vocabulary.pad, ended)
    np.testing.assert_array_equal(sampler(features, [1, 2]), said)
    assert (sampler(features, [1, 3]) != said).mean() > 0.1


def test_captions_at_a_low_temperature_are_those_of_the_likeliest_words(make_network, make_split, vocabulary):
    network, features = make_network(len(vocabulary), seed=2), make_split(3, seed=1).features
    step, states = network.start(features)
    tokens, written = np.full((3, 1), Vocabulary.start, np.int32), []
    for _ in range(5):
        log_probs, states, _ = step(tokens, states)  # (3, 1, V)
        log_probs[:, :, [Vocabulary.pad, Vocabulary.start, Vocabulary.unknown]] = -np.inf
        ended = (tokens == Vocabulary.end) | (tokens == Vocabulary.pad)
        tokens = np.where(ended, Vocabulary.pad, log_probs.argmax(axis=-1)).astype(np.int32)
        written.append(tokens)
    expected = np.stack(written, axis=2)  # (3, 1, 5)
    np.testing.assert_array_equal(Sampler(network, 1, 5, 0.01)(features, [1, 2]), expected)


def test_temperature_1_changes_no_bit(make_network, make_split, vocabulary):
    network, features = make_network(len(vocabulary), seed=2), make_split(3, seed=1).features
    log_probs = network.begin(features)[0](tf.fill((3, 1), Vocabulary.start), network.begin(features)[1])[0]
    allowed = np.zeros(len(vocabulary), np.float32)
    allowed[[Vocabulary.pad, Vocabulary.start, Vocabulary.unknown]] = -np.inf
    seed = tf.random.experimental.stateless_fold_in(tf.constant([1, 2]), 0)  # of the first shard
    seed = tf.random.experimental.stateless_fold_in(seed, 0)  # of the first word
    rows = tf.repeat(tf.reshape(log_probs + allowed, (3, -1)), 50, axis=0)
    expected = tf.reshape(tf.random.stateless_categorical(rows, 1, seed, tf.int32), (3, 50))
    np.testing.assert_array_equal(Sampler(network, 50, 5)(features, [1, 2])[:, :, 0], expected)

    tokens = np.array([[[Vocabulary.start, 4, 5], [Vocabulary.start, 6, 0]]] * 3, np.int32)
    batch = {"features": features, "tokens": tokens, "positions": np.array([0, 1, 3, 6, 7, 9, 12, 13, 15], np.int32)}
    logits = network({**batch, "active": np.array([2, 2, 1])})
    targets, advantages = np.array([4, 5, 6] * 3, np.int32), np.linspace(-1, 2, 9).astype(np.float32)
    plain = SmoothedCrossEntropy(0.0, reduction=None)(targets, logits)
    words = {"targets": targets, "advantages": advantages, "from_people": np.zeros(9, np.float32)}
    sums, _ = PolicyLoss(network, 0.1, 0.2, 1.0).sums({**batch, **words}, [], training=False)
    np.testing.assert_array_equal(sums[0], tf.tensordot(advantages, plain, 1))


@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_the_gradient_is_that_of_the_formula(make_network, make_split, vocabulary, monkeypatch, temperature):
    """One step of plain gradient descent against the formula, caption by caption, without packing or shards."""
    network, split = make_network(len(vocabulary), seed=2), make_split(4, seed=1)
    before = [weight.numpy() for weight in network.trainable_variables]
    optimizer = keras.optimizers.SGD(1.0)
    optimizer.build(network.trainable_variables)
    monkeypatch.setattr(self_critical, "make_optimizer", lambda variables, config, steps, slow: optimizer)
    config = SelfCriticalConfig(
        1, samples=3, self_critical_temperature=temperature, caption_weight=0.5, captions_beside=2
    )
    context = Context(vocabulary, split, split, TrainingConfig(label_smoothing=0.1), DecodingConfig(max_length=5))
    training = SelfCritical(context.with_data(split, split), network, config)
    images = np.arange(4)
    sampled = training.sampler(split.features, [0, 1])
    found_rewards = training.rewards(images, sampled)
    np.testing.assert_allclose(advantages(found_rewards).sum(axis=1), 0, atol=1e-9)
    batch = training.pack(images, sampled, advantages(found_rewards), [0, 1, 0])
    training.step({"features": split.features, **batch}, [])
    moved = [old - new.numpy() for old, new in zip(before, network.trainable_variables, strict=True)]

    for weight, value in zip(network.trainable_variables, before, strict=True):
        weight.assign(value)
    rewards = np.array(
        [
            [training.reward(image, vocabulary.decode(each), Vocabulary.end in each) for each in sampled[image]]
            for image in images
        ]
    )
    np.testing.assert_allclose(found_rewards, rewards)
    with tf.GradientTape() as tape:
        policy, smoothed, words, of_data = 0.0, 0.0, 0, 0
        for image in images:
            memory = network.decoder.memory(split.features[image : image + 1])

            def log_probs(caption, divisor, memory=memory):
                tokens = np.array([[[Vocabulary.start, *caption[:-1]]]], np.int32)
                return tf.nn.log_softmax(network.decoder.predict(memory, tokens) / divisor)[0, 0]  # (T, V)

            for number, each in enumerate(sampled[image]):
                caption = [int(token) for token in each if token != Vocabulary.pad]
                advantage = rewards[image, number] - np.delete(rewards[image], number).mean()
                said = tf.gather(log_probs(caption, temperature), caption, batch_dims=1)
                policy, words = policy - advantage * tf.reduce_sum(said), words + len(caption)
            for each in split.captions[image]:
                caption = vocabulary.encode(each, 5)
                found = log_probs(caption, 1)
                target = 0.9 * np.eye(len(vocabulary), dtype=np.float32)[caption] + np.float32(0.1 / len(vocabulary))
                smoothed, of_data = smoothed - tf.reduce_sum(target * found), of_data + len(caption)
        loss = policy / words + 0.5 * smoothed / of_data
    for expected, found in zip(tape.gradient(loss, network.trainable_variables), moved, strict=True):
        np.testing.assert_allclose(found, tf.convert_to_tensor(expected), atol=2e-6)
    assert max(np.abs(each).max() for each in moved) > 1e-3


TRAINING = TrainingConfig(epochs=2, batch_size=4, learning_rate=0.05, warmup_steps=2, ema_momentum=0.5, seed=3)
CONFIG = SelfCriticalConfig(4, 0.02, samples=4)
DECODING = DecodingConfig(2, 0.5, 5)


@pytest.fixture
def train(make_network, make_split, vocabulary, tmp_path):
    """Returns a function that trains by cross-entropy, then self-critically, as a process started again would."""

    def run(directory):
        network, splits = make_network(len(vocabulary), seed=5, dropout=0.2), (make_split(8, 1), make_split(4, 2))
        context = Context(vocabulary, *splits, TRAINING, DECODING).with_data(*splits)
        first, second = (Checkpoint(tmp_path / directory / name, {}) for name in ("first", "second"))
        run_stage(CrossEntropy(context, network), first, Profile())
        return network, run_stage(SelfCritical(context, network, CONFIG), second, Profile())

    return run


@pytest.mark.long
def test_an_interrupted_training_ends_with_the_weights_of_one_that_was_not(train, monkeypatch, caplog):
    whole, expected = train("whole")

    class Stop(logging.Handler):
        def emit(self, record):
            if record.getMessage().startswith("epoch 2/4"):
                raise KeyboardInterrupt

    caplog.set_level("INFO", "captioner")
    with monkeypatch.context() as patch:
        patch.setattr(loop.log, "handlers", [Stop()])
        with pytest.raises(KeyboardInterrupt):
            train("stopped")
    caplog.clear()
    resumed, found = train("stopped")
    assert "resuming after epoch 2 of 4" in caplog.messages
    for one, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(expected.history, found.history, strict=True):
        assert {**one, "seconds": 0} == {**other, "seconds": 0}


@pytest.mark.long
def test_captions_of_its_own_become_better(make_network, make_split, vocabulary, tmp_path):
    network, split = make_network(len(vocabulary), seed=5), make_split(8, 1)
    training = dataclasses.replace(TRAINING, epochs=3, batch_size=2, patience=100)
    config = SelfCriticalConfig(30, 0.01, samples=8, caption_weight=0.0)
    context = Context(vocabulary, split, split, training, DECODING).with_data(split, split)
    first, second = (Checkpoint(tmp_path / name, {}) for name in ("first", "second"))
    before = run_stage(CrossEntropy(context, network), first, Profile())
    after = run_stage(SelfCritical(context, network, config), second, Profile())
    rewards = [row["reward"] for row in after.history]
    assert np.mean(rewards[-3:]) > 2 * rewards[0]
    both = before.followed_by(after)
    assert [row["epoch"] for row in both.history] == list(range(1, 34))
    assert both.best_epoch == 3 + after.best_epoch
