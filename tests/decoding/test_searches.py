"""What holds between beam search and greedy search, whatever the model says."""

from hypothesis import given, settings
from hypothesis import strategies as st

END, START = 0, 1


@settings(derandomize=True, deadline=None, database=None, max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    max_length=st.integers(1, 4),
    banned=st.sampled_from([(), (START,), (2,)]),
    no_repeat_ngram_size=st.integers(0, 3),
    length_penalty=st.sampled_from([0.0, 0.7, 1.0, 2.0]),
)
def test_width_one_is_greedy_and_greedy_is_never_better_than_the_full_width(
    beam_search, greedy_search, any_random_step, seed, max_length, banned, no_repeat_ngram_size, length_penalty
):
    step = any_random_step([seed])
    options = {
        "max_length": max_length,
        "banned": banned,
        "no_repeat_ngram_size": no_repeat_ngram_size,
        "length_penalty": length_penalty,
    }
    (greedy,) = greedy_search(step, step.initial_state(), **options)
    assert beam_search(step, step.initial_state(), beam_width=1, **options) == [[greedy]]
    (full,) = beam_search(step, step.initial_state(), beam_width=step.vocabulary**max_length, **options)
    assert (greedy.finished, greedy.score) <= (full[0].finished, full[0].score)
    assert all(-float("inf") < each.score <= 0 for each in full)
