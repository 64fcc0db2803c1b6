import math

import numpy as np
import pytest

END, START, A, B, C = range(5)


@pytest.fixture
def greedily(beam_search):
    """Search with a beam of one: the likeliest token, again and again."""
    return lambda step, state, **settings: [one for (one,) in beam_search(step, state, beam_width=1, **settings)]


def test_follows_the_likeliest_token(greedily, table_step, stateless):
    step = table_step([[0, 0, 0, 0, 1], [0.2, 0, 0.5, 0.3, 0], [0.3, 0, 0, 0.3, 0.4], [1, 0, 0, 0, 0], [0, 0, 0, 1, 0]])
    (caption,) = greedily(step, stateless(1), max_length=9, length_penalty=1.0)
    assert caption.tokens == (A, C, B)
    assert caption.finished
    assert caption.log_prob == pytest.approx(math.log(0.5 * 0.4 * 1 * 1))
    assert caption.score == pytest.approx(math.log(0.2) / 4)
    assert caption.attention is None
    assert step.fed == [[[START]], [[A]], [[C]], [[B]]]


def test_cut_at_max_length(greedily, table_step, stateless):
    step = table_step([[0, 0, 0, 0, 1], [0, 0, 0.5, 0.25, 0.25], [0, 0, 0, 1, 0], [0, 0, 1, 0, 0], [1, 0, 0, 0, 0]])
    (caption,) = greedily(step, stateless(1), max_length=3, length_penalty=1.0)
    assert (caption.tokens, caption.finished) == ((A, B, A), False)
    assert caption.log_prob == pytest.approx(math.log(0.5))
    assert caption.score == pytest.approx(math.log(0.5) / 3)
    assert len(step.fed) == 3


def test_no_caption_is_empty(greedily, table_step, stateless):
    (caption,) = greedily(table_step([[1, 0, 0], [0.9, 0, 0.1], [1, 0, 0]]), stateless(1), max_length=3)
    assert (caption.tokens, caption.finished) == ((A,), True)
    assert caption.log_prob == pytest.approx(math.log(0.1))


def test_one_token_may_be_both_start_and_end(greedily, table_step, stateless):
    (caption,) = greedily(table_step([[0.9, 0.1], [1, 0]]), stateless(1), start=END, max_length=3)
    assert (caption.tokens, caption.finished) == ((1,), True)


def test_bans_and_repeats(greedily, table_step, stateless):
    always = [[0.1, 0, 0.4, 0.3, 0.2]] * 5

    def tokens(**options):
        step, state = table_step(always), stateless(1)
        return greedily(step, state, max_length=4, **options)[0].tokens

    assert tokens() == (A, B, A, B)
    assert tokens(banned=(A,)) == (B, C, B, C)
    assert tokens(banned=(A, B)) == (C,)


def test_of_equals_the_lowest_number(greedily, table_step, stateless):
    step = table_step([[0, 0.2, 0.2, 0.2, 0.2, 0.2]] * 6)
    (caption,) = greedily(step, stateless(1), banned=(START,), max_length=4)
    assert caption.tokens == (A, B, A, B)


def test_follows_its_own_state_and_attention(greedily, random_step):
    step = random_step([0, 1, 2, 3])
    captions = greedily(step, step.initial_state(), max_length=6)
    for seed, caption in enumerate(captions):
        answers = [step.answer(seed, (START, *caption.tokens[:t])) for t in range(len(caption.tokens))]
        for t, (log_probs, attention) in enumerate(answers):
            allowed = log_probs.copy()
            allowed[caption.tokens[t - 1] if t else END] = -np.inf
            assert caption.tokens[t] == allowed.argmax()
            np.testing.assert_array_equal(caption.attention[t], attention)
        assert caption.attention.shape == (len(caption.tokens), step.locations)


def test_nan_of_a_finished_image_does_not_matter(greedily):
    def step(tokens, state):
        likely = np.where(state[0] == 0, [[0.0, -9.0, -9.0]], [[-9.0, -5.0, 0.0]])[:, None]  # (2, 1, 3)
        return np.where(tokens[..., None] == END, np.nan, likely).astype(np.float32), state, None

    image = np.array([[0], [1]])
    ended, cut = greedily(step, [image], max_length=3)
    assert (ended.tokens, cut.tokens) == ((1,), (2, 1, 2))
