"""Whole trainings of the compact encoder, on photos of one colour and captions that name it."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captioner import Captioner
from captioner.config.decoding import DecodingConfig
from captioner.config.model import DecoderConfig, EncoderConfig, ModelConfig
from captioner.config.training import ImitationConfig, TrainingConfig
from captioner.data.dataset import CaptionDataset, Example
from captioner.errors import CaptionerError
from captioner.model_files.directory import CaptionerDirectory
from captioner.models import compact
from captioner.models.networks import load_networks
from captioner.photos.opening import open_photo
from captioner.photos.preprocessing import preprocess
from captioner.text import Vocabulary, normalise
from captioner.training import compact as compact_training
from captioner.training import devices
from captioner.training.caption_run import CaptionRun, Sources
from captioner.training.compact import CompactTraining
from captioner.training.context import Context
from captioner.training.evaluation import caption_split, score_captions
from captioner.training.inputs.split import Split
from captioner.training.run import train

pytestmark = pytest.mark.long

COLOURS = {"red": (220, 20, 30), "green": (20, 200, 40), "blue": (30, 40, 210), "white": (240, 240, 235)}
MODEL = ModelConfig(
    EncoderConfig("compact", "grid", 80),  # 4 x 4 places
    DecoderConfig(hidden_size=8, embedding_dim=6, attention_dim=5, dropout=0.0),
    DecodingConfig(max_length=4),
)
TRAINING = TrainingConfig(
    views=2,
    epochs=1,
    batch_size=4,
    warmup_steps=1,
    min_count=1,
    ema_momentum=0.5,
    precision="float32",
    learning_rate=0.01,
)
IMITATION = ImitationConfig(imitation_epochs=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Iterator[Path]:
    """All that these tests write. The encoder has the layers that it always has, but narrow ones, and fewer blocks."""
    folder = tmp_path_factory.mktemp("walls")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.setattr(compact, "STEM", 8)
        patch.setattr(compact, "STAGES", {24: ((8, 1, False), (12, 1, False), (16, 1, True))})
        for module in (compact, compact_training):
            patch.setattr(module, "CHANNELS", 24)
        yield folder


@pytest.fixture(scope="module")
def dataset(folder) -> CaptionDataset:
    examples = []
    for name, colour in COLOURS.items():
        Image.new("RGB", (60, 50), colour).save(folder / f"{name}.png")
        examples.append(Example(folder / f"{name}.png", (f"a {name} wall", f"the {name} wall")))
    return CaptionDataset("walls", {"train": tuple(examples), "dev": tuple(examples[:2])})


class KilledError(Exception):
    pass


class Listener(logging.Handler):
    """Keeps what is logged, and kills the training at a message with this word."""

    def __init__(self, word: str = "") -> None:
        super().__init__()
        self.word = word
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        if self.word and self.word in self.lines[-1]:
            raise KilledError


@contextmanager
def listening(word: str = "") -> Iterator[list[str]]:
    """Yield the messages that are logged in the block."""
    logger, listener = logging.getLogger("captioner"), Listener(word)
    level = logger.level
    logger.addHandler(listener)
    logger.setLevel(logging.INFO)
    try:
        yield listener.lines
    finally:
        logger.removeHandler(listener)
        logger.setLevel(level)


@pytest.fixture(scope="module")
def alone(dataset, folder) -> CaptionRun:
    """A run without a teacher, finished: the teacher of the others. Its batches are cut in two, theirs are not."""
    run = CaptionRun(dataset, MODEL, folder / "teacher", TRAINING, imitation=IMITATION)
    with pytest.MonkeyPatch.context() as patch, listening() as lines:
        patch.setattr(devices, "available_cores", lambda: 2)
        metrics = train(CompactTraining(run))
    assert "learn from the captions alone" in "\n".join(lines)
    assert metrics["imitation"] == []
    assert (metrics["split"], metrics["images"]) == ("dev", 2)
    return run


@pytest.fixture(scope="module")
def taught(alone, folder) -> CaptionRun:
    """A run with a teacher, finished."""
    run = replace(alone, output=folder / "pupil", sources=Sources(teachers=(alone.output,)))
    metrics = train(CompactTraining(run))
    assert [row["epoch"] for row in metrics["imitation"]] == [1, 2]
    return run


def test_a_pupil_follows_its_teacher_into_a_directory_of_its_own(taught, folder):
    assert {path.name for path in taught.output.iterdir()} == {
        *("config.json", "vocabulary.json", "encoder.tflite", "encoder.int8.tflite", "decoder.npz"),
        *("metrics.json", "history.csv", "training.png", "README.md", "checkpoint"),
    }
    model = CaptionerDirectory.read(taught.output)
    config, vocabulary = model.config, model.vocabulary()
    assert config.encoder == MODEL.encoder
    assert (config.decoder.locations, config.decoder.channels) == (16, 24)
    assert set(COLOURS) < set(vocabulary.tokens)

    # the directory is all that is needed, and both ways to read it agree
    photo = folder / "blue.png"
    ours = Captioner.load(taught.output, encoder_weights=folder / "nothing.h5", precision="float32")(photo)
    keras = Captioner.load(taught.output, encoder_weights=folder / "nothing.h5", backend="keras")(photo)
    assert ours.text == keras.text
    assert ours.score == pytest.approx(keras.score, abs=1e-4)
    in_int8 = Captioner.load(taught.output)(photo)
    assert 0 < abs(in_int8.score - ours.score) < 0.2


def test_what_was_scored_is_what_is_kept(taught):
    model, encoder = load_networks(taught.output)
    examples = taught.dataset.split("dev")
    photos = [encoder(preprocess(open_photo(example.image), 80)[None], training=False).numpy() for example in examples]
    references = [[normalise(caption) for caption in example.captions] for example in examples]
    split = Split(np.concatenate(photos).astype(np.float16), [0, 1], references, ["red", "green"])
    beams = caption_split(model.network, split, model.config.decoding)
    captions = [model.vocabulary.decode(beam[0].tokens) for beam in beams]
    metrics = json.loads((taught.output / "metrics.json").read_text())
    found = score_captions(captions, split, "dev", model.config.decoding)
    assert found == {name: metrics[name] for name in found}
    assert metrics["encoder_parameters"] == encoder.count_params()
    for values in [*encoder.get_weights(), *model.network.get_weights()]:
        np.testing.assert_array_equal(values, values.astype(np.float16))


def test_killed_in_the_middle_it_ends_as_one_that_was_not(taught, folder):
    stopped = replace(taught, output=folder / "stopped")
    for message in ("imitation epoch 1/2", "epoch 1/1"):
        with pytest.raises(KilledError), listening(message):
            train(CompactTraining(stopped))
    with listening() as lines:
        train(CompactTraining(stopped))
    assert "resuming after epoch 1 of 1" in lines
    for ours, theirs in zip(load_networks(stopped.output), load_networks(taught.output), strict=True):
        ours, theirs = (getattr(each, "network", each).get_weights() for each in (ours, theirs))
        for found, expected in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(found, expected)


def test_another_training_starts_from_what_was_learned(taught, folder, monkeypatch):
    class BegunError(Exception):
        pass

    def begun(context, network, *more):
        raise BegunError(network)

    monkeypatch.setattr(compact_training, "Joint", begun)
    further = replace(taught, output=folder / "further", sources=Sources(init_from=taught.output))
    with pytest.raises(BegunError) as caught:
        train(CompactTraining(further))
    (network,) = caught.value.args
    model, encoder = load_networks(taught.output)
    images = np.stack([preprocess(open_photo(folder / f"{name}.png"), 80) for name in COLOURS])
    expected = model.network.decoder.regions(encoder(images))
    np.testing.assert_allclose(network.regions(images), expected, atol=1e-4)
    for name, values in network.captioner.named_weights().items():
        np.testing.assert_array_equal(values, model.network.named_weights()[name], err_msg=name)


def test_a_teacher_whose_words_have_other_numbers_is_refused(alone):
    training = CompactTraining(replace(alone, sources=Sources(teachers=(Path("one"),), init_from=Path("two"))))
    ours, theirs = (Vocabulary.build([sentence.split()]) for sentence in ("red blue blue", "blue red red"))
    nothing = Split(np.zeros((0, 1, 1)), np.zeros(0, int), [], [])
    training.context = Context(ours, nothing, nothing, TRAINING, MODEL.decoding)
    with pytest.raises(CaptionerError, match="--teacher one: expected words that --init-from two begins with, found 6"):
        training._compare_words(theirs)
    training.context = replace(training.context, vocabulary=ours.extended([["wall"]], 1))
    with listening() as lines:
        training._compare_words(ours)
    assert lines == ["1 words that the teacher does not know are learned from the captions alone"]


def test_a_teacher_that_sees_another_grid_is_refused(alone, folder):
    larger = replace(MODEL, encoder=EncoderConfig("compact", "grid", 96))
    run = replace(alone, model=larger, output=folder / "larger", sources=Sources(teachers=(alone.output,)))
    with pytest.raises(CaptionerError, match=r"--teacher .*16 regions of 8 numbers.*25 of 8"):
        train(CompactTraining(run))
