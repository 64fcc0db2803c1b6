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


def test_what_is_sure_enough_reaches_the_confidence():
    first, second, unknown = (Candidate(("a", "dog"), -0.5, ATTENTION, confidence=each) for each in (0.4, 0.6, None))

    def caption(familiar):
        return Caption(("a", "dog"), -0.5, ATTENTION, (first, second, unknown), familiar, confidence=0.4)

    assert caption(True).sure_enough(0.0) == (first, second)
    assert caption(True).sure_enough(0.4) == (first, second)
    assert caption(True).sure_enough(0.5) == (second,)
    assert caption(None).sure_enough(0.61) == ()
    assert caption(False).sure_enough(0.0) == ()
