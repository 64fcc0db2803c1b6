import math

import numpy as np
import pytest

from captioner.decoding.greedy import greedy_search

END, START, A, B, C = range(5)


def test_follows_the_likeliest_token(table_step, stateless):
    step = table_step([[0, 0, 0, 0, 1], [0.2, 0, 0.5, 0.3, 0], [0.3, 0, 0, 0.3, 0.4], [1, 0, 0, 0, 0], [0, 0, 0, 1, 0]])
    (caption,) = greedy_search(step, stateless(1), start=START, end=END, max_length=9, length_penalty=1.0)
    assert caption.tokens == (A, C, B)
    assert caption.finished
    assert caption.log_prob == pytest.approx(math.log(0.5 * 0.4 * 1 * 1))
    assert caption.score == pytest.approx(math.log(0.2) / 4)
    assert caption.attention is None
    assert step.fed == [[[START]], [[A]], [[C]], [[B]]]


def test_cut_at_max_length(table_step, stateless):
    step = table_step([[0, 0, 0, 0, 1], [0, 0, 0.5, 0.25, 0.25], [0, 0, 0, 1, 0], [0, 0, 1, 0, 0], [1, 0, 0, 0, 0]])
    (caption,) = greedy_search(step, stateless(1), start=START, end=END, max_length=3, length_penalty=1.0)
    assert (caption.tokens, caption.finished) == ((A, B, A), False)
    assert caption.log_prob == pytest.approx(math.log(0.5))
    assert caption.score == pytest.approx(math.log(0.5) / 3)
    assert len(step.fed) == 3


def test_empty_caption(table_step, stateless):
    (caption,) = greedy_search(table_step([[1, 0], [1, 0]]), stateless(1), start=START, end=END, max_length=3)
    assert (caption.tokens, caption.log_prob, caption.finished) == ((), 0.0, True)


def test_one_token_may_be_both_start_and_end(table_step, stateless):
    (caption,) = greedy_search(table_step([[0.9, 0.1], [1, 0]]), stateless(1), start=END, end=END, max_length=3)
    assert (caption.tokens, caption.finished) == ((), True)


def test_bans_and_repeats(table_step, stateless):
    always = [[0.1, 0, 0.4, 0.3, 0.2]] * 5

    def tokens(**options):
        step, state = table_step(always), stateless(1)
        return greedy_search(step, state, start=START, end=END, max_length=4, **options)[0].tokens

    assert tokens() == (A, B, A, B)
    assert tokens(allow_repeats=True) == (A, A, A, A)
    assert tokens(banned=(A,)) == (B, C, B, C)
    assert tokens(banned=(A, B), allow_repeats=True) == (C, C, C, C)
    assert tokens(banned=(A, B)) == (C,)


def test_of_equals_the_lowest_number(table_step, stateless):
    step = table_step([[0, 0.2, 0.2, 0.2, 0.2, 0.2]] * 6)
    (caption,) = greedy_search(step, stateless(1), start=START, end=END, banned=(START,), max_length=4)
    assert caption.tokens == (A, B, A, B)


def test_batch_equals_one_at_a_time(random_step):
    def search(seeds):
        step = random_step(seeds)
        return greedy_search(step, step.initial_state(), start=START, end=END, max_length=3)

    seeds = list(range(12))
    together = search(seeds)
    alone = [search([seed])[0] for seed in seeds]
    assert together == alone
    assert len({len(caption.tokens) for caption in together}) > 2
    assert {caption.finished for caption in together} == {True, False}
    for ours, theirs in zip(together, alone, strict=True):
        np.testing.assert_array_equal(ours.attention, theirs.attention)


def test_follows_its_own_state_and_attention(random_step):
    step = random_step([0, 1, 2, 3])
    captions = greedy_search(step, step.initial_state(), start=START, end=END, max_length=6)
    for seed, caption in enumerate(captions):
        answers = [step.answer(seed, (START, *caption.tokens[:t])) for t in range(len(caption.tokens))]
        for t, (log_probs, attention) in enumerate(answers):
            allowed = log_probs.copy()
            if t:
                allowed[caption.tokens[t - 1]] = -np.inf
            assert caption.tokens[t] == allowed.argmax()
            np.testing.assert_array_equal(caption.attention[t], attention)
        assert caption.attention.shape == (len(caption.tokens), step.locations)


def test_the_step_may_reuse_its_arrays(random_step, reusing):
    step = random_step(range(4))
    options = {"start": START, "end": END, "max_length": 5}
    expected = greedy_search(step, step.initial_state(), **options)
    found = greedy_search(reusing(step), step.initial_state(), **options)
    assert found == expected
    for caption, same in zip(found, expected, strict=True):
        np.testing.assert_array_equal(caption.attention, same.attention)


def test_no_images(random_step):
    step = random_step([])
    assert greedy_search(step, step.initial_state(), start=START, end=END, max_length=5) == []


def test_model_that_diverged(table_step, stateless):
    step = table_step([[1, 0, 0], [0, 0, 1], [0.5, np.nan, 0.5]])
    with pytest.raises(ValueError, match=r"NaN or \+inf"):
        greedy_search(step, stateless(1), start=START, end=END, max_length=3)


def test_nan_of_a_finished_image_does_not_matter():
    def step(tokens, state):
        likely = np.where(state[0] == 0, [[0.0, -9.0, -9.0]], [[-9.0, -9.0, 0.0]])[:, None]  # (2, 1, 3)
        return np.where(tokens[..., None] == END, np.nan, likely).astype(np.float32), state, None

    image = np.array([[0], [1]])
    ended, cut = greedy_search(step, [image], start=START, end=END, max_length=3, allow_repeats=True)
    assert (ended.tokens, cut.tokens) == ((), (2, 2, 2))


def test_nothing_allowed(table_step, stateless):
    step = table_step([[0.5, 0.5], [0.5, 0.5]])
    with pytest.raises(ValueError, match="caption of image 0 can neither go on nor end; check `banned`"):
        greedy_search(step, stateless(2), start=START, end=END, banned=(END, START), max_length=3)


def test_max_length_below_one(table_step, stateless):
    with pytest.raises(ValueError, match="`max_length` must be at least 1, got 0"):
        greedy_search(table_step([[1]]), stateless(1), start=START, end=END, max_length=0)
