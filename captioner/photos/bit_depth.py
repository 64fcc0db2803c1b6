"""Convert pixels of any depth to 8 bits."""

import numpy as np

from captioner.errors import PhotoError


def array_to_8_bits(array: np.ndarray) -> np.ndarray:
    """Return an array of photo values as uint8, of the same shape.

    Raises:
        PhotoError: the values are no photo's.
    """
    kind = array.dtype.kind
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.uint16:
        return from_16_bits(array)
    if kind not in "biuf":
        raise PhotoError(f"the array: expected uint8 values, got the type {array.dtype}")
    low, high = array.min(), array.max()
    if not (low >= 0 and high <= 255):  # false for NaN too
        raise PhotoError(f"the array: expected values from 0 to 255 (or 0 to 1), got values from {low} to {high}")
    ceiling = 1 if kind in "bf" and high <= 1 else 255
    return np.rint(array * (255 / ceiling)).astype(np.uint8)


def from_16_bits(values: np.ndarray) -> np.ndarray:
    """Return values in 0..65535 as uint8, of the same shape."""
    return ((values.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)


def from_open_range(values: np.ndarray) -> np.ndarray:
    """Return 32-bit integers or floats as uint8, of the same shape.

    Such a file does not say what white is. It is taken to be the smallest usual ceiling that holds all values (1 for
    floats, 255, 65535); where none does, their minimum becomes black and their maximum white.
    """
    ceilings = (1, 255, 65535) if values.dtype.kind == "f" else (255, 65535)
    # A part at a time, since in 64 bits a large photo would take more memory than all else
    parts = np.array_split(values, min(len(values), 1 + values.size // 2**20))

    def finite(part: np.ndarray) -> np.ndarray:
        return np.nan_to_num(part.astype(np.float64), posinf=0.0, neginf=0.0)

    low, high = min(finite(part).min() for part in parts), max(finite(part).max() for part in parts)
    fitting = [ceiling for ceiling in ceilings if low >= 0 and high <= ceiling]
    low, high = (0, fitting[0]) if fitting else (low, high)
    scale = 255 / (high - low or 1)
    return np.concatenate([np.rint((finite(part) - low) * scale).astype(np.uint8) for part in parts])
