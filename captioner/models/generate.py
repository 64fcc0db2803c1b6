"""Captions of many images: their features in, hypotheses out, a batch at a time."""

import numpy as np

from captioner.config import DecodingConfig
from captioner.decoding.beam import beam_search
from captioner.decoding.hypothesis import Hypothesis
from captioner.models.captioner import CaptionModel
from captioner.text import Vocabulary

BANNED = (Vocabulary.pad, Vocabulary.start, Vocabulary.unknown)
"""Tokens that no caption may hold."""


def generate(model: CaptionModel, features: np.ndarray, decoding: DecodingConfig) -> list[list[Hypothesis]]:
    """Search for the captions of images with features (B, L, D): for each, the best first."""
    step, states = model.start(features)
    return beam_search(
        step,
        states,
        start=Vocabulary.start,
        end=Vocabulary.end,
        beam_width=decoding.beam_width,
        length_penalty=decoding.length_penalty,
        max_length=decoding.max_length,
        banned=BANNED,
    )
