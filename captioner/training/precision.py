"""Half precision for training where the processor multiplies in it, and float32 for all that is scored."""

from pathlib import Path

import keras

CPU_INFO = Path("/proc/cpuinfo")
BFLOAT16_PRODUCTS = {"avx512_bf16", "amx_bf16"}
"""Names that Linux gives to instructions that multiply bfloat16 on x86."""


def choose_precision(precision: str) -> str:
    """Return the name of a Keras dtype policy; for `auto`, float32 unless half precision is known to be faster here.

    What cannot be seen (another system, another kind of processor or an accelerator) counts as float32.
    """
    if precision != "auto":
        return precision
    try:
        flags = next(line for line in CPU_INFO.read_text().splitlines() if line.startswith("flags"))
    except (OSError, StopIteration):
        return "float32"
    return "mixed_bfloat16" if BFLOAT16_PRODUCTS & set(flags.split()) else "float32"


def in_float32(network: keras.Model) -> keras.Model:
    """Return a copy of a network, weights and all, that computes in float32, as prediction does."""
    copy = type(network).from_config({**network.get_config(), "dtype": "float32"})
    copy.set_weights(network.get_weights())
    return copy
