"""Features of a split as prediction sees them: photos through a LiteRT network, one by one."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from captioner.photos.preprocessing import scale
from captioner.system.cores import available_cores
from captioner.system.prefetch import prefetch_map
from captioner.system.progress import progress_bar
from captioner.training.inputs.split import Split


def litert_features(pixels: Split, encode: Callable[..., np.ndarray]) -> Split:
    """Return a split with the features of its photos, float32 (M, L, D).

    Args:
        pixels: the split with photos uint8 (M, S, S, 3), as `read_pixel_split` gives it.
        encode: a `captioner.runtime.encoder.LiteRTEncoder`.
    """
    photos = [pixels.features[row] for row in pixels.rows]
    read = prefetch_map(lambda photo: encode(scale(photo), single_threaded=True), photos, available_cores())
    with progress_bar(read, total=len(photos), desc="encoder", unit="photo", delay=2, leave=False) as bar:
        features = np.stack(list(bar))
    return replace(pixels, features=features, rows=np.arange(len(photos)), source="")
