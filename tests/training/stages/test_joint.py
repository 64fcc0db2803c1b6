import keras
import numpy as np
import pytest
import tensorflow as tf

from captioner.config.decoding import DecodingConfig
from captioner.config.model import DecoderConfig, EncoderConfig, ModelConfig
from captioner.config.training import ImitationConfig
from captioner.models.captioner import CaptionModel
from captioner.models.photo_model import PhotoModel
from captioner.text import Vocabulary
from captioner.training import devices
from captioner.training.inputs import distillation
from captioner.training.normalized_mse import NormalizedMSE
from captioner.training.stages.joint import DistillationTargets, JointLoss
from captioner.training.step import Step

PHOTOS, SIZE, REGIONS, UNITS, WORDS, KNOWN, KEPT = 4, 48, 4, 8, 11, 9, 3
FEATURES = np.random.default_rng(1).normal(size=(PHOTOS, REGIONS, 3)).astype(np.float32)


@pytest.fixture
def network() -> PhotoModel:
    encoder = EncoderConfig("compact", "grid", 75)
    object.__setattr__(encoder, "image_size", SIZE)  # smaller than any configuration may say
    decoder = DecoderConfig("rnn", UNITS, 6, 5, 0.5, WORDS, REGIONS, 288)
    return PhotoModel(ModelConfig(encoder, decoder, DecodingConfig()))


@pytest.fixture
def teacher() -> CaptionModel:
    """A decoder that is sure of itself, and does not know the last words of the pupil."""
    network = CaptionModel(DecoderConfig("rnn", UNITS, 6, 5, 0.5, KNOWN, REGIONS, 3))
    network.set_weights([3 * weight for weight in network.get_weights()])
    return network


@pytest.fixture
def batch(teacher) -> dict[str, np.ndarray]:
    """Photos with two captions of up to four words each, which are neither turned nor recoloured."""
    rng = np.random.default_rng(2)
    words = rng.integers(4, WORDS, (PHOTOS, 2, 4)).astype(np.int32)
    words[0, :, 1], words[2, 1, 3] = WORDS - 1, Vocabulary.pad
    tokens = np.concatenate([np.full((PHOTOS, 2, 1), Vocabulary.start, np.int32), words[..., :-1]], axis=2)
    positions = np.flatnonzero(words).astype(np.int32)
    return {
        "images": rng.integers(0, 256, (PHOTOS, SIZE, SIZE, 3)).astype(np.uint8),
        "transforms": np.tile(np.float32([1, 0, 0, 0, 1, 0, 0, 0]), (PHOTOS, 1)),
        "colours": np.tile(np.eye(4, 3, dtype=np.float32), (PHOTOS, 1, 1)),
        "teacher_regions": keras.ops.convert_to_numpy(teacher.decoder.regions(FEATURES)).astype(np.float16),
        "tokens": tokens,
        "positions": positions,
        "targets": words.reshape(-1)[positions],
    }


def log_softmax(logits) -> np.ndarray:
    logits = keras.ops.convert_to_numpy(logits).astype(float)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def said_by(network: PhotoModel, batch) -> np.ndarray:
    """The pupil's log-probabilities (N, V), of whole batches, by the network as it predicts."""
    images = batch["images"] / np.float32(127.5) - 1
    return log_softmax(network({"images": images, "tokens": batch["tokens"], "positions": batch["positions"]}))


def likeliest_of(teacher: CaptionModel, batch) -> np.ndarray:
    """The teacher's probabilities (N, V) of the words that it thinks likeliest, which sum to one."""
    tokens = np.where(batch["tokens"] < KNOWN, batch["tokens"], Vocabulary.unknown)
    logits = teacher({"features": FEATURES, "tokens": tokens, "positions": batch["positions"]})
    probabilities = np.exp(log_softmax(logits))
    probabilities[probabilities < np.sort(probabilities, axis=1)[:, [-KEPT]]] = 0
    return np.pad(probabilities / probabilities.sum(axis=1, keepdims=True), [(0, 0), (0, WORDS - KNOWN)])


@pytest.mark.parametrize("cores", [1, 2])
def test_the_loss_is_of_people_of_the_teacher_and_of_its_regions(network, teacher, batch, monkeypatch, cores):
    monkeypatch.setattr(devices, "available_cores", lambda: cores)
    monkeypatch.setattr(distillation, "KEPT", KEPT)
    log_probs, rows = said_by(network, batch), np.arange(len(batch["targets"]))
    people = -log_probs[rows, batch["targets"]]
    smoothed = 0.9 * people - 0.1 * log_probs.mean(axis=1)
    taught = -(likeliest_of(teacher, batch) * log_probs).sum(axis=1)
    mse = NormalizedMSE(batch["teacher_regions"], teacher)
    regions = network.regions(batch["images"] / np.float32(127.5) - 1)
    errors = np.asarray(mse(regions, batch["teacher_regions"]))

    config = ImitationConfig(imitation_weight=0.25, distillation=0.6)
    loss = JointLoss(network, 0.1, DistillationTargets(teacher, mse, config))
    sums = Step(loss).over([batch])
    expected = {
        "loss": (0.4 * smoothed + 0.6 * taught).sum(),
        "cross_entropy": people.sum(),
        "words": len(rows),
        "error": errors.sum(),
    }
    assert sums == pytest.approx(expected, rel=1e-3)  # the regions are in half precision
    whole = loss.loss({name: tf.constant(value, tf.float32) for name, value in sums.items()}, batch)
    assert float(whole) == pytest.approx(sums["loss"] / len(rows) + 0.25 * sums["error"] / PHOTOS, rel=1e-5)


def test_without_a_teacher_the_loss_is_of_people_alone(network, batch):
    del batch["teacher_regions"]
    log_probs, rows = said_by(network, batch), np.arange(len(batch["targets"]))
    people = -log_probs[rows, batch["targets"]]
    smoothed = 0.9 * people - 0.1 * log_probs.mean(axis=1)
    loss = JointLoss(network, 0.1, None)
    sums = Step(loss).over([batch])
    expected = {"loss": smoothed.sum(), "cross_entropy": people.sum(), "words": len(rows), "error": 0.0}
    assert sums == pytest.approx(expected, rel=1e-5)
    whole = loss.loss({name: tf.constant(value, tf.float32) for name, value in sums.items()}, batch)
    assert float(whole) == pytest.approx(smoothed.mean(), rel=1e-5)
