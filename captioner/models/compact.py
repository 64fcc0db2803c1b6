"""The compact encoder: a small convolutional network that this project trains from scratch."""

from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

STEM = 32

CHANNELS = 304
"""Channels of the grid (D)."""

STAGES = {
    CHANNELS: ((48, 1, False), (128, 2, False), (304, 2, True)),
    288: ((48, 1, False), (96, 2, False), (288, 2, True)),
}
"""Width, residual blocks, and whether these are gated by what the whole photo shows, by the channels of the grid.

A model of 288 channels is one that an earlier version trained."""

GRID = "grid"
"""The layer that gives the grid, as `EncoderConfig.feature_layer` names it."""

NORM = "_norm"
"""What the name of a convolution's batch normalisation has besides the convolution's."""

SIZE = 144
"""Side of the photo, in pixels: 16 a region, and half a region of rim on each side."""


def build_compact(
    size: int = SIZE, dtype: Any = "float32", folded: bool = False, channels: int = CHANNELS
) -> keras.Model:
    """Build the compact encoder, with random weights.

    A stem and three stages, each of which halves the grid, made of residual blocks (He et al. 2016) of plain 3 x 3
    convolutions, which processors multiply fastest; their batch normalisation folds into them once the network is
    trained (`captioner.models.folding`). The last stage has the channels of its blocks gated by their means over the
    photo (Hu et al. 2018), so that a region knows what it is part of. A 2 x 2 convolution without padding then makes
    8 x 8 regions of 9 x 9: their middles lie where those of InceptionV3's `mixed8` lie, to a fiftieth of the photo's
    side.

    Args:
        size: side of the photo (S), a multiple of 16; 144 gives 8 x 8 regions.
        dtype: a dtype policy; batch normalisation counts in float32 in any case.
        folded: whether the convolutions have biases in the place of batch normalisation, as a model directory keeps
            them.
        channels: of the grid (D), one of `STAGES`.

    Returns:
        a model from images float32 (B, S, S, 3) in [-1, 1] to features (B, L, D).

    Raises:
        ValueError: there is no such network.
    """
    if channels not in STAGES:
        raise ValueError(f"no compact encoder has {channels} channels, only {' or '.join(map(str, STAGES))}")
    image = keras.Input((size, size, 3), name="image", dtype="float32")
    build = _Builder(dtype, folded)
    grid = build.convolved(image, STEM, 3, 2, "stem")  # (B, S/2, S/2, C)
    for stage, (width, blocks, gated) in enumerate(STAGES[channels], 1):
        for block in range(1, blocks + 1):
            grid = build.block(grid, width, 2 if block == 1 else 1, gated, f"stage_{stage}_block_{block}")
    grid = layers.Conv2D(channels, 2, use_bias=True, name=GRID, dtype=dtype)(grid)  # (B, S/16 - 1, S/16 - 1, D)
    regions = (size // 16 - 1) ** 2
    features = layers.Reshape((regions, channels), name="features", dtype=dtype)(grid)
    return keras.Model(image, features, name="encoder")


@dataclass(frozen=True)
class _Builder:
    """What all parts of the network have in common: see `build_compact`."""

    dtype: Any
    folded: bool

    def block(self, grid: keras.KerasTensor, width: int, stride: int, gated: bool, name: str) -> keras.KerasTensor:
        """Two convolutions, and what they were given added to what they make of it."""
        dtype = self.dtype
        inside = self.convolved(grid, width, 3, stride, f"{name}_first")
        inside = self.convolved(inside, width, 3, 1, f"{name}_second", activation=False)
        if gated:
            mean = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_mean", dtype=dtype)(
                inside
            )  # (B, 1, 1, C)
            narrow = layers.Dense(width // 4, activation="relu", name=f"{name}_squeeze", dtype=dtype)(mean)
            gate = layers.Dense(width, activation="sigmoid", name=f"{name}_excite", dtype=dtype)(narrow)
            inside = layers.Multiply(name=f"{name}_gated", dtype=dtype)([inside, gate])
        if stride > 1:
            grid = layers.AveragePooling2D(stride, padding="same", name=f"{name}_pool", dtype=dtype)(grid)
            grid = self.convolved(grid, width, 1, 1, f"{name}_skip", activation=False)
        total = layers.Add(name=f"{name}_sum", dtype=dtype)([inside, grid])
        return layers.Activation("relu", name=name, dtype=dtype)(total)

    def convolved(
        self, grid: keras.KerasTensor, width: int, kernel: int, stride: int, name: str, *, activation: bool = True
    ) -> keras.KerasTensor:
        """Convolve, normalise over the batch unless that is folded and, where `activation` says so, drop negatives."""
        grid = layers.Conv2D(
            width,
            kernel,
            stride,
            padding="same",
            use_bias=self.folded,
            kernel_initializer="he_normal",
            name=name,
            dtype=self.dtype,
        )(grid)
        if not self.folded:
            grid = layers.BatchNormalization(momentum=0.97, name=f"{name}{NORM}", dtype=self.dtype)(grid)
        return layers.Activation("relu", name=f"{name}_relu", dtype=self.dtype)(grid) if activation else grid
