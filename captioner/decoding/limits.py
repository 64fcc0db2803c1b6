"""The limit on the memory of a search."""

from captioner.config.decoding import DecodingConfig
from captioner.config.model import GATES, DecoderConfig
from captioner.errors import CaptionerError

LARGEST_SEARCH = 1 << 30
"""Bytes that a search may take."""


def check_search(decoder: DecoderConfig, decoding: DecodingConfig, photos: int) -> None:
    """Raise where a search would take too much memory, since its sizes may be a stranger's.

    Args:
        decoder: the sizes.
        decoding: how to search.
        photos: those whose captions are searched together (B).

    Raises:
        CaptionerError: it would take more than `LARGEST_SEARCH`.
    """
    B, K, T = photos, decoding.beam_width, decoding.max_length
    L, V = decoder.locations, decoder.vocabulary_size
    U, A, G = decoder.hidden_size, decoder.attention_dim, GATES[decoder.cell]
    images = 3 * B * L * (U + A)  # values and keys, and what they are made of
    looks = 2 * K * L * A + B * K * L * T  # the fit of an image's regions to its states, and the attention of each word
    words = B * K * (4 * V + 3 * (G + 2) * U)  # probabilities and states, before and after
    if (asked := 4 * (images + looks + words)) > LARGEST_SEARCH:
        raise CaptionerError(
            f"a search with beam_width {K} and max_length {T} in a model of {V} words, {L} regions and {U} units would "
            f"take {asked / 1e9:.1f} GB, expected at most {LARGEST_SEARCH / 1e9:.1f}; ask for a narrower beam or fewer "
            "captions, or take another model"
        )
