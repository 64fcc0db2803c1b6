"""Whole trainings of the compact encoder, on photos of one colour and captions that name it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captioner import Captioner
from captioner.config import DecoderConfig, DecodingConfig, EncoderConfig, ImitationConfig, ModelConfig, TrainingConfig
from captioner.data.dataset import CaptionDataset, Example
from captioner.data.model_files import read_words
from captioner.errors import CaptionerError
from captioner.training.joint_run import JointRun, train_jointly

COLOURS = {"red": (220, 20, 30), "green": (20, 200, 40), "blue": (30, 40, 210), "white": (240, 240, 235)}
MODEL = ModelConfig(
    EncoderConfig("compact", "grid", 80),  # 4 x 4 places
    DecoderConfig(hidden_size=8, embedding_dim=6, attention_dim=5, dropout=0.0),
    DecodingConfig(max_length=4),
)
TRAINING = TrainingConfig(
    epochs=1, batch_size=4, warmup_steps=1, min_count=1, ema_momentum=0.5, precision="float32", learning_rate=0.01
)
IMITATION = ImitationConfig(imitation_epochs=2, views=2)


@pytest.fixture
def dataset(tmp_path, monkeypatch) -> CaptionDataset:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    examples = []
    for name, colour in COLOURS.items():
        Image.new("RGB", (60, 50), colour).save(tmp_path / f"{name}.png")
        examples.append(Example(tmp_path / f"{name}.png", (f"a {name} wall", f"the {name} wall")))
    return CaptionDataset("walls", {"train": tuple(examples), "dev": tuple(examples[:2])})


def lines_until(word: str):
    """Return a list of lines, and what takes them until one has this word, and then is killed."""
    lines: list[str] = []

    def report(line: str) -> None:
        lines.append(line)
        if word in line:
            raise KilledError

    return lines, report


class KilledError(Exception):
    pass


def arrays(directory: Path) -> dict[str, np.ndarray]:
    import h5py

    found = {}
    for name in ("encoder.weights.h5", "decoder.weights.h5"):
        with h5py.File(directory / name) as file:
            file.visititems(
                lambda path, item, name=name: (
                    found.update({f"{name}/{path}": item[()]}) if hasattr(item, "shape") else None
                )
            )
    return found


def test_a_pupil_follows_its_teacher_into_a_directory_of_its_own(dataset, tmp_path):
    lines, report = lines_until("never")
    alone = JointRun(dataset, MODEL, TRAINING, IMITATION, tmp_path / "teacher")
    metrics = train_jointly(alone, resume=True, report=report)
    assert "learn from the captions alone" in "\n".join(lines)
    assert metrics["imitation"] == []
    assert (metrics["split"], metrics["images"]) == ("dev", 2)

    taught = replace(alone, output=tmp_path / "pupil", teacher=tmp_path / "teacher")
    metrics = train_jointly(taught, resume=True, report=report)
    assert [row["epoch"] for row in metrics["imitation"]] == [1, 2]
    config, vocabulary = read_words(tmp_path / "pupil")
    assert config.encoder == MODEL.encoder
    assert (config.decoder.locations, config.decoder.channels) == (16, 288)
    assert set(COLOURS) < set(vocabulary.tokens)

    # the directory is all that is needed, and both ways to read it agree
    photo = tmp_path / "blue.png"
    ours = Captioner.load(tmp_path / "pupil", encoder_weights=tmp_path / "nothing.h5")(photo)
    keras = Captioner.load(tmp_path / "pupil", encoder_weights=tmp_path / "nothing.h5", backend="keras")(photo)
    assert ours.text == keras.text
    assert ours.score == pytest.approx(keras.score, abs=1e-4)

    # killed in the middle, it ends with the weights of one that was not
    for word in ("imitation 1/2", "epoch 1/1"):
        _, killed = lines_until(word)
        with pytest.raises(KilledError):
            train_jointly(replace(taught, output=tmp_path / "stopped"), resume=True, report=killed)
    train_jointly(replace(taught, output=tmp_path / "stopped"), resume=True, report=report)
    expected, found = arrays(tmp_path / "pupil"), arrays(tmp_path / "stopped")
    assert expected.keys() == found.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)

    with (tmp_path / "pupil" / "encoder.weights.h5").open("r+b") as file:
        file.seek(-100, 2)
        file.write(b"x" * 50)
    with pytest.raises(CaptionerError, match=r"encoder\.weights\.h5"):
        Captioner.load(tmp_path / "pupil")


def test_a_teacher_that_sees_another_grid_is_refused(dataset, tmp_path):
    alone = JointRun(dataset, MODEL, TRAINING, IMITATION, tmp_path / "teacher")
    train_jointly(alone, resume=True, report=lambda line: None)
    larger = replace(MODEL, encoder=EncoderConfig("compact", "grid", 96))
    with pytest.raises(CaptionerError, match=r"--teacher .*16 places of 8 numbers.*25 of 8"):
        train_jointly(
            replace(alone, model=larger, output=tmp_path / "pupil", teacher=tmp_path / "teacher"),
            resume=True,
            report=lambda line: None,
        )
