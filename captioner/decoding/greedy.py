"""Greedy search: the likeliest next token, again and again."""

from collections.abc import Sequence

import numpy as np

from captioner.decoding.hypothesis import Hypothesis, length_normalised
from captioner.decoding.step import Step, allowed_log_probs, check_best, count_images


def greedy_search(
    step: Step,
    state: Sequence[np.ndarray],
    *,
    start: int,
    end: int,
    banned: Sequence[int] = (),
    max_length: int,
    allow_repeats: bool = False,
    no_repeat_ngram_size: int = 0,
    length_penalty: float = 0.0,
) -> list[Hypothesis]:
    """Return one hypothesis an image, from the likeliest token at every step; of equals, the lowest number.

    Args:
        step: the model; called with K = 1.
        state: the initial state, arrays (B, 1, ...).
        start: the token fed first.
        end: the token that finishes a caption; it may come first (an empty caption).
        banned: tokens never chosen, such as padding, start and unknown.
        max_length: the most tokens of a caption, its end token counted.
        allow_repeats: whether a token may follow itself.
        no_repeat_ngram_size: see `allowed_log_probs`.
        length_penalty: see `length_normalised`; it changes the score, not the caption.

    Raises:
        ValueError: `state` has the wrong shapes, `max_length` is below 1, the model diverged, or a caption can
            neither go on nor end.
    """
    if max_length < 1:
        raise ValueError(f"`max_length` must be at least 1, got {max_length}")
    images = np.arange(count_images(state))
    state = list(state)
    tokens = np.full((len(images), 1), start, np.int32)  # (B, 1)
    log_prob = np.zeros(len(images))  # (B,)
    alive = np.ones(len(images), bool)  # (B,)
    said = np.empty((len(images), 1, 0), np.int32)  # (B, 1, T), behind an end only ends
    attentions: list[np.ndarray] = []

    for _ in range(max_length):
        log_probs, state, attention = step(tokens, state)
        rows = allowed_log_probs(
            log_probs, said, banned, allow_repeats=allow_repeats, no_repeat_ngram_size=no_repeat_ngram_size
        )  # (B, V)
        best = rows.argmax(axis=1)  # (B,)
        gain = rows[images, best]  # (B,)
        check_best(gain, alive)
        stuck = alive & (gain == -np.inf)  # (B,)
        if stuck.any():
            raise ValueError(f"the caption of image {stuck.argmax()} can neither go on nor end; check `banned`")
        log_prob[alive] += gain[alive]
        tokens = np.where(alive, best, end).astype(np.int32)[:, None]  # (B, 1)
        alive &= tokens[:, 0] != end
        said = np.concatenate([said, tokens[..., None]], axis=2)
        if attention is not None:
            attentions.append(np.array(attention[:, 0]))  # (B, L)
        if not alive.any():
            break

    hypotheses = []
    for image, sequence in enumerate(said[:, 0].tolist()):
        finished = not alive[image]
        words = sequence[: sequence.index(end)] if finished else sequence
        total = float(log_prob[image])
        score = length_normalised(total, len(words) + finished, length_penalty)
        weights = np.stack([rows[image] for rows in attentions])[: len(words)] if attentions else None  # (T, L)
        hypotheses.append(Hypothesis(tuple(words), total, score, finished, weights))
    return hypotheses
