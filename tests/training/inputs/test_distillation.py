from dataclasses import replace

import keras
import numpy as np
import pytest

from captioner.config.model import DecoderConfig, EncoderConfig, ModelConfig
from captioner.config.training import FineTuningConfig, TrainingConfig
from captioner.data.store import FeatureStore
from captioner.errors import CaptionerError
from captioner.models.directory import save_model
from captioner.models.tuned_model import TunedModel
from captioner.text import Vocabulary
from captioner.training.checkpoint import Checkpoint
from captioner.training.context import Context
from captioner.training.inputs import distillation as module
from captioner.training.inputs.distillation import load_teacher, refuse_other_encoder, teacher_probabilities
from captioner.training.inputs.split import Split
from captioner.training.loop import run_stage
from captioner.training.profile import Profile
from captioner.training.stages.fine_tuning import FineTuning

ENCODER = EncoderConfig(feature_layer="mixed2", image_size=75, fine_tune_after="mixed1")
CONFIG = ModelConfig(ENCODER, DecoderConfig("rnn", 8, 6, 5, 0.0, 11, 49, 288))
VIEWS = 2


@pytest.fixture(scope="module")
def teachers():
    """Two networks that differ, whose words depend on the photo."""
    made = []
    for seed in (1, 2):
        keras.utils.set_random_seed(seed)
        network = TunedModel(CONFIG)
        rng = np.random.default_rng(seed)
        network.set_weights([weight + rng.normal(0, 0.05, weight.shape) for weight in network.get_weights()])
        made.append(network)
    return made


@pytest.fixture
def grids(make_split, vocabulary, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    split = make_split(5, 3)
    features = np.random.default_rng(3).normal(size=(5 * VIEWS, 49, 288)).astype(np.float16)
    split = replace(split, features=features, rows=[VIEWS * row for row in split.rows], views=VIEWS, source="grids")
    # the second photo is damaged
    keep = [0, 2, 3, 4]
    kept = {name: [getattr(split, name)[n] for n in keep] for name in ("rows", "captions", "names")}
    split = replace(split, **kept).encoded(vocabulary, 5)
    # of one photo the shorter caption comes first, though it is read last
    tokens = [[each[0][:2], each[1]] if photo == 1 else each for photo, each in enumerate(split.tokens)]
    return replace(split, tokens=tokens)


def of_word(network: TunedModel, grid: np.ndarray, before: list[int]) -> np.ndarray:
    """The probabilities (V,) of the word behind some others, by the step that searches take, one word at a time."""
    step, states = network.captioner.start(keras.ops.convert_to_numpy(network.features(grid[None])))
    for word in [Vocabulary.start, *before]:
        log_probs, states, _ = step(np.array([[word]], np.int32), states)
    return np.exp(log_probs[0, 0])


@pytest.mark.long
def test_what_is_said_is_the_mean_of_the_teachers_probabilities_in_each_view(teachers, grids, monkeypatch):
    monkeypatch.setattr(module, "VIEWS_AT_ONCE", 4)  # several lots
    said = teacher_probabilities(teachers, grids)
    assert said.shape == (10, 8, 11)
    for photo, row in enumerate(grids.rows):
        for view in range(VIEWS):
            place = 0
            for caption in grids.tokens[photo]:
                for number in range(len(caption)):
                    found = np.zeros(11)
                    found[said[row + view, place]["word"]] = said[row + view, place]["probability"]
                    each = [of_word(network, grids.features[row + view], caption[:number]) for network in teachers]
                    np.testing.assert_allclose(found, np.mean(each, axis=0), atol=1e-3)
                    place += 1
    assert not np.allclose(each[0], each[1], atol=0.02), "teachers that say the same prove nothing"


def test_only_the_likeliest_words_are_kept_and_they_sum_to_one(teachers, grids, monkeypatch):
    whole = teacher_probabilities(teachers, grids)[0, 0]
    monkeypatch.setattr(module, "KEPT", 3)
    few = teacher_probabilities(teachers, grids)[0, 0]
    np.testing.assert_array_equal(few["word"], whole["word"][:3])
    expected = whole["probability"][:3].astype(float)
    np.testing.assert_allclose(few["probability"], expected / expected.sum(), atol=1e-3)


@pytest.mark.long
def test_killed_it_goes_on_and_a_second_time_nobody_is_asked(teachers, grids, monkeypatch):
    monkeypatch.setattr(module, "VIEWS_AT_ONCE", 2)
    asked = []
    mean, write = module._mean, FeatureStore.write
    monkeypatch.setattr(module, "_mean", lambda *args: asked.append(1) or mean(*args))

    def stop(store, rows, values):
        if store.present.sum() >= 4:
            raise KeyboardInterrupt
        write(store, rows, values)

    monkeypatch.setattr(FeatureStore, "write", stop)
    with pytest.raises(KeyboardInterrupt):
        teacher_probabilities(teachers, grids)
    monkeypatch.setattr(FeatureStore, "write", write)
    said = teacher_probabilities(teachers, grids)[:]
    asked.clear()
    np.testing.assert_array_equal(teacher_probabilities(teachers, grids)[:], said)
    assert not asked
    teacher_probabilities(teachers[:1], grids)
    assert asked


@pytest.mark.long
def test_a_batch_brings_what_was_said_of_its_words_in_the_view_that_it_shows(teachers, grids, vocabulary):
    context = Context(vocabulary, grids, grids, TrainingConfig(batch_size=2, seed=0), CONFIG.decoding)
    stage = FineTuning(context, TunedModel(CONFIG), FineTuningConfig(1, distillation=0.5), teachers)
    checked, rows = 0, set()
    for batch in stage.batches.shuffled(0, 1, stage.prepare):
        assert len(batch["teacher_words"]) == len(batch["teacher_probabilities"]) == len(batch["targets"])
        tokens = batch["tokens"].reshape(-1, batch["tokens"].shape[2])
        images = len(tokens) // len(batch["features"])
        for position, words, probabilities in zip(
            batch["positions"], batch["teacher_words"], batch["teacher_probabilities"], strict=True
        ):
            line, time = divmod(int(position), tokens.shape[1])
            found = np.zeros(11)
            found[words] = probabilities
            grid = batch["features"][line // images]
            each = [of_word(network, grid, tokens[line, 1 : time + 1].tolist()) for network in teachers]
            np.testing.assert_allclose(found, np.mean(each, axis=0), atol=1e-3)
            checked += 1
        rows |= {number for grid in batch["features"] for number in range(10) if (grids.features[number] == grid).all()}
    assert checked == sum(len(caption) for each in grids.tokens for caption in each)
    assert {number % VIEWS for number in rows} == {0, 1}, "both views are shown"


@pytest.mark.long
def test_a_pupil_comes_to_say_what_its_teachers_say(teachers, grids, vocabulary, tmp_path):
    """With all of the share theirs, people's captions teach nothing: what the teachers say is nearer afterwards."""

    def apart(network: TunedModel) -> float:
        both = []
        for photo in range(4):
            grid = grids.features[grids.rows[photo]]
            for number in range(4):
                before = vocabulary.encode(grids.captions[photo][0], 5)[:number]
                theirs = np.mean([of_word(each, grid, before) for each in teachers], axis=0)
                both.append(np.sum(theirs * np.log(theirs / of_word(network, grid, before))))
        return float(np.mean(both))

    keras.utils.set_random_seed(5)
    pupil = TunedModel(CONFIG)
    before = apart(pupil)
    training = TrainingConfig(batch_size=2, warmup_steps=0, ema_momentum=0.0, seed=1, patience=30)
    config = FineTuningConfig(10, 0.02, 0.002, VIEWS, distillation=1.0)
    dev = Split(grids.features[:2], [0, 1], grids.captions[:2], grids.names[:2])
    checkpoint = Checkpoint(tmp_path / "pupil", {})
    context = Context(vocabulary, grids, dev, training, CONFIG.decoding).with_data(grids, dev)
    run_stage(FineTuning(context, pupil, config, teachers), checkpoint, Profile())
    assert apart(pupil) < 0.5 * before


@pytest.fixture
def saved(teachers, vocabulary, tmp_path):
    """The directory of a teacher, and the weights of its encoder."""
    weights = tmp_path / "encoder.weights.h5"
    keras.applications.InceptionV3(include_top=False, weights=None, input_shape=(75, 75, 3)).save_weights(weights)
    save_model(tmp_path / "teacher", CONFIG, vocabulary, teachers[0].captioner, teachers[0].layers_behind)
    return tmp_path / "teacher", weights


def test_a_saved_model_is_loaded_as_a_teacher(saved, teachers, vocabulary):
    loaded = load_teacher(*saved, "mixed1", vocabulary)
    for ours, theirs in zip(loaded.get_weights(), teachers[0].get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_teacher_that_reads_or_says_other_things_is_refused(saved, vocabulary):
    other = Vocabulary([*vocabulary.tokens[:-1], "new"])
    with pytest.raises(CaptionerError, match=r"expected the 11 words of these captions .* --min-count"):
        load_teacher(*saved, "mixed1", other)
    for name, value, message in (
        ("fine_tune_after", "mixed0", "--fine-tune-after mixed0, found mixed1"),
        ("image_size", 96, "--image-size 96, found 75"),
        ("network", "Xception", "--encoder Xception, found InceptionV3"),
    ):
        with pytest.raises(CaptionerError, match=rf"--teacher .*teacher: expected a model with {message}"):
            refuse_other_encoder(saved[0], replace(ENCODER, **{name: value}))
    refuse_other_encoder(saved[0], ENCODER)
