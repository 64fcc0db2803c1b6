"""Self-critical training: the network draws captions, and learns which of them are better."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from captioner.config.training import SelfCriticalConfig
from captioner.metrics.bleu import bleu_counts, bleu_of
from captioner.metrics.cider import CiderD
from captioner.models.captioner import CaptionModel
from captioner.models.tuned_model import TunedModel
from captioner.system.prefetch import prefetch_map
from captioner.text import END, Vocabulary
from captioner.training.caption_loss import CaptionLoss
from captioner.training.context import Context
from captioner.training.evaluator import Evaluator
from captioner.training.inputs.batches import pack
from captioner.training.loop import Row
from captioner.training.optimizer import make_optimizer
from captioner.training.precision import in_float32
from captioner.training.sampler import Sampler
from captioner.training.shards import shards
from captioner.training.stages.caption_stage import CaptionStage
from captioner.training.step import Batch, States, Step


class Reward:
    """The reward of a caption of a training photo: CIDEr-D against its captions, or a mixture with BLEU-4; 0 to 10.

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
        generated = [*words, END] if finished else list(words)
        reward = self._cider.score(photo, generated)
        if self._bleu_weight:
            bleu = 10 * bleu_of([bleu_counts(generated, self._references[photo])])[3]
            reward += self._bleu_weight * (bleu - reward)
        return reward


class PolicyLoss(CaptionLoss):
    """The policy gradient's loss on samples, and the cross-entropy of captions of the data beside them.

        mean over the samples' words of advantage * -log p(word)  +  caption_weight * smoothed cross-entropy

    p is the distribution that the samples were drawn from, softmax(logits / temperature). The cross-entropy has no
    temperature.

    Args:
        network: what is trained.
        label_smoothing: of the cross-entropy.
        caption_weight: of the cross-entropy.
        temperature: that the samples were drawn at.
    """

    names: ClassVar[tuple[str, ...]] = ("policy", "smoothed", "cross_entropy", "words")

    def __init__(
        self, network: CaptionModel | TunedModel, label_smoothing: float, caption_weight: float, temperature: float
    ) -> None:
        super().__init__(network, label_smoothing)
        self._caption_weight, self._temperature = caption_weight, temperature

    def sums(self, batch: Batch, states: States, training: bool) -> tuple[list[tf.Tensor], States]:
        """Return the sums over a batch whose words have `advantages` (N,), and 1 or 0 as `from_people` (N,)."""
        parts = []
        for own in shards(batch):
            targets, advantages, people = (own.pop(name) for name in ("targets", "advantages", "from_people"))
            logits = self.network(own, training=training)
            smoothed, plain = self._smoothed(targets, logits), self._plain(targets, logits)
            tempered = plain if self._temperature == 1 else self._plain(targets, logits / self._temperature)
            pairs = ((advantages, tempered), (people, smoothed), (people, plain))
            parts.append([*(tf.tensordot(*each, 1) for each in pairs), tf.reduce_sum(people)])
        return [tf.add_n(each) for each in zip(*parts, strict=True)], states

    def loss(self, sums: dict[str, tf.Tensor], batch: Batch) -> tf.Tensor:
        """Return the loss of the batch."""
        people = tf.reduce_sum(batch["from_people"])
        samples = tf.maximum(1.0, tf.cast(tf.size(batch["from_people"]), tf.float32) - people)
        return sums["policy"] / samples + self._caption_weight * sums["smoothed"] / tf.maximum(1.0, people)


class SelfCritical(CaptionStage):
    """Policy gradient on captions that the network draws (Rennie et al. 2017), each compared with the others.

    The advantage of a sample is its reward less the mean reward of the photo's other samples (Luo 2020). Captions of
    the data, learned beside, hold the network near to how people write.

    Args:
        context: what all stages share, with what the network reads: features, or the grids of frozen layers.
        network: a trained decoder; or one with the encoder's last layers, which are trained too, at a separate rate.
        config: epochs, rates, samples and their temperature.
    """

    monitor = "reward"
    by_loss = False  # what it lowers is not the loss on dev
    rate_option = "--self-critical-rate"

    def __init__(self, context: Context, network: CaptionModel | TunedModel, config: SelfCriticalConfig) -> None:
        super().__init__(
            context.with_settings(epochs=config.self_critical_epochs, learning_rate=config.self_critical_rate)
        )
        self.network, self.config = network, config
        self.variables = network.trainable_variables
        tuned = isinstance(network, TunedModel)
        slow = (network.layers_behind.trainable_variables if tuned else (), config.self_critical_encoder_rate)
        self.optimizer = make_optimizer(self.variables, self.context.training, self.epochs * len(self), slow)
        self.reward = Reward(context.train.captions, config.bleu_weight)
        temperature = config.self_critical_temperature
        sampled = (config.samples, context.decoding.max_length, temperature)
        self.sampler = Sampler(network.captioner, *sampled, network.features) if tuned else Sampler(network, *sampled)
        loss = PolicyLoss(network, context.training.label_smoothing, config.caption_weight, temperature)
        self.step = Step(loss, self.optimizer, self.variables, context.profile)
        self.scored = in_float32(network)
        self.evaluator = Evaluator.of(self.context, self.scored)

    def __len__(self) -> int:
        """Count the batches of an epoch."""
        return -(-len(self.context.train.rows) // self.context.training.batch_size)

    def train_epoch(self, epoch: int, on_batch: Callable[[float], None]) -> Row:
        """Train on all photos; return the samples' mean reward, and the cross-entropy a word of people's captions."""
        seed, profile = self.context.training.seed, self.context.profile
        self.network.reseed(seed, epoch)
        rewards, words, cross_entropy = 0.0, 0.0, 0.0
        for number, (images, features) in enumerate(self._batches(seed, epoch)):
            with profile.phase("draw captions"):
                samples = self.sampler(features, [seed, epoch << 16 | number])  # (B, K, T)
            with profile.phase("reward them"):
                batch_rewards = self.rewards(images, samples)  # (B, K)
            batch = self.pack(images, samples, advantages(batch_rewards), [seed, epoch, number])
            sums, _ = self.step({"features": features, **batch}, [])
            rewards += float(batch_rewards.mean())
            cross_entropy, words = cross_entropy + sums["cross_entropy"], words + sums["words"]
            on_batch(rewards / (number + 1))
        return {"reward": rewards / len(self), "cross_entropy": cross_entropy / words}

    def _batches(self, seed: int, epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the numbers of images (B,) and the features of one of their views (B, L, D)."""
        train, batch_size = self.context.train, self.context.training.batch_size
        rng = np.random.default_rng([seed, epoch])
        order = rng.permutation(len(train.rows))
        rows = np.asarray(train.rows) + rng.integers(train.views, size=len(train.rows))
        batches = [order[at : at + batch_size] for at in range(0, len(order), batch_size)]
        return prefetch_map(lambda images: (images, train.features[rows[images]]), batches)

    def rewards(self, images: np.ndarray, samples: np.ndarray) -> np.ndarray:
        """Return the reward of each sample int32 (B, K, T) of the images of these numbers (B,), as (B, K)."""
        ends = (samples == Vocabulary.end).any(axis=-1)  # (B, K)
        decode = self.context.vocabulary.decode
        return np.array(
            [
                [
                    self.reward(image, decode(caption.tolist()), bool(end))
                    for caption, end in zip(captions, ended, strict=True)
                ]
                for image, captions, ended in zip(images.tolist(), samples, ends, strict=True)
            ]
        )

    def pack(self, images: np.ndarray, samples: np.ndarray, advantages: np.ndarray, seeds: Sequence[int]) -> Batch:
        """Lay out samples (B, K, T) with their advantages (B, K) and captions of the data as one batch."""
        rng = np.random.default_rng(seeds)
        packed: list[list[list[int]]] = []
        weights: list[tuple[float, float, int]] = []  # of a caption: advantage, whether of the data, length
        for image, captions, values in zip(images.tolist(), samples, advantages.tolist(), strict=True):
            both = [
                (caption[caption != Vocabulary.pad].tolist(), value, 0.0)
                for caption, value in zip(captions, values, strict=True)
            ]
            own = self.context.train.tokens[image]
            chosen = rng.choice(len(own), min(len(own), self.config.captions_beside), replace=False)
            both += [(list(own[number]), 0.0, 1.0) for number in chosen.tolist()]
            both.sort(key=lambda each: -len(each[0]))
            packed.append([caption for caption, _, _ in both])
            weights += [(value, people, len(caption)) for caption, value, people in both]
        values, people, lengths = np.array(weights, np.float32).T
        lengths = lengths.astype(int)
        of_words: dict[str, Any] = {"advantages": np.repeat(values, lengths), "from_people": np.repeat(people, lengths)}
        return pack(packed, max(map(len, packed))) | of_words


def advantages(rewards: np.ndarray) -> np.ndarray:
    """Return each reward (B, K) less the mean of the image's others."""
    others = (rewards.sum(axis=1, keepdims=True) - rewards) / (rewards.shape[1] - 1)
    return rewards - others
