import math

import numpy as np
import pytest

from captioner.config.decoding import DecodingConfig, SamplingConfig
from captioner.decoding.sampling import sample_captions
from captioner.decoding.step import SpecialTokens

END, START, A, B, C = range(5)
# After the start a 0.6 or b 0.4; after a the end 0.4, b 0.3 or c 0.3; after b the end 0.9 or c 0.1; c ends.
TABLE = [[1, 0, 0, 0, 0], [0, 0, 0.6, 0.4, 0], [0.4, 0, 0, 0.3, 0.3], [0.9, 0, 0, 0, 0.1], [1, 0, 0, 0, 0]]


def drawn(step, state, uniforms, *, banned=(), begin=(), sampling=SamplingConfig(), **settings):  # noqa: B008
    uniforms = np.array(uniforms, float)
    decoding = DecodingConfig(
        **{"length_penalty": 0.0, "no_repeat_ngram_size": 0, "max_length": uniforms.shape[2], **settings}
    )
    return sample_captions(step, state, SpecialTokens(START, END, banned, begin), decoding, sampling, uniforms)


def spoken(captions):
    return [(caption.tokens, round(math.exp(caption.log_prob), 6), caption.finished) for caption in captions]


@pytest.mark.parametrize(
    ("uniforms", "tokens", "probability", "finished"),
    [
        ([0.59, 0.39, 0], (A,), 0.24, True),
        ([0.61, 0.89, 0], (B,), 0.36, True),
        ([0.59, 0.41, 0.89], (A, B), 0.6 * 0.3 * 0.9, True),
        ([0.59, 0.41, 0.91], (A, B, C), 0.6 * 0.3 * 0.1, False),
        ([0.59, 0.71, 0.99], (A, C), 0.6 * 0.3, True),
    ],
)
def test_numbers_choose_words_by_their_shares(table_step, stateless, uniforms, tokens, probability, finished):
    ((caption,),) = drawn(table_step(TABLE), stateless(1), [[uniforms]], length_penalty=1.0)
    assert spoken([caption]) == [(tokens, pytest.approx(probability), finished)]
    assert caption.score == pytest.approx(math.log(probability) / (len(tokens) + finished))


def test_each_slot_has_numbers_of_its_own_and_the_order_stays(table_step, stateless):
    numbers = [[[0.61, 0.1, 0], [0.1, 0.1, 0]], [[0.1, 0.8, 0], [0.61, 0.1, 0]]]
    found = drawn(table_step(TABLE), stateless(2), numbers)
    assert [[each.tokens for each in image] for image in found] == [[(B,), (A,)], [(A, C), (B,)]]


def test_temperature_top_k_and_top_p_cut_but_the_score_is_the_models_own(table_step, stateless):
    def first(**sampling):
        ((caption,),) = drawn(table_step(TABLE), stateless(1), [[[0.65, 0.2, 0]]], sampling=SamplingConfig(**sampling))
        return spoken([caption])[0]

    assert first() == ((B,), 0.36, True)
    # At temperature 0.5 a has 0.36 / 0.52 = 0.69 of the probability, and the end 0.16 / 0.34 behind it.
    assert first(temperature=0.5) == ((A,), 0.24, True)
    assert first(top_k=1) == ((A,), 0.24, True)
    assert first(top_p=0.6) == ((A,), 0.24, True)


@pytest.mark.parametrize("sampling", [{"temperature": 0}, {"top_k": 1}, {"temperature": 1e-9}])
@pytest.mark.parametrize("options", [{}, {"banned": (START, 3)}, {"no_repeat_ngram_size": 2}, {"length_penalty": 0.7}])
def test_without_chance_it_is_greedy_search(greedy_search, random_step, sampling, options):
    step = random_step(range(30))
    expected = greedy_search(step, step.initial_state(), max_length=6, **options)
    numbers = np.random.default_rng(1).random((30, 2, 6))
    found = drawn(step, step.initial_state(), numbers, sampling=SamplingConfig(**sampling), **options)
    for image, greedy in zip(found, expected, strict=True):
        assert image == [greedy, greedy]
        np.testing.assert_array_equal(image[1].attention, greedy.attention)


def test_captions_come_as_often_as_they_are_likely(table_step, stateless):
    count = 20_000
    numbers = np.random.default_rng(2).random((1, count, 3))
    (found,) = drawn(table_step(TABLE), stateless(1), numbers)
    for tokens, probability in (((A,), 0.24), ((B,), 0.36), ((A, C), 0.18)):
        share = sum(each.tokens == tokens for each in found) / count
        assert share == pytest.approx(probability, abs=4 * 0.5 / math.sqrt(count))


def test_what_is_banned_or_said_is_never_drawn(table_step, stateless, says_twice):
    step = table_step([[0.1, 0.1, 0.4, 0.2, 0.2]] * 5)
    numbers = np.random.default_rng(3).random((1, 300, 7))
    (found,) = drawn(step, stateless(1), numbers, banned=(START, B), no_repeat_ngram_size=2)
    said = [each.tokens for each in found]
    assert {token for tokens in said for token in tokens} == {A, C}
    assert max(map(len, said)) == 3  # a c a; then nothing but the end is left
    assert not any(says_twice(tokens, 2) for tokens in said)


def test_a_beginning_is_said_first_and_counts(table_step, stateless):
    # b behind the start 0.4, c behind b 0.1, and c ends.
    ((caption,),) = drawn(table_step(TABLE), stateless(1), [[[0, 0, 0.5, 0]]], begin=(B, C))
    assert spoken([caption]) == [((B, C), 0.04, True)]


def test_a_slot_with_nothing_allowed_is_named(table_step, stateless):
    step = table_step([[1, 0, 0], [0, 0, 1], [0, 0, 1]])
    with pytest.raises(ValueError, match="can neither go on nor end"):
        drawn(step, stateless(1), [[[0.5, 0.5]]])


def test_a_diverged_model_is_named(table_step, stateless):
    with pytest.raises(ValueError, match="the model has diverged"):
        drawn(table_step([[np.nan] * 3] * 3), stateless(1), [[[0.5]]])


def test_the_images_of_state_and_numbers_agree(table_step, stateless):
    with pytest.raises(ValueError, match="`state` is of 2 images, `uniforms` of 1"):
        drawn(table_step(TABLE), stateless(2), [[[0.5]]])


@pytest.mark.parametrize("width", [1, 3])
def test_a_search_begins_with_the_words_that_it_must(beam_search, table_step, stateless, width):
    (beam,) = beam_search(table_step(TABLE), stateless(1), beam_width=width, max_length=4, begin=(A,))
    expected = [((A,), 0.24, True), ((A, C), 0.18, True), ((A, B), 0.162, True)]
    assert spoken(beam) == expected[:width]


def test_a_beginning_may_say_what_a_search_may_not(beam_search, table_step, stateless):
    step = table_step([[0.2, 0.2, 0.2, 0.2, 0.2]] * 5)
    (beam,) = beam_search(step, stateless(1), beam_width=1, max_length=3, begin=(B, B), banned=(B,))
    assert spoken(beam) == [((B, B), 0.008, True)]


@pytest.mark.parametrize("begin", [(2,), (3, 2), (2, 3, 2)])
def test_what_a_full_search_finds_is_what_of_all_captions_begins_so(beam_search, random_step, exhaustive, begin):
    seeds = [5, 6]
    step = random_step(seeds)
    found = beam_search(step, step.initial_state(), beam_width=4**4, max_length=4, length_penalty=0.7, begin=begin)
    for seed, beam in zip(seeds, found, strict=True):
        all_captions = exhaustive(seed, max_length=4, length_penalty=0.7)
        expected = [each for each in all_captions if each.tokens[: len(begin)] == begin]
        assert [(each.tokens, each.finished) for each in beam] == [(each.tokens, each.finished) for each in expected]
        np.testing.assert_allclose([each.score for each in beam], [each.score for each in expected], rtol=1e-12)
