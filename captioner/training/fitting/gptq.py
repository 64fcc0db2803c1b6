"""Round the kernels of an encoder to int8 so that the outputs of its convolutions change least.

After Frantar et al. 2023, "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers": weights
are rounded one after the other, and each error is made up for by those that are not rounded yet. For a channel with the
weights w (N,), of which N = H W I, and the input patches x (N,), the mean squared error of its output is

    (w - q)^T M (w - q),    M = E[x x^T],

and with U^T U = M^-1, U upper triangular, rounding w_n to q_n adds -(w_n - q_n) U_n,m / U_n,n to each w_m, m > n.
"""

from collections.abc import Collection
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from captioner.model_files.convolution import LARGEST, Convolution, Rounding
from captioner.model_files.roundings import kernel_key
from captioner.models.folding import convolutions
from captioner.system.progress import progress_bar

DAMPING = 0.01
"""What is added to the diagonal of M, as a share of its mean, so that it can be inverted."""

BLOCK = 64
"""Weights after whose rounding all later ones are changed at once, which is a product of matrices."""

MOST_INPUTS = 8192
"""Weights of a channel above which M would take more than 0.5 GB, and a kernel is left out."""

AT_ONCE = 8
"""Photos read together."""


@dataclass
class Moments:
    """Sums over the input patches of a convolution.

    Attributes:
        second: of x x^T, float64 (N, N).
        first: of x, float64 (N,).
        count: how many patches.
    """

    second: np.ndarray
    first: np.ndarray
    count: int = 0

    @classmethod
    def of(cls, size: int) -> "Moments":
        """Return the moments of no patches, each of `size` numbers."""
        return cls(np.zeros((size, size)), np.zeros(size))

    def add(self, patches: np.ndarray) -> None:
        """Add patches (P, N) to the sums."""
        self.second += patches.T @ patches
        self.first += patches.sum(0)
        self.count += len(patches)


def find_roundings(
    encoder: keras.Model, images: np.ndarray, known: Collection[str] = (), seed: int = 0
) -> dict[str, Rounding]:
    """Find the roundings of an encoder's convolutions; see `captioner.model_files.roundings` for the keys.

    Args:
        encoder: images (B, S, S, 3) to features (B, L, D).
        images: about 48 photos, float32 (B, S, S, 3) in [-1, 1]. Patches are drawn from what each convolution sees.
        known: keys of kernels whose rounding is known, and which are left out.
        seed: of the drawing.
    """
    layers = [layer for layer in encoder.layers if isinstance(layer, keras.layers.Conv2D)]
    unknown = [
        (key, layer, convolution)
        for layer, convolution in zip(layers, convolutions(encoder), strict=True)
        if (key := kernel_key(convolution)) not in known and convolution.kernel[0].size <= MOST_INPUTS
    ]
    if not unknown:
        return {}
    inputs = keras.Model(encoder.input, [layer.input for _, layer, _ in unknown])
    random = np.random.default_rng(seed)
    moments = [Moments.of(int(np.prod(layer.kernel.shape[:3]))) for _, layer, _ in unknown]
    with progress_bar(total=len(images) + len(unknown), desc="int8", unit="step", delay=2, leave=False) as bar:
        for start in range(0, len(images), AT_ONCE):
            some = images[start : start + AT_ONCE]
            grids = inputs(some, training=False)
            for (_, layer, _), grid, each in zip(unknown, keras.tree.flatten(grids), moments, strict=True):
                for photo in ops.convert_to_numpy(grid):  # (H', W', I)
                    each.add(_patches(photo, layer, random))
            bar.update(len(some))
        found = {}
        for (key, _, convolution), each in zip(unknown, moments, strict=True):
            found[key] = round_kernel(convolution, each)
            bar.update()
    return found


def _patches(grid: np.ndarray, layer: keras.layers.Conv2D, random: np.random.Generator) -> np.ndarray:
    """Draw patches (P, N) from what a convolution sees of a photo, (H', W', I); more where a patch is larger."""
    (height, width), (down, right) = layer.kernel_size, layer.strides
    if layer.padding == "same":
        grid = np.pad(grid, (_same(grid.shape[0], height, down), _same(grid.shape[1], width, right), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(grid, (height, width), axis=(0, 1))[::down, ::right]
    total, size = windows.shape[0] * windows.shape[1], height * width * grid.shape[2]
    drawn = random.choice(total, min(total, max(64, min(400, size // 5))), replace=False)
    patches = windows[drawn // windows.shape[1], drawn % windows.shape[1]]  # (P, I, H, W)
    return patches.transpose(0, 2, 3, 1).reshape(len(drawn), size)


def _same(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return the zeros before and behind that padding `same` puts."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def round_kernel(convolution: Convolution, moments: Moments) -> Rounding:
    """Find the rounding of a kernel, each channel with the usual scale or a narrower one, whichever errs less."""
    channels = len(convolution.kernel)
    weights = convolution.kernel.reshape(channels, -1).astype(np.float64)  # (O, N)
    second = moments.second / moments.count
    unseen = np.diag(second) == 0
    second[unseen, unseen] = 1
    damped = second + DAMPING * np.mean(np.diag(second)) * np.eye(len(second))
    upper = np.linalg.cholesky(np.linalg.inv(damped)).T
    best = None
    for narrow in (False, True):
        scales = convolution.scales(narrow).astype(np.float64)
        found = _round(weights, scales, upper)
        left = weights - found * scales[:, None]
        error = np.einsum("on,nm,om->o", left, damped, left, optimize=True)
        if best is None:
            best = found, error, np.zeros(channels, bool)
        else:
            better = error < best[1]
            best = np.where(better[:, None], found, best[0]), np.minimum(error, best[1]), better
    assert best is not None
    found, _, chosen = best
    nearest, scales, _ = Convolution(convolution.kernel, convolution.bias).quantized(
        Rounding(np.zeros(convolution.kernel.shape, np.int8), chosen, np.zeros(channels, np.float16))
    )
    steps = found.reshape(nearest.shape) - nearest
    shift = (weights - found * scales[:, None].astype(np.float64)) @ (moments.first / moments.count)
    return Rounding(steps.astype(np.int8), chosen, shift.astype(np.float16))


def _round(weights: np.ndarray, scales: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Round weights (O, N) to multiples of `scales` (O,) with `upper` (N, N), U in the module's formula."""
    weights, found = weights.copy(), np.empty_like(weights)
    for start in range(0, weights.shape[1], BLOCK):
        end = min(start + BLOCK, weights.shape[1])
        errors = np.empty((len(weights), end - start))
        for n in range(start, end):
            found[:, n] = np.clip(np.rint(weights[:, n] / scales), -LARGEST, LARGEST)
            errors[:, n - start] = (weights[:, n] - found[:, n] * scales) / upper[n, n]
            weights[:, n:end] -= errors[:, n - start, None] * upper[n, n:end]
        weights[:, end:] -= errors @ upper[start:end, end:]
    return found
