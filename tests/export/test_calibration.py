"""Confidence and familiarity in a graph are those of `Calibration`, in NumPy."""

import math
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from captioner.config.model import CalibrationConfig
from captioner.export.calibration import CalibrationGraph
from captioner.model_files.calibration import Calibration


def confidence(known, log_probs, lengths):
    values = tf.constant(log_probs, tf.float64), tf.constant(lengths, tf.int32)
    return CalibrationGraph(known).confidence(*values).numpy()


def test_confidence_by_hand():
    arrays = {"scores": np.float32([-1, -0.5]), "shares": np.float32([0.25, 0.75]), **_one_direction()}
    known = Calibration(CalibrationConfig(length_penalty=1.0, points=2), arrays)
    found = confidence(known, [[-2.0, -3.0, -9.0, -0.1, -1.0]], [[2, 4, 1, 1, 0]])

    assert found.dtype == np.float32
    assert found[0] == pytest.approx([0.25, 0.5, 0.25, 0.75, 0.25])  # -1; -0.75; below; above; -1, of no tokens


@pytest.mark.parametrize("penalty", [0.0, 0.4, 1.3])
def test_confidence_is_that_of_numpy(known, penalty):
    known = replace(known, config=replace(known.config, length_penalty=penalty))
    draw = np.random.default_rng(4)
    log_probs, lengths = -draw.exponential(15, (50, 3)), draw.integers(0, 9, (50, 3))
    log_probs[:4, 0], lengths[:4, 0] = [-20, -8, -3, 0], 1  # the points themselves
    expected = [known.confidence(*each) for each in zip(log_probs.flat, lengths.flat, strict=True)]

    np.testing.assert_allclose(confidence(known, log_probs, lengths).ravel(), expected, atol=1e-7)


def test_points_in_one_place_are_no_slope():
    """A table has such points where many captions have the lowest score, and where all have the same."""
    for scores, shares in [([-1, -1, 0], [0.25, 0.5, 1]), ([-1, -1, -1], [0.5] * 3), ([-1, 0, 0], [0.25, 0.5, 1])]:
        arrays = {"scores": np.float32(scores), "shares": np.float32(shares), **_one_direction()}
        known = Calibration(CalibrationConfig(points=3), arrays)
        asked = [-2.0, -1.0, -0.5, 0.0]
        expected = [known.confidence(each, 1) for each in asked]

        np.testing.assert_allclose(confidence(known, [asked], [[1] * 4])[0], expected, atol=1e-7)


def test_no_caption_has_no_confidence(known):
    found = confidence(known, [[-3.0, -math.inf]], [[1, 0]])

    assert found[0, 0] == pytest.approx(0.75)
    assert np.isnan(found[0, 1])


def test_familiarity_by_hand():
    arrays = {"scores": np.float32([-1, 0]), "shares": np.float32([0, 1]), **_one_direction()}
    graph = CalibrationGraph(Calibration(CalibrationConfig(unfamiliar=1.0), arrays))
    # Along the first channel all is familiar; across it (1.5 - 1) / 0.5 is 1, and (1.6 - 1) / 0.5 more than that
    features = tf.constant([[[100, 1.0], [50, 2.0]], [[1, 1.0], [1, 2.2]]])

    assert graph.is_familiar(features).numpy().tolist() == [True, False]


def test_familiarity_is_that_of_numpy(known):
    features = np.random.default_rng(5).normal(scale=0.1, size=(200, 4, 6)).astype(np.float32)
    distances = [known.distance(each) for each in features]
    middle = sorted(distances)[99:101]  # far from both
    known = replace(known, config=replace(known.config, unfamiliar=float(np.mean(middle))))
    found = CalibrationGraph(known).is_familiar(tf.constant(features)).numpy()

    assert found.tolist() == [known.is_familiar(each) for each in features]
    assert found.sum() == 100


def test_no_images_give_nothing(known):
    assert confidence(known, np.zeros((0, 3)), np.zeros((0, 3))).shape == (0, 3)
    assert CalibrationGraph(known).is_familiar(tf.zeros((0, 4, 6))).shape == (0,)


def _one_direction():
    return {
        "mean": np.float32([1, 1]),
        "deviation": np.float32([2, 0.5]),
        "directions": np.float16([[1, 0]]),
    }
