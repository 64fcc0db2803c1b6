"""Confidence and familiarity fitted to numbers that can be followed by hand, and against scikit-free oracles."""

import numpy as np
import pytest

from captioner.config.model import CalibrationConfig
from captioner.model_files.calibration import Calibration, distances
from captioner.training.fitting.calibration import DevCaptions, fit_calibration, fit_table, principal_directions

RANDOM = np.random.default_rng(0)


def test_the_table_goes_through_the_means_of_equal_bins() -> None:
    scores = -np.arange(20, 0, -1.0)  # -20 ... -1, two a bin
    x, y = fit_table(scores, np.repeat(np.arange(10) / 10, 2))

    assert x.tolist() == [-20, *np.arange(-19.5, -1, 2), -1]
    assert y == pytest.approx([0, *np.arange(10) / 10, 0.925])  # 0.9 and a quarter of a step more; below 0 is nothing


def test_bins_that_fall_are_joined() -> None:
    scores = np.arange(10.0)
    x, y = fit_table(scores, np.array([0.1, 0.4, 0.2, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]))

    assert x[:4] == pytest.approx([0, 0, 2, 4])  # 1, 2 and 3 have the mean 2
    assert y[:4] == pytest.approx([0.1, 0.1, 0.3, 0.5])
    assert (np.diff(y) >= 0).all()


def test_a_score_that_says_nothing_gives_one_confidence() -> None:
    x, y = fit_table(RANDOM.standard_normal(200), np.full(200, 0.25))

    assert len(x) == 3
    assert y == pytest.approx([0.25] * 3)


def test_the_directions_are_those_of_a_singular_value_decomposition() -> None:
    means = (RANDOM.standard_normal((400, 8)) * np.arange(1, 9)) @ RANDOM.standard_normal((8, 20))
    found = principal_directions(means)
    standardised = (means - means.mean(axis=0)) / means.std(axis=0)
    V = np.linalg.svd(standardised, full_matrices=False)[2][:10]  # half of the channels
    expected = np.linalg.norm(standardised - standardised @ V.T @ V, axis=1)

    assert found["directions"].shape == (10, 20)
    assert distances(means, found) == pytest.approx(expected, abs=5e-3)  # the directions are kept in half precision


def test_few_photos_give_few_directions() -> None:
    assert principal_directions(RANDOM.standard_normal((40, 64)))["directions"].shape == (5, 64)
    assert principal_directions(RANDOM.standard_normal((3, 64)))["directions"].shape == (1, 64)


def test_one_of_twenty_dev_photos_is_unfamiliar_and_one_of_ten_doubtful() -> None:
    known, scores = _calibration()
    confidences = np.array([known.confidence(score, 1) for score in scores])

    assert known.config.photos == 400
    assert np.mean(confidences < known.config.least) == pytest.approx(0.1, abs=0.003)
    assert np.mean(distances(DEV, known.arrays) > known.config.unfamiliar) == pytest.approx(0.05, abs=0.003)
    assert [known.certainty(each) for each in (0.9, 0.5, 0.1)] == ["sure", "probably", "a guess"]


def test_at_most_one_of_twenty_of_the_surer_half_is_unfamiliar() -> None:
    directions = principal_directions(TRAIN)
    far = distances(DEV, directions)
    scores = far + RANDOM.standard_normal(400) * far.std() / 10  # the farther, the surer
    known = fit_calibration(
        directions, DEV, DevCaptions(scores, np.linspace(0, 1, 400)[scores.argsort().argsort()], 0.0)
    )

    confidences = np.array([known.confidence(each, 1) for each in scores])
    surest = far[confidences >= np.median(confidences)]
    assert np.mean(surest > known.config.unfamiliar) == pytest.approx(0.05, abs=0.003)
    assert np.mean(far > known.config.unfamiliar) < 0.03


def test_no_guess_is_in_the_surer_half_of_dev() -> None:
    scores = RANDOM.standard_normal(400)
    known = fit_calibration(
        principal_directions(TRAIN), DEV, DevCaptions(scores, 0.1 + 0.02 * scores, 0.0)
    )  # 0.5 is out of reach

    assert known.config.guess == pytest.approx(np.median([known.confidence(each, 1) for each in scores]))


def test_confidence_holds_out_of_sample() -> None:
    """Shares drawn with a known expectation are foretold to within their noise."""
    scores = RANDOM.uniform(-2, 0, 4000)
    shares = (RANDOM.random((4000, 5)) < (1 + scores / 2)[:, None]).mean(axis=1)  # five words, each right with this
    x, y = fit_table(scores[:2000], shares[:2000])
    bins = np.array_split(np.argsort(scores[2000:]) + 2000, 5)

    for each in bins:
        assert np.interp(scores[each], x, y).mean() == pytest.approx(shares[each].mean(), abs=0.04)


def test_a_photo_along_the_directions_is_familiar_and_one_across_is_not() -> None:
    arrays = {
        "scores": np.array([-1.0, 0.0]),
        "shares": np.array([0.0, 1.0]),
        "mean": np.array([1.0, 1.0], np.float32),
        "deviation": np.array([2.0, 0.5], np.float32),
        "directions": np.array([[1.0, 0.0]], np.float16),
    }
    known = Calibration(CalibrationConfig(unfamiliar=1.0, length_penalty=1.0), arrays)

    assert known.distance(np.array([[100.0, 1.0], [50.0, 1.5]])) == pytest.approx(0.5)  # (1.25 - 1) / 0.5
    assert known.is_familiar(np.array([[100.0, 1.5]]))  # the distance is 1
    assert not known.is_familiar(np.array([[1.0, 1.6]]))
    assert known.confidence(-2.0, 4) == pytest.approx(0.5)  # -2 / 4 = -0.5
    assert known.confidence(-9.0, 1) == 0
    assert known.confidence(-1.0, 0) == 0  # a caption of no words


TRAIN = RANDOM.standard_normal((600, 16))
DEV = RANDOM.standard_normal((400, 16))


def _calibration() -> tuple[Calibration, np.ndarray]:
    scores = RANDOM.uniform(-2, 0, 400)
    return fit_calibration(
        principal_directions(TRAIN), DEV, DevCaptions(scores, np.clip(1 + scores / 2, 0, 1), 0.7)
    ), scores
