"""How well a language model foretells a text."""

import math
from collections.abc import Sequence

import numpy as np


def likelihood(surprisals: np.ndarray | Sequence[float]) -> dict[str, float]:
    """Sum up the surprisals -ln p(character | all before it) of the N >= 1 characters of a text, in nats.

    Returns:
        `log_probability` of the whole text by the chain rule, `characters` N, `nats_per_char`, `bits_per_char` (nats /
        ln 2) and `perplexity` (e to the nats: among how many equally likely characters one would have to guess).
    """
    total = float(np.sum(surprisals, dtype=np.float64))
    nats = total / len(surprisals)
    return {
        "log_probability": -total,
        "characters": len(surprisals),
        "nats_per_char": nats,
        "bits_per_char": nats / math.log(2),
        "perplexity": math.exp(nats),
    }
