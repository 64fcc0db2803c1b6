"""The random numbers for drawing captions: a function of the seed, the photo's pixels and the caption's place.

They depend on neither the photo's name nor the photos beside it. So a photo gets the same captions alone, in a folder,
in a tar file and from the server, in any order and by any number of threads.
"""

import hashlib
from collections.abc import Sequence

import numpy as np


def photo_key(pixels: np.ndarray) -> bytes:
    """Return 16 bytes that stand for the pixels that the encoder reads."""
    return hashlib.blake2b(pixels.tobytes(), digest_size=16).digest()


def uniforms(seed: int | None, keys: Sequence[bytes], captions: int, length: int) -> np.ndarray:
    """Return numbers from [0, 1), (B, K, T), for K captions of at most T tokens of each of B photos.

    Those of a caption depend on neither K nor T: more captions, or longer ones, begin as fewer or shorter ones do.

    Args:
        seed: the same gives the same numbers; None gives new ones at each call.
        keys: what `photo_key` gave, one a photo.
        captions: K.
        length: T.
    """
    entropy = np.random.SeedSequence().entropy if seed is None else seed

    def row(key: bytes, number: int) -> np.ndarray:
        spawn_key = (*np.frombuffer(key, "<u4").tolist(), number)
        return np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=spawn_key)).random(length)

    return np.array([[row(key, number) for number in range(captions)] for key in keys])
