"""`serve` with a tiny captioner, as a process of its own: `python tiny.py '{"limit": ...}' SECONDS_A_PHOTO ...`."""

import json
import os
import sys
import time
from functools import partial
from unittest import mock

import numpy as np

from captioner import library
from captioner.cli.main import main
from captioner.config.decoding import DecodingConfig
from captioner.config.model import CalibrationConfig, DecoderConfig
from captioner.model_files.calibration import Calibration
from captioner.runtime.captioner import Captioner
from captioner.runtime.decoder import DecoderNetwork, weight_shapes
from captioner.serve import connection
from captioner.serve import limits as limits_module
from captioner.text import Vocabulary


class Means:
    """Images (8, 8, 3) to features (4, 3): the means of the quarters."""

    image_size = 8

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self, image: np.ndarray, single_threaded: bool = False) -> np.ndarray:
        time.sleep(self.seconds)
        if image.max() == image.min() == 1:  # a white photo
            raise RuntimeError("a bug")
        return image.reshape(2, 4, 2, 4, 3).mean(axis=(1, 3)).reshape(4, 3) * 4


def tiny_captioner(seconds: float = 0) -> Captioner:
    vocabulary = Vocabulary.build([["a", "dog", "runs", "the", "cat", "강아지"]])
    config = DecoderConfig("gru", 8, 5, 7, 0.0, len(vocabulary), locations=4, channels=3)
    draw = np.random.default_rng(1)
    weights = {name: draw.uniform(-1, 1, shape) * 2 for name, shape in weight_shapes(config).items()}
    decoding = DecodingConfig(beam_width=3, length_penalty=0.7, max_length=6)
    return Captioner(vocabulary, Means(seconds), DecoderNetwork(config, weights), decoding, num_captions=3)


def tiny_calibration() -> Calibration:
    """What a tiny captioner might know of its doubt: captions of all kinds, and red photos unfamiliar."""
    arrays = {
        "scores": np.array([-6.0, -2.5]),
        "shares": np.array([0.0, 1.0]),
        "mean": np.zeros(3, np.float32),
        "deviation": np.ones(3, np.float32),
        "directions": np.array([[1.0, 0.0, 0.0]], np.float16),
    }
    return Calibration(CalibrationConfig(sure=0.6, guess=0.4, least=0.3, unfamiliar=3.0, length_penalty=0.7), arrays)


if __name__ == "__main__":
    captioner, given = tiny_captioner(float(sys.argv[2])), json.loads(sys.argv[1])
    if "TINY_CALIBRATED" in os.environ:
        captioner.calibration = tiny_calibration()
    with mock.patch.multiple(library.Captioner, load=lambda *more, **settings: captioner):
        if "TINY_CONNECTIONS" in os.environ:
            connection.CONNECTIONS = int(os.environ["TINY_CONNECTIONS"])
        limits_module.Limits = partial(limits_module.Limits, **given)
        sys.exit(main(["serve", "--port", "0", "--model", "models/tiny", *sys.argv[3:]]))
