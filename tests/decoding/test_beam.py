import math

import numpy as np
import pytest

END, START, A, B, C = range(5)


def spoken(captions):
    return [(caption.tokens, round(math.exp(caption.log_prob), 6), caption.finished) for caption in captions]


def test_beam_beats_greedy_by_hand(beam_search, greedy_search, table_step, stateless):
    # a: 0.6, then end 0.4, b 0.3 or c 0.3; b: 0.4, then end 0.9 or c 0.1.
    table = [[1, 0, 0, 0, 0], [0, 0, 0.6, 0.4, 0], [0.4, 0, 0, 0.3, 0.3], [0.9, 0, 0, 0, 0.1], [1, 0, 0, 0, 0]]
    options = {"max_length": 5}
    (greedy,) = greedy_search(table_step(table), stateless(1), **options)
    (beam,) = beam_search(table_step(table), stateless(1), beam_width=2, **options)
    assert spoken([greedy]) == [((A,), 0.24, True)]
    assert spoken(beam) == [((B,), 0.36, True), ((A,), 0.24, True)]


def test_beam_shrinks_as_captions_finish(beam_search, table_step, stateless):
    # "a" takes one of two places at the second step, so that only the better of b's two extensions goes on.
    table = [[1, 0, 0, 0, 0], [0, 0, 0.6, 0.4, 0], [0.9, 0, 0, 0, 0.1], [0, 0, 0.3, 0, 0.7], [1, 0, 0, 0, 0]]
    step = table_step(table)
    (beam,) = beam_search(step, stateless(1), beam_width=2, max_length=5)
    assert spoken(beam) == [((A,), 0.54, True), ((B, C), 0.28, True)]
    assert [sorted(slots) for (slots,) in step.fed] == [[START, START], [A, B], [END, C]]


def test_stops_when_all_images_are_done(beam_search, table_step, stateless):
    step = table_step([[1, 0, 0], [0, 0, 1], [1, 0, 0]])
    found = beam_search(step, stateless(3), beam_width=2, max_length=50)
    assert [spoken(beam) for beam in found] == [[((2,), 1.0, True)]] * 3
    assert len(step.fed) == 2


def test_length_penalty_orders_the_captions(beam_search, table_step, stateless):
    # "a" 0.3, "a b" 0.7 * 0.4 = 0.28: a mean of ln 0.3 / 2 = -0.60 against ln 0.28 / 3 = -0.42.
    table = [[1, 0, 0, 0], [0, 0, 1, 0], [0.3, 0, 0, 0.7], [0.4, 0, 0, 0.6]]
    options = {"beam_width": 2, "max_length": 3}
    (plain,) = beam_search(table_step(table), stateless(1), **options)
    (mean,) = beam_search(table_step(table), stateless(1), length_penalty=1.0, **options)
    assert spoken(plain) == [((A,), 0.3, True), ((A, B), 0.28, True)]
    assert spoken(mean) == [((A, B), 0.28, True), ((A,), 0.3, True)]
    assert mean[0].score == pytest.approx(math.log(0.28) / 3)


def test_a_cut_caption_never_beats_a_finished_one(beam_search, table_step, stateless):
    step = table_step([[1, 0, 0, 0], [0, 0, 1, 0], [0.1, 0, 0, 0.9], [0, 0, 1, 0]])
    (beam,) = beam_search(step, stateless(1), beam_width=2, max_length=3, length_penalty=1.0)
    assert spoken(beam) == [((A,), 0.1, True), ((A, B, A), 0.9, False)]
    assert beam[1].score == pytest.approx(math.log(0.9) / 3)
    assert beam[1].score > beam[0].score


def test_fewer_captions_than_the_beam_is_wide(beam_search, table_step, stateless):
    step = table_step([[1, 0, 0], [0, 0, 1], [1, 0, 0]])
    (beam,) = beam_search(step, stateless(1), beam_width=7, max_length=3)
    assert spoken(beam) == [((A,), 1.0, True)]


def test_no_immediate_repeats(beam_search, table_step, stateless):
    always = [[0.1, 0, 0.6, 0.3]] * 4

    def tokens(**options):
        step, state = table_step(always), stateless(1)
        (beam,) = beam_search(step, state, max_length=3, beam_width=3, **options)
        return [caption.tokens for caption in beam if not caption.finished]

    assert tokens() == [(A, B, A), (B, A, B)]


def test_no_phrase_is_said_twice(beam_search, table_step, stateless):
    # After a comes b; after b mostly a, else c, which goes on with a or ends.
    table = [[0, 0, 0, 0, 1], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0], [0.01, 0, 0.9, 0, 0.09], [0.1, 0, 0.9, 0, 0]]

    def tokens(size):
        step, state = table_step(table), stateless(1)
        options = {"max_length": 7, "beam_width": 1}
        return beam_search(step, state, **options, no_repeat_ngram_size=size)[0][0].tokens

    assert tokens(0) == (A, B, A, B, A, B, A)
    assert tokens(3) == (A, B, A, B, C, A, B)
    assert tokens(1) == (A, B, C)


def test_banned(beam_search, table_step, stateless):
    step = table_step([[0.1, 0, 0.6, 0.2, 0.1]] * 5)
    (beam,) = beam_search(step, stateless(1), beam_width=9, max_length=2, banned=(A, START))
    assert {caption.tokens for caption in beam} == {(B,), (C,), (B, C), (C, B)}


def test_a_slot_with_nothing_allowed_dies(beam_search, table_step, stateless):
    # a may only be followed by a, b may end.
    step = table_step([[1, 0, 0, 0], [0, 0, 0.9, 0.1], [0, 0, 1, 0], [1, 0, 0, 0]])
    (beam,) = beam_search(step, stateless(1), beam_width=2, max_length=5)
    assert spoken(beam) == [((B,), 0.1, True)]


def test_of_equals_the_lowest_number(beam_search, table_step, stateless):
    step = table_step([[0, 0.2, 0.2, 0.2, 0.2, 0.2]] * 6)
    options = {"banned": (START,), "max_length": 2}
    (beam,) = beam_search(step, stateless(1), beam_width=5, **options)
    assert [caption.tokens for caption in beam] == [(A, B), (A, C), (A, 5), (B, A), (B, C)]


@pytest.mark.parametrize(
    "options",
    [{}, {"banned": (START, 3)}, {"length_penalty": 0.7}, {"no_repeat_ngram_size": 2}],
)
def test_width_one_is_greedy_search(beam_search, greedy_search, random_step, options):
    step = random_step(range(30))
    options = {"max_length": 6, **options}
    greedy = greedy_search(step, step.initial_state(), **options)
    beam = beam_search(step, step.initial_state(), beam_width=1, **options)
    assert [[caption] for caption in greedy] == beam
    for caption, (same,) in zip(greedy, beam, strict=True):
        np.testing.assert_array_equal(caption.attention, same.attention)


def test_width_one_is_greedy_search_when_all_is_equal(beam_search, greedy_search, table_step, stateless):
    options = {"banned": (START,), "max_length": 5}
    step = table_step([[0.2, 0, 0.2, 0.2, 0.2, 0.2]] * 6)
    assert beam_search(step, stateless(2), beam_width=1, **options) == [
        [caption] for caption in greedy_search(step, stateless(2), **options)
    ]


def test_width_one_is_greedy_search_when_sums_are_equal(beam_search, greedy_search, stateless):
    # 1e9 swallows the difference of the second step, which greedy search sees.
    def step(tokens, state):
        first = [[-3e9, -3e9, -1e9]]
        then = [[-2e-8, -1e-8, -9.0]]
        return np.array([first if tokens[0, 0] == START else then], np.float32), state, None

    options = {"max_length": 2}
    (greedy,) = greedy_search(step, stateless(1), **options)
    assert greedy.tokens == (2, START)
    assert beam_search(step, stateless(1), beam_width=1, **options) == [[greedy]]


@pytest.mark.parametrize("length_penalty", [0.0, 0.6, 1.0, 2.0])
@pytest.mark.parametrize("bans", [{}, {"banned": (START,)}, {"no_repeat_ngram_size": 1}, {"no_repeat_ngram_size": 2}])
def test_full_width_is_exhaustive_search(beam_search, random_step, exhaustive, length_penalty, bans):
    seeds = [5, 6, 7]
    step = random_step(seeds)
    options = {"max_length": 3, "length_penalty": length_penalty, **bans}
    found = beam_search(step, step.initial_state(), beam_width=step.vocabulary**3, **options)
    for seed, beam in zip(seeds, found, strict=True):
        expected = exhaustive(seed, **options)
        assert [(c.tokens, c.finished) for c in beam] == [(c.tokens, c.finished) for c in expected]
        np.testing.assert_allclose([c.log_prob for c in beam], [c.log_prob for c in expected], rtol=1e-12)
        np.testing.assert_allclose([c.score for c in beam], [c.score for c in expected], rtol=1e-12)
        for caption, same in zip(beam, expected, strict=True):
            np.testing.assert_array_equal(caption.attention, same.attention)


def test_a_narrow_beam_keeps_state_and_attention_of_the_parents(beam_search, random_step):
    seeds = range(20)
    step = random_step(seeds)
    found = beam_search(step, step.initial_state(), beam_width=3, max_length=6)
    assert len({caption.tokens[:1] for beam in found for caption in beam}) > 2
    for seed, beam in zip(seeds, found, strict=True):
        assert len({caption.tokens for caption in beam}) == len(beam)
        for caption in beam:
            said = (*caption.tokens, END) if caption.finished else caption.tokens
            answers = [step.answer(seed, (START, *said[:t])) for t in range(len(said))]
            log_prob = sum(float(log_probs[token]) for token, (log_probs, _) in zip(said, answers, strict=True))
            assert caption.log_prob == pytest.approx(log_prob, rel=1e-12)
            assert caption.attention.shape == (len(caption.tokens), step.locations)
            for weights, (_, expected) in zip(caption.attention, answers, strict=False):
                np.testing.assert_array_equal(weights, expected)


@pytest.mark.parametrize("size", [0, 1, 2, 3])
def test_against_a_beam_of_one_image_in_plain_python(beam_search, random_step, says_twice, size):
    def plain(seed, width, max_length):
        live, done = [((), 0.0)], []
        for _ in range(max_length):
            extended = [
                ((*said, token), log_prob + float(gain))
                for said, log_prob in live
                for token, gain in enumerate(random_step.answer(seed, (START, *said))[0])
                if (said or token != END) and said[-1:] != (token,) and not says_twice((*said, token), size)
            ]
            best = sorted(extended, key=lambda pair: -pair[1])[: width - len(done)]
            done += [(said[:-1], log_prob) for said, log_prob in best if said[-1] == END]
            live = [(said, log_prob) for said, log_prob in best if said[-1] != END]
        return sorted(done, key=lambda pair: -pair[1]) + live

    seeds = range(20)
    step = random_step(seeds)
    for width in (2, 3, 5):
        options = {"max_length": 6, "no_repeat_ngram_size": size}
        found = beam_search(step, step.initial_state(), beam_width=width, **options)
        for seed, beam in zip(seeds, found, strict=True):
            assert [(c.tokens, c.log_prob) for c in beam] == plain(seed, width, 6)


def test_batch_equals_one_at_a_time(beam_search, random_step):
    def search(seeds):
        step = random_step(seeds)
        options = {"beam_width": 3, "max_length": 6, "length_penalty": 0.8}
        return beam_search(step, step.initial_state(), **options)

    seeds = list(range(20))
    assert search(seeds) == [search([seed])[0] for seed in seeds]


def test_the_step_may_reuse_its_arrays(beam_search, random_step, reusing):
    step = random_step(range(4))
    options = {"beam_width": 3, "max_length": 5}
    expected = beam_search(step, step.initial_state(), **options)
    found = beam_search(reusing(step), step.initial_state(), **options)
    assert found == expected
    for beam, same in zip(found, expected, strict=True):
        for caption, other in zip(beam, same, strict=True):
            np.testing.assert_array_equal(caption.attention, other.attention)


def test_no_images(beam_search, random_step):
    step = random_step([])
    assert beam_search(step, step.initial_state(), beam_width=3, max_length=5) == []


def test_what_the_step_is_fed(beam_search, stateless):
    seen = []

    def step(tokens, state):
        seen.append((tokens.dtype, tokens.shape, [(array.dtype, array.shape) for array in state]))
        return np.zeros((*tokens.shape, 5), np.float32), state, None

    state = [np.zeros((2, 1, 7), np.float32), np.zeros((2, 1), np.float64)]
    beam_search(step, state, beam_width=3, max_length=3)
    assert seen == [(np.int32, (2, 3), [(np.float32, (2, 3, 7)), (np.float64, (2, 3))])] * 3


def test_model_that_diverged(beam_search, table_step, stateless):
    step = table_step([[1, 0, 0], [0, 0, 1], [0.5, np.nan, 0.5]])
    with pytest.raises(ValueError, match=r"NaN or \+inf"):
        beam_search(step, stateless(1), beam_width=2, max_length=3)


def test_nan_of_a_dead_slot_does_not_matter(beam_search, table_step, stateless):
    step = table_step([[np.nan] * 4, [0, 0, 0.5, 0.5], [1, 0, 0, 0], [0, 0, 1, 0]])
    (beam,) = beam_search(step, stateless(1), beam_width=2, max_length=3)
    assert spoken(beam) == [((A,), 0.5, True), ((B, A), 0.5, True)]


def test_nothing_allowed(beam_search, table_step, stateless):
    step = table_step([[0.5, 0.5], [0.5, 0.5]])
    with pytest.raises(ValueError, match="captions of image 0 can neither go on nor end; check `banned`"):
        beam_search(step, stateless(2), beam_width=2, banned=(END, START), max_length=3)


@pytest.mark.parametrize("sizes", [{"beam_width": 0, "max_length": 3}, {"beam_width": 2, "max_length": 0}])
def test_sizes_below_one(beam_search, table_step, stateless, sizes):
    with pytest.raises(ValueError, match="`beam_width` and `max_length` must be at least 1, got"):
        beam_search(table_step([[1]]), stateless(1), **sizes)
