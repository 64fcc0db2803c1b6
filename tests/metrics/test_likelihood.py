import math

import numpy as np
import pytest

from captioner.metrics.likelihood import RunningLikelihood, likelihood


def test_a_fair_coin_takes_a_bit_and_a_die_two_and_a_half():
    assert likelihood([math.log(2)] * 3) == pytest.approx(
        {
            "log_probability": -3 * math.log(2),
            "characters": 3,
            "nats_per_char": math.log(2),
            "bits_per_char": 1.0,
            "perplexity": 2.0,
        }
    )
    assert likelihood([math.log(6)])["perplexity"] == pytest.approx(6)
    assert likelihood([math.log(6)])["bits_per_char"] == pytest.approx(2.585, abs=1e-3)


def test_it_is_the_mean_that_counts():
    found = likelihood([0.0, 1.0, 2.0])
    assert (found["nats_per_char"], found["log_probability"]) == (1.0, -3.0)


def test_many_small_numbers_in_float32_are_summed_exactly():
    surprisals = np.full(1_000_000, 0.1, np.float32)
    assert likelihood(surprisals)["nats_per_char"] == pytest.approx(float(np.float32(0.1)), rel=1e-12)


def test_how_a_text_is_cut_changes_no_figure():
    surprisals = np.random.default_rng(0).exponential(2, 50_001).astype(np.float32)
    whole = likelihood(surprisals)
    assert whole["log_probability"] == -float(np.sum(surprisals, dtype=np.float64))
    for size in (1, 7, 1024, 8192, 20_000):
        running = RunningLikelihood()
        for first in range(0, len(surprisals), size):
            running.add(surprisals[first : first + size])
        assert running.scores() == whole
    running = RunningLikelihood()
    running.add([1.0])
    assert running.scores()["nats_per_char"] == 1
    running.add([])
    running.add([0.0])
    assert (running.characters, running.scores()["nats_per_char"]) == (2, 0.5)  # one may ask before the end
