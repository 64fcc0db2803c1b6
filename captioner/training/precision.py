"""Half precision for training where the device multiplies in it, and float32 for all that is scored."""

from pathlib import Path

import keras

from captioner.training.devices import compute_capabilities

CPU_INFO = Path("/proc/cpuinfo")

BFLOAT16_SINCE = (8, 0)
"""The compute capability from which on NVIDIA's GPUs multiply bfloat16 in tensor cores: Ampere, 2020."""


def choose_precision(precision: str) -> str:
    """Return the name of a Keras dtype policy; for `auto`, float32 unless half precision is known to be faster here.

    Where there are GPUs, they decide, and the processor has no say. What cannot be seen (another system, another
    kind of processor or of GPU) counts as float32.
    """
    if precision != "auto":
        return precision
    if gpus := compute_capabilities():
        return "mixed_bfloat16" if all(each >= BFLOAT16_SINCE for each in gpus) else "float32"
    try:
        lines = (line.partition(":") for line in CPU_INFO.read_text().splitlines())
        about = {name.strip(): set(value.split()) for name, _, value in lines}
    except OSError:
        return "float32"
    faster = _multiplies_bfloat16(about.get("flags", set()), about.get("vendor_id", set()))
    return "mixed_bfloat16" if faster else "float32"


def _multiplies_bfloat16(flags: set[str], vendor: set[str]) -> bool:
    """Return, by Linux's names, whether an x86 processor multiplies bfloat16 faster than float32.

    AMX does. The instructions for vectors do on AMD's processors; on Intel's they cost twice the time of float32.
    """
    return "amx_bf16" in flags or ("avx512_bf16" in flags and "AuthenticAMD" in vendor)


def in_float32(network: keras.Model) -> keras.Model:
    """Return a copy of a network, weights and all, that computes in float32, as prediction does."""
    copy = type(network).from_config({**network.get_config(), "dtype": "float32"})
    copy.set_weights(network.get_weights())
    return copy
