"""Draw the next token at random, from all tokens or from the likeliest."""

import numpy as np


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


def draw(probs: np.ndarray, rng: np.random.Generator) -> int:
    """Draw a token with the probabilities (V,)."""
    cumulative = np.cumsum(probs)
    # Divided, the last sum is exactly 1, which no random number reaches: a token without probability is never drawn.
    return int(np.searchsorted(cumulative / cumulative[-1], rng.random(), side="right"))


def _normalised(probs: np.ndarray) -> np.ndarray:
    return probs / probs.sum()
