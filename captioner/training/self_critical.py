"""Self-critical training: the network says captions of its own, and learns from which of them are better."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import keras
import numpy as np
import tensorflow as tf

from captioner.ahead import ahead
from captioner.config import DecodingConfig, SelfCriticalConfig, TrainingConfig
from captioner.decoding.captions import BANNED
from captioner.metrics.bleu import bleu_counts, bleu_of
from captioner.metrics.cider import CiderD
from captioner.models.captioner import CaptionModel
from captioner.text import END, Vocabulary
from captioner.training.batches import pack
from captioner.training.checkpoint import Checkpoint, Progress
from captioner.training.epochs import Judge, run_epochs
from captioner.training.graphs import Graphs
from captioner.training.loss import SmoothedCrossEntropy
from captioner.training.optimizer import make_optimizer
from captioner.training.precision import in_float32
from captioner.training.profile import Profile
from captioner.training.shards import shard_bounds, shards
from captioner.training.split import Split, encode_captions


class Reward:
    """How good a caption is for a training photo: CIDEr-D against its captions, or a mixture with BLEU-4; 0 to 10.

    `<end>` counts as a word, in the references too: without it the fewest words that score are the best caption, and
    sentences learn to break off (Rennie et al. 2017 found it so; so did we).

    Args:
        captions: of each photo, its captions as lists of words; the document frequencies are theirs.
        bleu_weight: share of BLEU-4.
    """

    def __init__(self, captions: Sequence[Sequence[Sequence[str]]], bleu_weight: float = 0.0) -> None:
        self._references = [[[*words, END] for words in each] for each in captions]
        self._cider = CiderD(self._references)
        self._bleu_weight = bleu_weight

    def __call__(self, photo: int, words: Sequence[str], finished: bool) -> float:
        """Return the reward of a caption; one that was cut off has no `<end>`."""
        said = [*words, END] if finished else list(words)
        reward = self._cider.score(photo, said)
        if self._bleu_weight:
            bleu = 10 * bleu_of([bleu_counts(said, self._references[photo])])[3]
            reward += self._bleu_weight * (bleu - reward)
        return reward


class Sampler:
    """Draws captions from a network, word by word with the probabilities that it gives, compiled.

    Args:
        network: the model.
        samples: captions for each image (K).
        max_length: the most tokens of a caption, its end included (T).
    """

    def __init__(self, network: CaptionModel, samples: int, max_length: int) -> None:
        self.network = network
        self.samples = samples
        self.max_length = max_length
        words = network.config.vocabulary_size
        self._allowed = np.where(np.isin(np.arange(words), BANNED), -np.inf, 0.0).astype(np.float32)  # (V,)
        self._graph = tf.function(self._sharded, reduce_retracing=True, autograph=False)

    def __call__(self, features: np.ndarray, seed: Sequence[int]) -> np.ndarray:
        """Return captions int32 (B, K, T) for features (B, L, D), padded behind their ends.

        Args:
            features: of B images.
            seed: two numbers; the same give the same captions.
        """
        return self._graph(features, tf.constant(seed, tf.int32)).numpy()

    def _sharded(self, features: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        parts = enumerate(shard_bounds(tf.shape(features)[0]))
        drawn = [
            self._draw(features[begin:end], tf.random.experimental.stateless_fold_in(seed, part))
            for part, (begin, end) in parts
        ]
        return tf.concat(drawn, axis=0)

    def _draw(self, features: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        step, states = self.network.begin(features)
        count, K, T = tf.shape(features)[0], self.samples, self.max_length
        states = [tf.repeat(state, K, axis=1) for state in states]

        def advance(time: tf.Tensor, tokens: tf.Tensor, said: tf.Tensor, *states: tf.Tensor) -> tuple[tf.Tensor, ...]:
            log_probs, after, _ = step(tokens, list(states))  # (B, K, V)
            rows = tf.reshape(tf.cast(log_probs, tf.float32) + self._allowed, (-1, len(self._allowed)))  # (B*K, V)
            own = tf.random.experimental.stateless_fold_in(seed, time)
            drawn = tf.random.stateless_categorical(rows, 1, own, tf.int32)
            ended = (tokens == Vocabulary.end) | (tokens == Vocabulary.pad)
            tokens = tf.where(ended, Vocabulary.pad, tf.reshape(drawn, (count, K)))
            said = tf.concat([said[:, :, :time], tokens[:, :, None], said[:, :, time + 1 :]], axis=2)
            said.set_shape((None, K, T))
            return time + 1, tokens, said, *after

        def going_on(time: tf.Tensor, tokens: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
            return (time < T) & tf.reduce_any((tokens != Vocabulary.end) & (tokens != Vocabulary.pad))

        first = tf.fill((count, K), Vocabulary.start)
        said = tf.fill((count, K, T), Vocabulary.pad)
        said.set_shape((None, K, T))
        return tf.while_loop(going_on, advance, [tf.constant(0), first, said, *states])[2]


class SelfCriticalTraining:
    """Policy gradient on captions that the network draws (Rennie et al. 2017), each compared with the others.

    The advantage of a sample is its reward less the mean reward of the photo's other samples (Luo 2020), and what is
    lowered is

        mean over the samples' words of advantage * -log p(word)  +  caption_weight * smoothed cross-entropy

    where the second, over captions of the data, holds the network near to how people write.

    Args:
        network: what is trained.
        vocabulary: its words.
        train: the photos.
        config: the settings.
        batch_size: photos a step.
        label_smoothing: of the cross-entropy.
        max_length: the most tokens of a caption.
        optimizer: built for the network's variables.
        profile: takes the time.
    """

    def __init__(
        self,
        network: CaptionModel,
        vocabulary: Vocabulary,
        train: Split,
        config: SelfCriticalConfig,
        batch_size: int,
        label_smoothing: float,
        max_length: int,
        optimizer: keras.optimizers.Optimizer,
        profile: Profile | None = None,
    ) -> None:
        self.network = network
        self.profile = profile or Profile()
        self.vocabulary = vocabulary
        self.train = train
        self.config = config
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.reward = Reward(train.captions, config.bleu_weight)
        self._encoded = encode_captions(train.captions, vocabulary, max_length)
        self._sampler = Sampler(network, config.samples, max_length)
        self._smoothed = SmoothedCrossEntropy(label_smoothing, reduction=None)
        self._plain = SmoothedCrossEntropy(0.0, reduction=None)
        self._graphs = Graphs(self._run)

    def __len__(self) -> int:
        """Count the batches of an epoch."""
        return -(-len(self.train.rows) // self.batch_size)

    def epoch(self, seed: int, epoch: int, seen: Callable[[float], None]) -> dict[str, float]:
        """Train for an epoch that depends on these two numbers alone; `seen` is told the mean reward so far.

        Returns:
            the mean reward of the samples, and the cross-entropy a word of the captions beside.
        """
        self.network.reseed(seed, epoch)
        rewards, words, cross_entropy = 0.0, 0.0, 0.0
        for number, (images, features) in enumerate(self._batches(seed, epoch)):
            with self.profile.phase("draw captions"):
                sampled = self._sampler(features, [seed, epoch << 16 | number])  # (B, K, T)
            with self.profile.phase("reward them"):
                advantages, mean = self._judge(images, sampled)
            inputs, targets, of_rewards, of_captions = self._packed(images, sampled, advantages, [seed, epoch, number])
            with self.profile.phase("train"):
                lost = self._step({"features": features, **inputs}, targets, of_rewards, of_captions)
            rewards, cross_entropy, words = rewards + mean, cross_entropy + lost, words + float(of_captions.sum())
            seen(rewards / (number + 1))
        return {"reward": rewards / len(self), "cross_entropy": cross_entropy / words}

    def _batches(self, seed: int, epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        rng = np.random.default_rng([seed, epoch])
        order = rng.permutation(len(self.train.rows))
        rows = np.asarray(self.train.rows) + rng.integers(self.train.views, size=len(self.train.rows))
        lots = [order[at : at + self.batch_size] for at in range(0, len(order), self.batch_size)]
        return ahead(lambda images: (images, self.train.features[rows[images]]), lots)

    def _judge(self, images: np.ndarray, sampled: np.ndarray) -> tuple[np.ndarray, float]:
        """Return the advantage of each sample (B, K), and the mean reward."""
        ends = sampled == Vocabulary.end  # (B, K, T)
        rewards = np.array(
            [
                [
                    self.reward(image, self.vocabulary.decode(caption.tolist()), bool(end.any()))
                    for caption, end in zip(captions, ended, strict=True)
                ]
                for image, captions, ended in zip(images.tolist(), sampled, ends, strict=True)
            ]
        )
        K = rewards.shape[1]
        others = (rewards.sum(axis=1, keepdims=True) - rewards) / (K - 1)
        return rewards - others, float(rewards.mean())

    def _packed(
        self, images: np.ndarray, sampled: np.ndarray, advantages: np.ndarray, seeds: Sequence[int]
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray]:
        """Lay out samples and captions as one batch.

        Returns:
            the inputs; the words to predict (N,); the weight of each in the policy gradient; 1 where it counts in the
            cross-entropy, else 0.
        """
        rng = np.random.default_rng(seeds)
        chosen: list[list[list[int]]] = []
        weights: list[tuple[float, float, int]] = []  # of a caption: advantage, whether of the data, length
        for image, captions, advantage in zip(images.tolist(), sampled, advantages, strict=True):
            both = [
                (caption[caption != Vocabulary.pad].tolist(), value, 0.0)
                for caption, value in zip(captions, advantage.tolist(), strict=True)
            ]
            own = self._encoded[image]
            beside = rng.choice(len(own), min(len(own), self.config.captions_beside), replace=False)
            both += [(own[number], 0.0, 1.0) for number in beside.tolist()]
            both.sort(key=lambda each: -len(each[0]))
            chosen.append([caption for caption, _, _ in both])
            weights += [(value, data, len(caption)) for caption, value, data in both]
        inputs, targets = pack(chosen, max(map(len, chosen)))
        values, data, lengths = np.array(weights, np.float32).T
        lengths = lengths.astype(int)
        return inputs, targets, np.repeat(values, lengths), np.repeat(data, lengths)

    def _step(
        self, inputs: dict[str, np.ndarray], targets: np.ndarray, of_rewards: np.ndarray, of_captions: np.ndarray
    ) -> float:
        batch = (inputs, targets, of_rewards, of_captions)
        return float(self._graphs.of(*batch)(*batch))

    def _run(
        self, inputs: dict[str, tf.Tensor], targets: tf.Tensor, of_rewards: tf.Tensor, of_captions: tf.Tensor
    ) -> tf.Tensor:
        """Take a step; return the sum of the cross-entropy over the words of the captions."""
        captions = tf.maximum(1.0, tf.reduce_sum(of_captions))
        samples = tf.maximum(1.0, tf.cast(tf.size(targets), tf.float32) - tf.reduce_sum(of_captions))
        with tf.GradientTape() as tape:
            sums = []
            for own, (following, rewarded, taught) in shards(inputs, targets, of_rewards, of_captions):
                logits = self.network(own, training=True)
                plain, smoothed = self._plain(following, logits), self._smoothed(following, logits)  # (N,)
                sums.append(
                    [tf.tensordot(*each, 1) for each in ((rewarded, plain), (taught, smoothed), (taught, plain))]
                )
            policy, smoothed, plain = (tf.add_n(each) for each in zip(*sums, strict=True))
            loss = policy / samples + self.config.caption_weight * smoothed / captions
        variables = self.network.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return plain


def fit_self_critically(
    network: CaptionModel,
    vocabulary: Vocabulary,
    train: Split,
    dev: Split,
    training: TrainingConfig,
    config: SelfCriticalConfig,
    decoding: DecodingConfig,
    checkpoint: Checkpoint,
    report: Callable[[str], None],
    profile: Profile | None = None,
) -> Progress:
    """Go on with a trained `network` by its own captions; leave it with the weights of the epoch best by dev CIDEr-D.

    Returns:
        the epochs' figures and which was best.
    """
    stage = replace(training, epochs=config.self_critical_epochs, learning_rate=config.self_critical_rate)
    profile = profile or Profile()
    optimizer = make_optimizer(network, stage, stage.epochs * -(-len(train.rows) // stage.batch_size))
    criticism = SelfCriticalTraining(
        network,
        vocabulary,
        train,
        config,
        stage.batch_size,
        stage.label_smoothing,
        decoding.max_length,
        optimizer,
        profile,
    )
    scored = in_float32(network)
    judge = Judge(scored, vocabulary, lambda: dev, stage, decoding, profile)
    learn = partial(criticism.epoch, stage.seed)
    return run_epochs(
        network, scored, optimizer, len(criticism), learn, judge, stage, checkpoint, report, profile, "reward"
    )
