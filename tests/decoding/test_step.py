import numpy as np
import pytest

from captioner.decoding.step import SpecialTokens, allowed_log_probs, check_best, count_images

MINUS_INFINITY = -np.inf


def test_allowed_log_probs_masks_a_copy():
    log_probs = np.arange(8, dtype=np.float32).reshape(1, 2, 4)
    log_probs.setflags(write=False)
    rows = allowed_log_probs(log_probs, np.array([[[2, 1], [1, 3]]], np.int32), SpecialTokens(1, 0, banned=(0,)))
    expected = [[MINUS_INFINITY, MINUS_INFINITY, 2, 3], [MINUS_INFINITY, 5, 6, MINUS_INFINITY]]
    np.testing.assert_array_equal(rows, np.array(expected, np.float32))
    assert rows.dtype == np.float32


def test_allowed_log_probs_without_bans_is_a_writable_copy():
    log_probs = np.zeros((1, 1, 2), np.float32)
    allowed_log_probs(log_probs, np.empty((1, 1, 0), np.int32), SpecialTokens(1, 0))[:] = 5
    np.testing.assert_array_equal(log_probs, 0)


@pytest.mark.parametrize(
    ("size", "forbidden"),
    [
        (0, set()),
        (1, {1, 2, 3, 4}),
        (2, {3, 4}),  # 2 was followed by 3, and by 4
        (3, {3}),  # 1 2 was followed by 3
        (4, {3}),  # 4 1 2 as well
        (5, set()),
        (8, set()),
        (9, set()),
    ],
)
def test_what_would_say_a_phrase_again(size, forbidden):
    said = np.array([[[4, 1, 2, 3, 2, 4, 1, 2], [0, 0, 0, 0, 0, 0, 0, 5]]], np.int32)  # 2 never follows itself
    log_probs = np.zeros((1, 2, 7), np.float32)
    rows = allowed_log_probs(log_probs, said, SpecialTokens(1, 0), size)
    assert set(np.flatnonzero(rows[0] == MINUS_INFINITY)) == {2} | forbidden


@pytest.mark.parametrize(
    ("size", "said", "forbidden"),
    [
        (2, [5, 3], {3, 5}),  # "white and", where "and" is more frequent: no "white and white"
        (2, [3, 5], {5}),  # "and white": "and white and" may be said
        (2, [5, 3, 4], {4}),
        (2, [5], {5}),
        (0, [5, 3], {3}),
        (3, [5, 3], {3}),
        (1, [5, 3], {3, 5}),
    ],
)
def test_a_word_does_not_come_again_after_one_more_frequent_word(size, said, forbidden):
    rows = allowed_log_probs(np.zeros((1, 1, 7)), np.array([[said]], np.int32), SpecialTokens(1, 0), size)
    assert set(np.flatnonzero(rows[0] == MINUS_INFINITY)) == forbidden


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_check_best_looks_at_slots_in_use_only(wrong):
    best = np.array([MINUS_INFINITY, wrong])
    check_best(best, alive=np.array([True, False]))
    with pytest.raises(ValueError, match=r"NaN or \+inf.*the model has diverged"):
        check_best(best, alive=np.array([False, True]))


def test_count_images():
    assert count_images([np.zeros((3, 1, 5)), np.zeros((3, 1))]) == 3


@pytest.mark.parametrize("shapes", [[], [()], [(3,)], [(3, 2, 5)], [(3, 1), (2, 1)], [(3, 1), ()]])
def test_count_images_refuses_other_shapes(shapes):
    with pytest.raises(ValueError, match=r"`state` must be one or more arrays of shape \(B, 1, \.\.\.\), got shapes"):
        count_images([np.zeros(shape) for shape in shapes])
