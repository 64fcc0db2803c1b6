import numpy as np
import pytest

from captioner.decoding.hypothesis import Hypothesis, length_normalised


@pytest.mark.parametrize(("length_penalty", "expected"), [(0.0, -6.0), (0.5, -3.0), (1.0, -1.5), (2.0, -0.375)])
def test_length_normalised(length_penalty, expected):
    assert length_normalised(-6.0, 4, length_penalty) == expected


def test_hypotheses_with_attention_compare_and_hash():
    first, second = (Hypothesis((2, 3), -1.0, -1.0, True, np.full((2, 4), weight)) for weight in (0.25, 0.5))
    assert first == second
    assert len({first, second}) == 1
    assert first != Hypothesis((3, 2), -1.0, -1.0, True, None)
