"""A convolution as prediction runs it: with batch normalisation folded in, and rounded to int8 on request."""

from dataclasses import dataclass

import numpy as np

LARGEST = 127
"""The largest int8 that a kernel takes, so that it is symmetric about 0."""

NARROW = 0.85
"""The share of a channel's largest weight that its scale covers where clipping the few beyond it errs less."""


@dataclass(frozen=True)
class Rounding:
    """The difference of a kernel's int8 from those of plain rounding; `captioner.training.fitting.gptq` finds them.

    Attributes:
        steps: int8 (O, H, W, I), to add to what plain rounding gives.
        narrow: bool (O,), the channels whose scale is `NARROW` of the usual.
        shift: float16 (O,), to add to the bias, for the mean of what rounding changes.
    """

    steps: np.ndarray
    narrow: np.ndarray
    shift: np.ndarray


@dataclass(frozen=True)
class Convolution:
    """A kernel and a bias.

    Attributes:
        kernel: float32 (O, H, W, I), LiteRT's order.
        bias: float32 (O,).
    """

    kernel: np.ndarray
    bias: np.ndarray

    @classmethod
    def folded(cls, kernel: np.ndarray, norm: np.ndarray, epsilon: float = 1e-3) -> "Convolution":
        """Fold a batch normalisation without gamma into the convolution before it.

        K' = K / sqrt(variance + epsilon), b' = beta - mean / sqrt(variance + epsilon).

        Args:
            kernel: Keras's order (H, W, I, O).
            norm: beta, mean and variance of the normalisation (3, O).
            epsilon: what keeps the root from 0; Keras's default.
        """
        beta, mean, variance = norm
        scale = 1 / np.sqrt(variance + np.float32(epsilon))  # (O,)
        return cls(np.ascontiguousarray((kernel * scale).transpose(3, 0, 1, 2)), beta - mean * scale)

    def scales(self, narrow: np.ndarray | bool = False) -> np.ndarray:
        """Return the step between two int8 of each channel, float32 (O,), shorter for those in `narrow`, bool (O,)."""
        largest = np.abs(self.kernel).reshape(len(self.kernel), -1).max(1)  # (O,)
        steps = np.where(narrow, np.float32(NARROW), np.float32(1)) * largest / np.float32(LARGEST)
        return np.where(steps > 0, steps, np.float32(1)).astype(np.float32)

    def quantized(self, rounding: Rounding | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the kernel as int8 (O, H, W, I), its scales, float32 (O,), and the bias that goes with it, (O,).

        Args:
            rounding: how to round; None rounds each weight to the nearest.
        """
        scales = self.scales(False if rounding is None else rounding.narrow)
        nearest = np.rint(self.kernel / scales[:, None, None, None])  # (O, H, W, I)
        nearest = np.clip(nearest, -LARGEST, LARGEST).astype(np.int8)
        if rounding is None:
            return nearest, scales, self.bias
        moved = np.clip(nearest.astype(np.int16) + rounding.steps, -LARGEST, LARGEST).astype(np.int8)
        return moved, scales, self.bias + rounding.shift.astype(np.float32)
