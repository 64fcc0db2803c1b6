"""InceptionV3 as a LiteRT network, made from its weights without TensorFlow: a template, filled in half a second."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from captioner.config.model import EncoderConfig
from captioner.model_files.convolution import Convolution, Rounding
from captioner.model_files.inception_weights import (
    CONVOLUTION,
    NORM_WEIGHTS,
    NORMALISATION,
    numbered,
    read_convolutions,
)
from captioner.model_files.roundings import kernel_key, load_roundings
from captioner.runtime.template import Template

TEMPLATES = Path(__file__).with_name("inception_v3")
FLOAT32, INT8, ROUNDINGS = (TEMPLATES / f"{name}.npz" for name in ("float32", "int8", "roundings"))

STEM = 5
BLOCKS = {f"mixed{number}": count for number, count in enumerate((7, 7, 7, 4, 10, 10, 10, 10, 6))}
"""How many convolutions InceptionV3 has before its first block, and in each block up to the last that is read."""


def has_template(config: EncoderConfig) -> bool:
    """Return whether an encoder can be made here: InceptionV3 up to `mixed8` at 299, its last blocks tuned or not."""
    known = (config.network, config.feature_layer, config.image_size) == ("InceptionV3", "mixed8", 299)
    return known and config.fine_tune_after in ("", *BLOCKS)


def tuned_shapes(after: str) -> dict[str, tuple[int, ...]]:
    """Return the shapes of what a model that is tuned behind a block has, as `models.directory` names it."""
    count = _behind(after)
    kernels = {slot.layer: slot.shape for slot in Template.load(FLOAT32).slots}
    shapes: dict[str, tuple[int, ...]] = {}
    for number in range(count):
        outputs, *window = kernels[len(kernels) - count + number]
        shapes[f"{numbered(CONVOLUTION, number)}/kernel"] = (*window, outputs)
        shapes |= {f"{numbered(NORMALISATION, number)}/{weight}": (outputs,) for weight in NORM_WEIGHTS}
    return shapes


def tuned_convolutions(after: str, arrays: Mapping[str, np.ndarray]) -> list[Convolution]:
    """Return the last convolutions of a model that is tuned behind a block, given the arrays of `tuned_shapes`."""
    return [
        Convolution.folded(
            arrays[f"{numbered(CONVOLUTION, number)}/kernel"],
            np.stack([arrays[f"{numbered(NORMALISATION, number)}/{weight}"] for weight in NORM_WEIGHTS]),
        )
        for number in range(_behind(after))
    ]


def _behind(after: str) -> int:
    blocks = list(BLOCKS)
    return sum(BLOCKS[block] for block in blocks[blocks.index(after) + 1 :]) if after else 0


def prepare_encoder(
    weights: Path, tuned: Sequence[Convolution], roundings: Mapping[str, Rounding], precision: str
) -> bytes:
    """Return InceptionV3 up to `mixed8` as a LiteRT network.

    Args:
        weights: Keras's file of them.
        tuned: the last convolutions, where a model has its own.
        roundings: of these, by the keys of their kernels. Those of ImageNet's kernels are known here.
        precision: "float32", "int8", or "auto", which is int8 where the rounding of each kernel is known.

    Raises:
        CaptionerError: the file does not hold the weights.
    """
    convolutions = read_convolutions(weights, STEM + sum(BLOCKS.values()) - len(tuned)) + list(tuned)
    if precision != "float32":
        known = load_roundings(ROUNDINGS) | dict(roundings)
        found = [_rounding(each, known) for each in convolutions]
        template = Template.load(INT8)
        if precision == "int8" or all(found[slot.layer] for slot in template.slots if slot.is_int8):
            return template.filled(convolutions, found)
    return Template.load(FLOAT32).filled(convolutions)


def _rounding(convolution: Convolution, known: Mapping[str, Rounding]) -> Rounding | None:
    found = known.get(kernel_key(convolution))
    return found if found and found.steps.shape == convolution.kernel.shape else None
