"""A task so small that an imitation takes seconds: photos of one colour, which the teacher tells apart."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from captioner.config.decoding import DecodingConfig
from captioner.config.model import DecoderConfig, EncoderConfig, ModelConfig
from captioner.config.training import ImitationConfig, TrainingConfig
from captioner.models.captioner import CaptionModel
from captioner.models.photo_model import PhotoModel
from captioner.training import devices
from captioner.training.checkpoint import Checkpoint
from captioner.training.compact import begin_with_the_mean
from captioner.training.inputs.augment import ImageDataset
from captioner.training.inputs.teacher_regions import TaughtImages, TeacherRegions
from captioner.training.inputs.views import Views
from captioner.training.loop import run_stage
from captioner.training.normalized_mse import NormalizedMSE
from captioner.training.profile import Profile
from captioner.training.stages.imitation import Imitation, ImitationData

pytestmark = pytest.mark.long

PHOTOS, VIEWS, SIZE, REGIONS, UNITS = 8, 2, 32, 1, 8
TRAINING = TrainingConfig(batch_size=4, warmup_steps=2, ema_momentum=0.5, precision="float32")


@pytest.fixture
def data() -> ImitationData:
    """Photos of one colour, which look the same in all views; the teacher's regions follow from the colour."""
    colours = np.random.default_rng(5).integers(0, 256, (PHOTOS, 3)).astype(np.uint8)
    pixels = np.broadcast_to(colours[:, None, None], (PHOTOS, SIZE, SIZE, 3))
    teacher = CaptionModel(DecoderConfig("rnn", UNITS, 6, 5, 0.0, 9, REGIONS, 3))
    features = (colours / np.float32(127.5) - 1)[:, None]  # (N, L, D)
    seen = keras.ops.convert_to_numpy(teacher.decoder.regions(features)).astype(np.float16)
    views = Views.draw(PHOTOS, VIEWS, 0)
    regions = TeacherRegions(np.repeat(seen, VIEWS, axis=0), views)
    return ImitationData(
        TaughtImages(ImageDataset(pixels, SIZE, views), regions),
        np.arange(PHOTOS),
        {"images": pixels, "teacher_regions": seen},
        NormalizedMSE(seen, teacher),
    )


def make_pupil(seed: int = 0) -> PhotoModel:
    keras.utils.set_random_seed(seed)
    encoder = EncoderConfig("compact", "grid", 75)
    object.__setattr__(encoder, "image_size", SIZE)  # smaller than any configuration may say: one region
    decoder = DecoderConfig("rnn", UNITS, 6, 5, 0.0, 9, REGIONS, 288)
    return PhotoModel(ModelConfig(encoder, decoder, DecodingConfig()))


def imitate(
    directory: Path, data: ImitationData, epochs: int, pupil: PhotoModel, training: TrainingConfig = TRAINING
) -> list[dict[str, float]]:
    begin_with_the_mean(pupil, data.mse)
    config = ImitationConfig(imitation_epochs=epochs, imitation_rate=0.01)
    stage = Imitation(pupil, data, training, config)
    return run_stage(stage, Checkpoint(directory / "checkpoint", {}), Profile()).history


def test_a_pupil_learns_to_see(tmp_path, data):
    history = imitate(tmp_path, data, 30, make_pupil())
    assert history[0]["regions"] > 0.8  # 1 is the error of saying the same of every photo
    assert min(row["dev_regions"] for row in history) < 0.5


def test_a_photo_alone_in_the_last_batch_spoils_nothing_on_many_cores(tmp_path, data, monkeypatch):
    monkeypatch.setattr(devices, "available_cores", lambda: 2)
    pupil = make_pupil()
    imitate(tmp_path, data, 1, pupil, replace(TRAINING, batch_size=7))
    assert all(np.isfinite(values).all() for values in pupil.get_weights())


def test_a_stopped_imitation_goes_on_as_if_it_had_not_been(tmp_path, data, monkeypatch):
    whole = make_pupil()
    imitate(tmp_path / "whole", data, 2, whole)

    class KilledError(Exception):
        pass

    def save_and_die(self, *arguments):
        save(self, *arguments)
        raise KilledError

    save = Checkpoint.save
    monkeypatch.setattr(Checkpoint, "save", save_and_die)
    with pytest.raises(KilledError):
        imitate(tmp_path / "stopped", data, 2, make_pupil())
    monkeypatch.setattr(Checkpoint, "save", save)
    resumed = make_pupil(seed=1)
    assert [row["epoch"] for row in imitate(tmp_path / "stopped", data, 2, resumed)] == [1, 2]
    for ours, theirs in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
