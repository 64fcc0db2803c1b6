"""Captions of images: their features in, hypotheses out, by the search that a model's settings ask for."""

from typing import Protocol

import numpy as np

from captioner.config import DecodingConfig
from captioner.decoding.beam import beam_search
from captioner.decoding.hypothesis import Hypothesis
from captioner.decoding.step import SpecialTokens, Step
from captioner.errors import CaptionerError
from captioner.text import Vocabulary

BANNED = (Vocabulary.pad, Vocabulary.start, Vocabulary.unknown)
"""Tokens that no caption may hold."""

SPECIAL = SpecialTokens(Vocabulary.start, Vocabulary.end, BANNED)


class Network(Protocol):
    """A decoder, in Keras (`captioner.models.captioner`) or in NumPy (`captioner.runtime.decoder`)."""

    def start(self, features: np.ndarray) -> tuple[Step, list[np.ndarray]]:
        """Begin sentences for images with features (B, L, D): the step, and the states (B, 1, U) before it."""
        ...


def generate(network: Network, features: np.ndarray, decoding: DecodingConfig) -> list[list[Hypothesis]]:
    """Search for the captions of images with features (B, L, D): for each, the best first.

    Raises:
        CaptionerError: the network gives no probabilities, or none to any word.
    """
    step, states = network.start(features)
    try:
        return beam_search(step, states, SPECIAL, decoding)
    except ValueError as error:
        raise CaptionerError(f"the model cannot caption ({error}); take another model, or train again") from error
