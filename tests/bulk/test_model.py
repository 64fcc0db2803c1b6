import pickle
import shutil

import numpy as np
import pytest

from captioner.bulk.model import find_encoder, pack
from captioner.config.decoding import SamplingConfig, WordingConfig
from captioner.config.model import CalibrationConfig
from captioner.library import Captioner
from captioner.model_files.calibration import Calibration, calibration_shapes
from captioner.model_files.directory import CaptionerDirectory
from captioner.model_files.shipped import shipped_model


def test_workers_caption_as_the_library_does():
    model = shipped_model("compact")
    photos = list(np.random.default_rng(1).integers(256, size=(2, 60, 80, 3)).astype(np.uint8))
    wording, sampling = WordingConfig("a dog", ("grass", "unicorn")), SamplingConfig(0.9, 20, 0.95, 4)
    found = find_encoder(model, "imagenet", "auto")
    packed = pack(*found, num_captions=2, wording=wording, sampling=sampling, max_length=9)
    loaded = Captioner.load(
        model,
        num_captions=2,
        begin="a dog",
        exclude=["grass", "unicorn"],
        max_length=9,
        temperature=0.9,
        top_k=20,
        top_p=0.95,
        seed=4,
    )
    texts = [
        [[each.text for each in caption.candidates] for caption in one(photos)] for one in (packed.unpack(), loaded)
    ]
    assert texts[0] == texts[1]
    assert all(text.startswith("a dog") for caption in texts[0] for text in caption)


def test_workers_know_how_sure_they_are(tmp_path):
    shutil.copytree(shipped_model("compact"), tmp_path / "model")
    directory = CaptionerDirectory.read(tmp_path / "model")
    config = CalibrationConfig(sure=0.9, guess=0.5, unfamiliar=1e9, length_penalty=1.0, points=2, directions=1)
    shapes = calibration_shapes(config, directory.config.decoder.channels)
    arrays = {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
    arrays |= {"scores": np.array([-4.0, 0.0]), "shares": np.array([0.0, 1.0])}
    directory.calibrate(Calibration(config, arrays))
    photo = np.random.default_rng(1).integers(256, size=(60, 80, 3)).astype(np.uint8)

    caption = pickle.loads(pickle.dumps(pack(*find_encoder(tmp_path / "model", "imagenet", "auto")))).unpack()(photo)
    expected = Captioner.load(tmp_path / "model")(photo)

    assert 0 < caption.confidence == pytest.approx(expected.confidence)
    assert (caption.certainty, caption.familiar) == (expected.certainty, True)
