import keras
import numpy as np
import pytest

from captioner.config.model import DecoderConfig
from captioner.models.captioner import CaptionModel
from captioner.training.normalized_mse import NormalizedMSE

UNITS = 8


@pytest.fixture
def teacher() -> CaptionModel:
    return CaptionModel(DecoderConfig("rnn", UNITS, 6, 5, 0.0, 9, 4, 3))


def test_the_measure_is_one_for_the_mean_and_zero_for_the_truth(teacher):
    targets = np.random.default_rng(6).normal(2.0, 3.0, (400, 4, UNITS)).astype(np.float32)
    mse = NormalizedMSE(targets, teacher)
    np.testing.assert_allclose(mse(targets, targets), 0.0, atol=1e-6)
    guess = np.broadcast_to(targets.mean(axis=(0, 1)), targets.shape)
    np.testing.assert_allclose(mse(guess, targets) / len(targets), 1.0, rtol=1e-3)


def test_the_measure_weighs_what_the_keys_are_made_of(teacher):
    targets = np.random.default_rng(7).normal(size=(50, 4, UNITS)).astype(np.float32)
    kernel = keras.ops.convert_to_numpy(teacher.decoder.attention.key.kernel)  # (U, A), A < U
    unread = np.linalg.svd(kernel.T)[2][-1].astype(np.float32)  # a direction that no key sees
    regions, keys, mean = np.asarray(NormalizedMSE(targets, teacher)(targets + unread, targets))
    assert keys == pytest.approx(0.0, abs=1e-6)
    variance = np.mean(np.square(targets - targets.mean(axis=(0, 1))))
    assert regions == pytest.approx(50 / UNITS / variance, rel=1e-4)
    assert mean > 0
