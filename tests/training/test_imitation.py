"""A task so small that an imitation takes seconds: photos of one colour, which the teacher tells apart."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from captioner.config import DecoderConfig, DecodingConfig, EncoderConfig, ImitationConfig, ModelConfig, TrainingConfig
from captioner.errors import CaptionerError
from captioner.models.captioner import CaptionModel
from captioner.models.photo_model import PhotoModel
from captioner.training import shards
from captioner.training.checkpoint import Checkpoint
from captioner.training.imitation import Targets, Unexplained, begin_with_the_mean, imitate, make_targets
from captioner.training.pictures import Pictures
from captioner.training.views import Views

SIZE, PLACES, UNITS = 32, 1, 8
TRAINING = TrainingConfig(batch_size=4, warmup_steps=2, ema_momentum=0.5, precision="float32")


@pytest.fixture
def teacher() -> CaptionModel:
    return CaptionModel(DecoderConfig("rnn", UNITS, 6, 5, 0.0, 9, PLACES, 3))


@pytest.fixture
def encoder() -> keras.Model:
    """What a teacher sees of a photo: the mean of its colours."""
    image = keras.Input((SIZE, SIZE, 3))
    mean = keras.layers.GlobalAveragePooling2D(keepdims=True)(image)
    return keras.Model(image, keras.layers.Reshape((PLACES, 3))(mean))


@pytest.fixture
def photos(tmp_path, monkeypatch) -> list[Path]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    colours = np.random.default_rng(5).integers(0, 256, (8, 3))
    paths = [tmp_path / f"{number}.png" for number in range(8)]
    for path, colour in zip(paths, colours.tolist(), strict=True):
        Image.new("RGB", (40, 30), tuple(colour)).save(path)
    return paths


def make_pupil(seed: int = 0) -> PhotoModel:
    keras.utils.set_random_seed(seed)
    encoder = EncoderConfig("compact", "grid", 75)
    object.__setattr__(encoder, "image_size", SIZE)  # smaller than any configuration may say: one place
    return PhotoModel(ModelConfig(encoder, DecoderConfig("rnn", UNITS, 6, 5, 0.0, 9, PLACES, 288), DecodingConfig()))


def test_targets_are_what_the_teacher_sees_in_each_view(photos, teacher, encoder):
    views = Views.draw(len(photos), 3, 0)
    targets = make_targets(photos, views, encoder, "mean", teacher)
    assert targets.values.shape == (8, 3, PLACES, UNITS)
    colour = np.asarray(Image.open(photos[5]))[0, 0] / np.float32(127.5) - 1
    seen = keras.ops.convert_to_numpy(teacher.decoder.places(colour[None, None]))
    for view in range(3):  # a photo of one colour looks the same wherever one looks
        np.testing.assert_allclose(targets.values[5, view], seen[0], atol=2e-3)


def test_targets_are_made_once(photos, teacher, encoder, monkeypatch):
    views = Views.draw(len(photos), 2, 0)
    first = make_targets(photos, views, encoder, "mean", teacher)
    monkeypatch.setattr("captioner.training.pictures.open_photo", lambda path: pytest.fail("was read again"))
    np.testing.assert_array_equal(make_targets(photos, views, encoder, "mean", teacher).values, first.values)


def test_a_broken_photo_has_no_targets_and_stops_nothing(photos, teacher, encoder):
    photos[0].write_bytes(b"no photo")
    targets = make_targets(photos, Views.draw(len(photos), 2, 0), encoder, "mean", teacher)
    assert np.abs(targets.values[1:].astype(float)).sum(axis=(1, 2, 3)).min() > 0


def test_a_teacher_that_sees_nothing_is_refused(photos, teacher):
    image = keras.Input((SIZE, SIZE, 3))
    blind = keras.layers.Reshape((PLACES, 3))(keras.layers.GlobalAveragePooling2D(keepdims=True)(image * 0.0))
    with pytest.raises(CaptionerError, match="layer 'mean' gives the same for every photo"):
        make_targets(photos, Views.draw(8, 1, 0), keras.Model(image, blind), "mean", teacher)


def test_the_measure_is_one_for_the_mean_and_zero_for_the_truth(teacher):
    targets = np.random.default_rng(6).normal(2.0, 3.0, (400, 4, UNITS)).astype(np.float32)
    unexplained = Unexplained(targets, teacher)
    np.testing.assert_allclose(unexplained.shares(targets, targets), 0.0, atol=1e-6)
    guess = np.broadcast_to(targets.mean(axis=(0, 1)), targets.shape)
    np.testing.assert_allclose(unexplained.shares(guess, targets) / len(targets), 1.0, rtol=1e-3)


def test_the_measure_weighs_what_the_keys_are_made_of(teacher):
    targets = np.random.default_rng(7).normal(size=(50, 4, UNITS)).astype(np.float32)
    unexplained = Unexplained(targets, teacher)
    kernel = keras.ops.convert_to_numpy(teacher.decoder.attention.key.kernel)  # (U, A), A < U
    unread = np.linalg.svd(kernel.T)[2][-1].astype(np.float32)  # a direction that no key sees
    places, keys, mean = np.asarray(unexplained.shares(targets + unread, targets))
    assert keys == pytest.approx(0.0, abs=1e-6)
    variance = np.mean(np.square(targets - targets.mean(axis=(0, 1))))
    assert places == pytest.approx(50 / UNITS / variance, rel=1e-4)
    assert mean > 0


def lesson(
    tmp_path: Path,
    targets: Targets,
    pixels: np.ndarray,
    teacher: CaptionModel,
    epochs: int,
    pupil: PhotoModel,
    training: TrainingConfig = TRAINING,
):
    values = targets.values[:, 0].astype(np.float32)
    unexplained = Unexplained(values, teacher)
    begin_with_the_mean(pupil, unexplained)
    return imitate(
        pupil,
        Pictures(pixels, SIZE, targets.views),
        np.arange(8),
        targets,
        (pixels, values),
        unexplained,
        training,
        ImitationConfig(imitation_epochs=epochs, imitation_rate=0.01),
        Checkpoint(tmp_path / "checkpoint", {}),
        lambda line: None,
    )


@pytest.fixture
def task(photos, teacher, encoder) -> tuple[Targets, np.ndarray]:
    targets = make_targets(photos, Views.draw(8, 2, 0), encoder, "mean", teacher)
    pixels = np.stack([np.asarray(Image.open(path).resize((SIZE, SIZE))) for path in photos])
    return targets, pixels


@pytest.mark.long
def test_a_pupil_learns_to_see(tmp_path, task, teacher):
    history = lesson(tmp_path, *task, teacher, 30, make_pupil())
    assert history[0]["places"] > 0.8  # 1 is what one scores who says the same of every photo
    assert min(row["dev_places"] for row in history) < 0.5


@pytest.mark.long
def test_a_photo_alone_in_the_last_batch_spoils_nothing_on_many_cores(tmp_path, task, teacher, monkeypatch):
    monkeypatch.setattr(shards, "available_cores", lambda: 2)
    pupil = make_pupil()
    lesson(tmp_path, *task, teacher, 1, pupil, replace(TRAINING, batch_size=7))
    assert all(np.isfinite(values).all() for values in pupil.get_weights())


@pytest.mark.long
def test_a_stopped_lesson_goes_on_as_if_it_had_not_been(tmp_path, task, teacher, monkeypatch):
    whole = make_pupil()
    lesson(tmp_path / "whole", *task, teacher, 2, whole)

    class KilledError(Exception):
        pass

    def save_and_die(self, *arguments):
        save(self, *arguments)
        raise KilledError

    save = Checkpoint.save
    monkeypatch.setattr(Checkpoint, "save", save_and_die)
    with pytest.raises(KilledError):
        lesson(tmp_path / "stopped", *task, teacher, 2, make_pupil())
    monkeypatch.setattr(Checkpoint, "save", save)
    resumed = make_pupil(seed=1)
    assert [row["epoch"] for row in lesson(tmp_path / "stopped", *task, teacher, 2, resumed)] == [1, 2]
    for ours, theirs in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
