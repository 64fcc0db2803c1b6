"""A model learns how sure it is from photos, and keeps it where it should."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captioner.calibrate import calibrate, calibrate_trained
from captioner.cli.main import main
from captioner.data.dataset import CaptionDataset, Example
from captioner.decoding.consensus import agreements, consensus_order
from captioner.errors import CaptionerError, UsageError
from captioner.export.bundle import export_bundle
from captioner.library import Captioner, require_calibration
from captioner.model_files.directory import CALIBRATION, CONFIG, NEIGHBOURS, NGRAMS, CaptionerDirectory, describe
from captioner.model_files.shipped import shipped_model

PHOTOS = 110


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> list[Path]:
    """Patches of colour, from smooth to rough."""
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    paths = [folder / f"{number:03}.png" for number in range(PHOTOS)]
    for number, path in enumerate(paths):
        size = 2 + number % 9
        pixels = random.integers(0, 256, (size, size, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((48, 48), Image.Resampling.BICUBIC).save(path)
    return paths


@pytest.fixture(scope="module")
def dataset(photos) -> CaptionDataset:
    said = (("a dog runs in the grass", "a man"), ("a man stands in the air", "people"), ("a dog in the snow",))
    examples = tuple(Example(path, said[number % 3]) for number, path in enumerate(photos))
    return CaptionDataset("made", {"train": examples[:40], "dev": examples, "test": ()})


@pytest.fixture
def model(tmp_path) -> Path:
    directory = tmp_path / "model"
    shutil.copytree(shipped_model("compact"), directory)
    return directory


def without_calibration(directory: Path) -> Path:
    model = CaptionerDirectory.read(directory)
    describe(
        directory,
        model.config,
        [name for name in model.manifest if name not in (CALIBRATION, NGRAMS)],
        model.tensors,
    )
    return directory


def test_a_model_is_fitted_to_the_photos_as_prediction_sees_them(model, dataset, photos):
    before = without_calibration(model) and CaptionerDirectory.read(model)
    assert not (model / CALIBRATION).exists()
    assert calibrate(model, dataset, "imagenet")

    after, captions = CaptionerDirectory.read(model), Captioner.load(model)(photos)
    known = after.calibration()
    assert after.manifest.items() >= before.manifest.items()
    assert (after.config, after.tensors) == (before.config, before.tensors)
    assert known.config.photos == PHOTOS
    assert known.config.directions == 40 // 8
    assert np.mean([caption.familiar for caption in captions]) == pytest.approx(0.95, abs=0.01)
    assert np.mean([caption.confidence < known.config.least for caption in captions]) <= 0.1
    assert all(caption.doubtful for caption in captions if not caption.familiar)


def test_too_few_dev_photos_teach_nothing(model, dataset):
    few = dataset.limited(99)
    assert not calibrate(without_calibration(model), few, "imagenet")
    assert CaptionerDirectory.read(model).doubt is None
    assert Captioner.load(model)(dataset.split("dev")[0].image).confidence is None


def test_dev_photos_that_are_gone_are_told(model, dataset, tmp_path):
    gone = tuple(Example(tmp_path / f"{number}.jpg", ("a dog",)) for number in range(100))
    lost = CaptionDataset("lost", {**dataset.splits, "dev": (*dataset.split("dev")[:9], *gone)})
    with pytest.raises(CaptionerError, match="only 9 of 109 dev photos can be read"):
        calibrate(model, lost, "imagenet")


def test_a_finished_training_stands_without_its_photos(model, dataset, tmp_path, caplog):
    gone = tuple(Example(tmp_path / f"{number}.jpg", ("a dog",)) for number in range(100))
    calibrate_trained(without_calibration(model), CaptionDataset("lost", {"train": gone, "dev": gone}), "imagenet")
    assert CaptionerDirectory.read(model).doubt is None
    assert "only 0 of 100 dev photos can be read" in caplog.text
    assert f"captioner calibrate --model {model}" in caplog.text


def test_a_training_on_few_photos_keeps_what_its_parent_knew_with_the_same_encoder(model, dataset):
    parent = shipped_model("compact")
    calibrate_trained(without_calibration(model), dataset.limited(20), "imagenet", parent)
    found, expected = CaptionerDirectory.read(model).calibration(), CaptionerDirectory.read(parent).calibration()

    assert found.config == expected.config
    assert all(np.array_equal(found.arrays[name], expected.arrays[name]) for name in expected.arrays)


def test_a_training_of_another_encoder_keeps_nothing(model, dataset):
    calibrate_trained(without_calibration(model), dataset.limited(20), "imagenet", shipped_model("flickr8k"))
    assert CaptionerDirectory.read(model).doubt is None


def test_what_a_training_has_fitted_stays(model, dataset):
    before = (model / CALIBRATION).read_bytes()
    calibrate_trained(model, dataset, "imagenet", None)
    assert (model / CALIBRATION).read_bytes() == before


def test_the_command_tells_what_it_found_and_what_is_too_few(model, photos, tmp_path, capsys):
    rows = [f"{path.name},a dog runs,{'train' if number < 5 else 'val'}" for number, path in enumerate(photos)]
    for count, status in ((PHOTOS, 0), (50, 1)):
        data = tmp_path / f"data-{count}"
        shutil.copytree(photos[0].parent, data)
        (data / "captions.csv").write_text("\n".join(["image,caption,split", *rows[:count]]))
        assert main(["calibrate", "--model", str(model), "--data", str(data)]) == status
        said = capsys.readouterr().err
        assert ("is sure from 0.67" if status == 0 else "45 dev photos are too few; expected at least 100") in said


def test_a_damaged_file_is_told(model):
    (model / CALIBRATION).write_bytes(b"no numbers")
    with pytest.raises(CaptionerError, match=r"calibration\.npz is damaged"):
        Captioner.load(model)


def test_a_model_that_knows_nothing_is_told_how_it_learns(model):
    with pytest.raises(UsageError, match="captioner calibrate --model"):
        require_calibration(without_calibration(model))


def always_choose(monkeypatch):
    monkeypatch.setattr("captioner.training.fitting.ngram_regression.FEWEST_PHOTOS", 2)
    monkeypatch.setattr("captioner.calibrate.choose_regression", lambda fit, *given: fit.regression(0.01, 24.0))


def test_captions_are_chosen_by_consensus_where_it_helps(model, dataset, photos, monkeypatch, tmp_path):
    always_choose(monkeypatch)
    assert calibrate(without_calibration(model), dataset, "imagenet")
    directory = CaptionerDirectory.read(model)
    known, calibration = directory.ngram_regression(), directory.calibration()
    assert (known.config.weight, known.config.photos) == (24.0, 40)

    alone = Captioner.load(model, consensus=False, num_captions=3)
    chosen = Captioner.load(model, num_captions=3)
    changed = 0
    for (_, features), caption in zip(alone.features(photos[:20]), chosen(photos[:20]), strict=True):
        found = alone.search(features[None])[0]
        words = [alone.vocabulary.decode(each.tokens) for each in found]
        (factors,) = known.factors(calibration.standardised(features[None]))
        order = [found[h] for h in consensus_order(found, agreements(words, factors, known), 24.0)]
        assert [each.words for each in caption.candidates] == [
            tuple(alone.vocabulary.decode(each.tokens)) for each in order[:3]
        ]
        assert caption.score == pytest.approx(order[0].score, rel=1e-5)  # the network's own
        changed += order[0] is not found[0]
    assert changed

    network = directory.content("encoder.tflite")
    export_bundle(directory, network, network, tmp_path / "bundle")
    assert CaptionerDirectory.read(tmp_path / "bundle").ngram_regression().config == known.config


def test_a_damaged_regression_is_told(model, dataset, monkeypatch):
    always_choose(monkeypatch)
    calibrate(model, dataset, "imagenet")
    content = (model / NGRAMS).read_bytes()
    (model / NGRAMS).write_bytes(content[: len(content) // 2])
    with pytest.raises(CaptionerError, match=r"ngrams\.npz is damaged"):
        Captioner.load(model)
    Captioner.load(model, consensus=False)


def test_a_model_from_before_the_regression_takes_the_likeliest_captions_until_it_is_calibrated(
    model, dataset, photos, monkeypatch, logged
):
    always_choose(monkeypatch)
    whole = CaptionerDirectory.read(model)
    (model / NGRAMS).rename(model / NEIGHBOURS)
    names = [NEIGHBOURS if name == NGRAMS else name for name in whole.manifest]
    former = {"weight": 4.0, "neighbours": 20, "sharpness": 15.0, "photos": 1, "entries": 0, "common": 0}
    describe(model, whole.config, names, whole.tensors, {"calibration": whole.doubt, "consensus": former})

    (found,) = Captioner.load(model)(photos[:1])
    assert found.words == Captioner.load(model, consensus=False)(photos[:1])[0].words
    assert [line for line in logged if "lets it choose by consensus" in line] == [
        f"{model} takes the likeliest captions; `python -m captioner calibrate --model {model}` lets it choose by "
        "consensus"
    ]

    assert calibrate(model, dataset, "imagenet")
    assert CaptionerDirectory.read(model).ngram_regression() is not None
    assert not (model / NEIGHBOURS).exists()


def test_a_manifest_that_is_none_is_told(model):
    """As a stranger may have written it."""
    config = json.loads((model / CONFIG).read_text())
    for manifest in (None, 5, "neighbours.npz", ["neighbours.npz"]):
        (model / CONFIG).write_text(json.dumps({**config, "manifest": manifest}))
        with pytest.raises(CaptionerError, match="manifest: expected"):
            CaptionerDirectory.read(model)
