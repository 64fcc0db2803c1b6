"""Captions of images: their features in, hypotheses out, searched for or drawn as the settings ask for."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import numpy as np

from captioner.config.decoding import DecodingConfig, SamplingConfig
from captioner.decoding.beam import beam_search
from captioner.decoding.hypothesis import Hypothesis
from captioner.decoding.sampling import sample_captions
from captioner.decoding.step import SpecialTokens, Step
from captioner.decoding.wording import SPECIAL
from captioner.errors import CaptionerError


class Network(Protocol):
    """A decoder, in Keras (`captioner.models.captioner`) or in NumPy (`captioner.runtime.decoder`)."""

    def start(self, features: np.ndarray) -> tuple[Step, list[np.ndarray]]:
        """Begin sentences for images with features (B, L, D): the step, and the states (B, 1, U) before it."""
        ...


def generate(
    network: Network, features: np.ndarray, decoding: DecodingConfig, special: SpecialTokens = SPECIAL
) -> list[list[Hypothesis]]:
    """Search for the captions of images with features (B, L, D): for each, the best first.

    Raises:
        CaptionerError: the network gives no probabilities, or none to any word that is allowed.
    """
    step, states = network.start(features)
    with _explained():
        return beam_search(step, states, special, decoding)


def sample(
    network: Network,
    features: np.ndarray,
    decoding: DecodingConfig,
    special: SpecialTokens,
    sampling: SamplingConfig,
    uniforms: np.ndarray,
) -> list[list[Hypothesis]]:
    """Draw K captions of each image with features (B, L, D); see `sample_captions`.

    Raises:
        CaptionerError: the network gives no probabilities, or none to any word that is allowed.
    """
    step, states = network.start(features)
    with _explained():
        return sample_captions(step, states, special, decoding, sampling, uniforms)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise CaptionerError(f"the model cannot caption ({error}); take another model, or train again") from error
