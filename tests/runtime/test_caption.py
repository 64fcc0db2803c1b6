import numpy as np

from captioner.runtime.caption import Candidate, Caption

ATTENTION = np.full((2, 64), 1 / 64, np.float32)
CANDIDATE = Candidate(("a", "dog"), -0.5049, ATTENTION)


def test_repr_is_one_line_with_text_and_score():
    assert repr(CANDIDATE) == "Candidate('a dog', score=-0.50)"
    assert repr(Caption(("a", "dog"), -1.5, ATTENTION, (CANDIDATE,))) == "Caption('a dog', score=-1.50)"


def test_repr_of_a_list_is_one_line():
    assert repr([CANDIDATE, CANDIDATE]) == "[Candidate('a dog', score=-0.50), Candidate('a dog', score=-0.50)]"


def test_str_is_the_text():
    assert str(CANDIDATE) == "a dog"
