"""Draw tokens at random, from all or from the likeliest, and with them whole captions."""

from collections.abc import Sequence

import numpy as np

from captioner.config.decoding import DecodingConfig, SamplingConfig
from captioner.decoding.hypothesis import Hypothesis, length_normalised
from captioner.decoding.step import SpecialTokens, Step, allowed_log_probs, check_best, count_images


def next_distribution(
    log_probs: np.ndarray, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0
) -> np.ndarray:
    """Return the probabilities (V,), float64, that the next token is drawn with.

    First the temperature flattens or sharpens, then top-k cuts, then top-p, each renormalising what the one before
    left; of equally likely tokens the one with the lower number is kept.

    Args:
        log_probs: (V,), not necessarily normalised; -inf bans a token, and one at least is finite.
        temperature: the log-probabilities are divided by it; 0 leaves the likeliest token alone.
        top_k: tokens that stay, the likeliest (Fan et al. 2018); 0 keeps all.
        top_p: the fewest tokens stay that hold this probability together (nucleus, Holtzman et al. 2020); 1 keeps all.
    """
    log_probs = np.asarray(log_probs, np.float64)
    if temperature == 0:
        return np.eye(len(log_probs))[np.argmax(log_probs)]
    with np.errstate(over="ignore"):  # of a tiny temperature: to -inf, which is right
        probs = _normalised(np.exp((log_probs - log_probs.max()) / temperature))
    order = np.argsort(-probs, kind="stable")
    if top_k:
        probs[order[top_k:]] = 0
        probs = _normalised(probs)
    if top_p < 1:
        before = np.cumsum(probs[order]) - probs[order]  # probability of all that are likelier
        probs[order[1:][before[1:] >= top_p]] = 0
    return _normalised(probs)


def draw(probs: np.ndarray, uniform: float) -> int:
    """Return the token that a random number from [0, 1) falls on, where each takes a share as its probs (V,) say."""
    cumulative = np.cumsum(probs)
    # Divided, the last sum is exactly 1, which no random number reaches: a token without probability is never drawn.
    return int(np.searchsorted(cumulative / cumulative[-1], uniform, side="right"))


def sample_captions(
    step: Step,
    state: Sequence[np.ndarray],
    special: SpecialTokens,
    decoding: DecodingConfig,
    sampling: SamplingConfig,
    uniforms: np.ndarray,
) -> list[list[Hypothesis]]:
    """Draw K captions of each image, token by token, and return them in the order of `uniforms`; two may be equal.

    What a search forbids is never drawn: what is allowed shares the probability of what is not. The log-probability and
    the score of a caption are the model's own, as those of a search, whatever the temperature.

    Args:
        step: the model; called with K slots an image, for finished captions too.
        state: the initial state, arrays (B, 1, ...).
        special: the tokens that start and end a caption, those that it must not hold, and those that it begins with.
        decoding: `max_length` is T, and `no_repeat_ngram_size` holds; `length_penalty` makes the scores.
        sampling: how to draw; the seed is not used here.
        uniforms: (B, K, T), the random number from [0, 1) that decides each token.

    Raises:
        ValueError: `state` has the wrong shapes, the model diverged, or a caption can neither go on nor end.
    """
    B, K, T = uniforms.shape
    if count_images(state) != B:
        raise ValueError(f"`state` is of {count_images(state)} images, `uniforms` of {B}")
    state = [np.repeat(array, K, axis=1) for array in state]
    generated = np.empty((B * K, 0), np.int32)
    tokens = np.full(B * K, special.start, np.int32)
    log_prob, alive, lengths = np.zeros(B * K), np.ones(B * K, bool), np.zeros(B * K, int)
    trail: list[np.ndarray] = []
    gains = np.zeros((B * K, 0))  # (B*K, T), the log-probability of each token
    for time in range(T):
        log_probs, state, attention = step(tokens.reshape(B, K), state)
        rows = allowed_log_probs(log_probs, generated.reshape(B, K, time), special, decoding.no_repeat_ngram_size)
        check_best(rows.max(axis=1), alive)
        tokens = np.full(B * K, special.end, np.int32)
        for slot in np.flatnonzero(alive).tolist():
            tokens[slot] = _next(rows[slot], sampling, uniforms.reshape(-1, T)[slot, time])
            log_prob[slot] += rows[slot, tokens[slot]]
        generated = np.concatenate([generated, tokens[:, None]], axis=1)
        gains = np.concatenate([gains, np.take_along_axis(rows, tokens[:, None], axis=1)], axis=1)
        if attention is not None:
            trail.append(np.array(attention).reshape(B * K, -1))
        alive &= tokens != special.end
        lengths += alive
        if not alive.any():
            break

    attended = np.stack(trail, axis=1) if trail else None  # (B*K, T, L)
    drawn = []
    counts: list[int] = lengths.tolist()
    for slot, length in enumerate(counts):
        finished = not bool(alive[slot])
        score = length_normalised(log_prob[slot], length + finished, decoding.length_penalty)
        weights = None if attended is None else attended[slot, :length]
        words = tuple(generated[slot, :length].tolist())
        drawn.append(Hypothesis(words, float(log_prob[slot]), float(score), finished, weights, gains[slot, :length]))
    return [drawn[first : first + K] for first in range(0, B * K, K)]


def _next(log_probs: np.ndarray, sampling: SamplingConfig, uniform: float) -> int:
    if log_probs.max() == -np.inf:
        raise ValueError("a caption can neither go on nor end; check `banned`")
    return draw(next_distribution(log_probs, sampling.temperature, sampling.top_k, sampling.top_p), uniform)


def _normalised(probs: np.ndarray) -> np.ndarray:
    return probs / probs.sum()
