"""Beam search inside a TensorFlow graph, for a batch of images; a test compares it with `decoding.beam`."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from captioner.decoding.step import ECHO_SIZE, SpecialTokens

Step = Callable[[Any, list[Any]], tuple[Any, list[Any], Any]]
"""What `captioner.decoding.step` describes, on tensors: tokens (B, K), states -> log_probs, states, attention."""

_NO_TOKEN = -1  # stands before the first token of a caption

_FINISHED, _CUT, _NOTHING = range(3)  # what ended in a slot at a step, in the order in which they are ranked


class Search(NamedTuple):
    """How to search, in tensors, so that a graph takes it as inputs.

    Attributes:
        beam_width: int32 (), K, the hypotheses kept for each image; at least 1.
        length_penalty: float64 (); a score is the log-probability / length ** length_penalty.
        max_length: int32 (), the most tokens of a caption, its end token counted; at least 1.
        no_repeat_ngram_size: int32 (); so many tokens in a row never come again, 0 lets them.
        num_captions: int32 (), N, the hypotheses that are returned for each image; at most K.
    """

    beam_width: Any
    length_penalty: Any
    max_length: Any
    no_repeat_ngram_size: Any
    num_captions: Any


class Hypotheses(NamedTuple):
    """N captions of each of B images, best first; T is the number of tokens of the longest one.

    Attributes:
        tokens: int32 (B, N, T), 0 behind the end of a caption.
        lengths: int32 (B, N), the tokens of each, without the end token.
        finished: bool (B, N), whether the end token was produced, and so is part of the log-probability.
        log_probs: float64 (B, N), natural log-probability of all tokens; -inf where the search found fewer than N.
        scores: float64 (B, N), log_probs / length ** length_penalty, an end token counted; -inf as above.
        attention: float32 (B, N, T, L), the attention that chose each token; 0 behind the end of a caption.
    """

    tokens: Any
    lengths: Any
    finished: Any
    log_probs: Any
    scores: Any
    attention: Any


class _Trail(NamedTuple):
    """What each step chose, TensorArrays of (B, K), and the attention that chose it, of (B, K, L)."""

    tokens: Any
    parents: Any
    log_prob: Any
    ended: Any
    attention: Any


def beam_search(
    step: Step,
    states: Sequence[Any],
    special: SpecialTokens,
    search: Search,
) -> Hypotheses:
    """Search as `captioner.decoding.beam.beam_search` does, which says how; no token follows itself.

    Args:
        step: the model; called with K = `beam_width`, for finished images too.
        states: the initial states, (B, 1, ...).
        special: the tokens that start and end a caption, and those that it must not hold.
        search: how to search.

    Raises, when the graph runs:
        InvalidArgumentError: the model diverged, or an image's captions can neither go on nor end.
    """
    K = search.beam_width
    B = tf.shape(states[0])[0]
    states = [tf.repeat(state, K, axis=1) for state in states]
    shapes = [state.shape for state in states]
    slots = tf.range(K)

    def go_on(time: Any, generated: Any, log_prob: Any, alive: Any, room: Any, trail: _Trail, *states: Any) -> Any:
        return (time < search.max_length) & (tf.equal(time, 0) | tf.reduce_any(alive))

    def body(time: Any, generated: Any, log_prob: Any, alive: Any, room: Any, trail: _Trail, *states: Any) -> Any:
        log_probs, after, attention = step(tf.where(time > 0, generated[:, :, -1], special.start), list(states))
        log_probs = _allowed(log_probs, generated, special, search.no_repeat_ngram_size)  # (B, K, V)
        _check_finite(log_probs, alive)

        # The K best extensions of an image are among the K best of each of its slots; top_k keeps the order of equals.
        R = tf.minimum(K, tf.shape(log_probs)[-1])
        gains, words = tf.math.top_k(log_probs, k=R)  # (B, K, R)
        totals = tf.where(alive[:, :, None], log_prob[:, :, None] + tf.cast(gains, tf.float64), -float("inf"))
        log_prob, order = tf.math.top_k(tf.reshape(totals, (B, K * R)), k=K)  # (B, K)
        parents = order // R  # (B, K)
        kept = (log_prob > -float("inf")) & (slots < room)  # (B, K)
        tokens = tf.where(kept, _pick(tf.reshape(words, (B, K * R)), order), special.end)  # (B, K)
        ended = kept & tf.equal(tokens, special.end)  # (B, K)
        chosen = _Trail(tokens, parents, log_prob, ended, _pick(attention, parents))
        trail = _Trail(*(array.write(time, value) for array, value in zip(trail, chosen, strict=True)))
        generated = tf.concat([_pick(generated, parents)[:, :, 1:], tokens[:, :, None]], axis=2)
        room -= tf.reduce_sum(tf.cast(ended, tf.int32), axis=1, keepdims=True)  # (B, 1)
        after = [tf.ensure_shape(_pick(state, parents), shape) for state, shape in zip(after, shapes, strict=True)]
        return time + 1, generated, log_prob, kept & ~ended, room, trail, *after

    kinds = _Trail(tf.int32, tf.int32, tf.float64, tf.bool, tf.float32)
    _, _, _, alive, _, trail, *_ = tf.while_loop(
        go_on,
        body,
        (
            0,
            tf.fill((B, K, search.max_length), _NO_TOKEN),
            tf.zeros((B, K), tf.float64),  # sums in float32 make ties where the step made none
            tf.tile(tf.equal(slots, 0)[None], (B, 1)),  # one hypothesis at first, or all slots would hold the same
            tf.fill((B, 1), K),  # places that no finished hypothesis has taken
            _Trail(*(tf.TensorArray(kind, size=0, dynamic_size=True) for kind in kinds)),
            *states,
        ),
    )
    steps = _Trail(*(array.stack() for array in trail))  # (T, B, K), (T, B, K, L)
    return _best(steps, alive, search.length_penalty, search.num_captions)


def _allowed(log_probs: Any, generated: Any, special: SpecialTokens, no_repeat_ngram_size: Any) -> Any:
    """Return `log_probs` (B, K, V) with -inf where a search must not go, see `decoding.step.allowed_log_probs`.

    `generated` (B, K, T) ends with the tokens of each slot so far.
    """
    vocabulary = tf.range(tf.shape(log_probs)[-1])  # (V,)
    T = tf.shape(generated)[2]
    never = tf.reduce_any(tf.equal(vocabulary[:, None], tf.constant(list(special.banned), tf.int32)), axis=1)  # (V,)
    last, before_last = generated[:, :, T - 1 :], generated[:, :, tf.maximum(T - 2, 0), None]  # (B, K, 1)
    is_echo = tf.equal(vocabulary, before_last) & (last < before_last)  # (B, K, V)
    is_empty = tf.equal(vocabulary, special.end) & tf.equal(last, _NO_TOKEN)  # (B, K, V)
    again = tf.equal(vocabulary, last) | (is_echo & tf.equal(no_repeat_ngram_size, ECHO_SIZE))  # (B, K, V)
    log_probs = tf.where(never | is_empty | again, -float("inf"), log_probs)

    n = tf.clip_by_value(no_repeat_ngram_size, 1, T)
    starts = tf.range(T - n + 1)  # (P,), of all that is n tokens long
    before = tf.gather(generated, starts[:, None] + tf.range(n - 1), axis=2)  # (B, K, P, n-1)
    followers = generated[:, :, n - 1 :]  # (B, K, P)
    begun = tf.reduce_all(tf.equal(before, generated[:, :, None, T - n + 1 :]), axis=3)  # (B, K, P)
    slots = tf.where(begun & (followers > _NO_TOKEN) & (no_repeat_ngram_size > 0))  # (N, 3)
    words = tf.cast(tf.gather_nd(followers, slots), tf.int64)[:, None]  # (N, 1)
    nothing = tf.fill(tf.shape(slots)[:1], -float("inf"))  # (N,)
    return tf.tensor_scatter_nd_min(log_probs, tf.concat([slots[:, :2], words], axis=1), nothing)


def _check_finite(log_probs: Any, alive: Any) -> None:
    below = tf.reduce_all(log_probs < float("inf"), axis=-1)  # (B, K), false for NaN too
    tf.debugging.Assert(
        tf.reduce_all(below | ~alive),
        ["the model's log-probabilities are NaN or +inf: it has diverged, or its input is not finite"],
    )


def _best(steps: _Trail, alive: Any, length_penalty: Any, num_captions: Any) -> Hypotheses:
    """Rank all that ended, and follow the best back to their first words."""
    T, K = tf.shape(steps.ended)[0], tf.shape(steps.ended)[2]
    is_last = tf.equal(tf.range(T), T - 1)[:, None, None]  # (T, 1, 1)
    rank = tf.where(steps.ended, _FINISHED, tf.where(is_last & alive, _CUT, _NOTHING))  # (T, B, K)
    lengths = tf.cast(tf.range(1, T + 1), tf.float64)[:, None, None]  # (T, 1, 1), an end token counted
    scores = steps.log_prob / lengths**length_penalty  # (T, B, K)
    scores = tf.where(rank < _NOTHING, scores, -float("inf"))
    rank, scores, log_probs = map(_an_image_a_row, (rank, scores, steps.log_prob))  # (B, T*K), as they ended

    # By score, then stably by rank: a sentence without its end is no sentence, and lacks the price of ending.
    scores, order = tf.math.top_k(scores, k=T * K)
    by_rank = tf.argsort(_pick(rank, order), stable=True)[:, :num_captions]  # (B, N)
    scores, order = _pick(scores, by_rank), _pick(order, by_rank)
    rank = _pick(rank, order)
    tf.debugging.Assert(
        tf.reduce_all(rank[:, 0] < _NOTHING), ["the captions of an image can neither go on nor end; check `banned`"]
    )
    last, slot = order // K, order % K  # (B, N)
    log_probs = tf.where(rank < _NOTHING, _pick(log_probs, order), -float("inf"))
    lengths = tf.where(tf.equal(rank, _NOTHING), 0, last + tf.cast(tf.equal(rank, _CUT), tf.int32))
    tokens, attention = _trace(steps, last, slot)  # (T, B, N), (T, B, N, L)
    tokens = tf.transpose(tokens, (1, 2, 0))[:, :, : tf.reduce_max(lengths)]
    attention = tf.transpose(attention, (1, 2, 0, 3))[:, :, : tf.reduce_max(lengths)]
    mask = tf.sequence_mask(lengths, tf.shape(tokens)[2])  # (B, N, T)
    tokens, attention = tf.where(mask, tokens, 0), tf.where(mask[..., None], attention, 0.0)
    return Hypotheses(tokens, lengths, tf.equal(rank, _FINISHED), log_probs, scores, attention)


def _trace(steps: _Trail, last: Any, slot: Any) -> tuple[Any, Any]:
    """Return the tokens (T, B, N), and the attention (T, B, N, L), of hypotheses that end in `slot` of step `last`.

    What stands behind the last step of a hypothesis has no meaning.
    """
    T = tf.shape(steps.tokens)[0]

    def body(back: Any, slot: Any, tokens: Any, attention: Any) -> Any:
        time = T - 1 - back
        tokens = tokens.write(time, _pick(steps.tokens[time], slot))
        attention = attention.write(time, _pick(steps.attention[time], slot))
        return back + 1, tf.where(time <= last, _pick(steps.parents[time], slot), slot), tokens, attention

    arrays = (tf.TensorArray(kind, size=T) for kind in (tf.int32, tf.float32))
    _, _, tokens, attention = tf.while_loop(lambda back, *_: back < T, body, (0, slot, *arrays))
    return tokens.stack(), attention.stack()


def _an_image_a_row(values: Any) -> Any:
    """(T, B, K) -> (B, T*K)."""
    T, B, K = tf.unstack(tf.shape(values))
    return tf.reshape(tf.transpose(values, (1, 0, 2)), (B, T * K))


def _pick(values: Any, indices: Any) -> Any:
    """Return of each image's `values` (B, M, ...) those at `indices` (B, N): (B, N, ...)."""
    return tf.gather(values, indices, axis=1, batch_dims=1)
