import math

import numpy as np
import pytest

from captioner.metrics.likelihood import likelihood


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
