import json

import pytest

from captioner.checksums import BundleChecksums, Checksums
from captioner.config_io import load_config
from captioner.errors import CaptionerError
from captioner.export.bundle import export_bundle
from captioner.models.directory import load_model
from captioner.runtime.bundle import read_ready

NETWORK = b"a network" * 1000


@pytest.fixture
def model(tmp_path, save_captioner):
    return save_captioner(tmp_path / "model")


@pytest.fixture
def ready(tmp_path, model):
    """The model as a bundle; what the encoder's network is does not matter here."""
    saved = load_model(model)
    output = tmp_path / "ready"
    export_bundle(model, saved.config, saved.vocabulary, NETWORK, saved.network.named_weights(), output)
    return output


def test_what_is_in_it(ready, model):
    assert {path.name for path in ready.iterdir()} == {
        *("config.json", "vocabulary.json", "encoder.tflite", "decoder.npz"),
        *("bundle.json", "export.json"),
    }
    for name in ("config.json", "vocabulary.json"):
        assert (ready / name).read_text() == (model / name).read_text()
    assert (ready / "encoder.tflite").read_bytes() == NETWORK
    about = load_config(ready / "bundle.json", "bundle", BundleChecksums)
    assert about.weights == load_config(model / "config.json", "checksums", Checksums).weights


def test_what_was_written_comes_back(ready, model):
    saved = load_model(model)
    network, arrays = read_ready(ready, saved.config)
    assert network == NETWORK
    expected = saved.network.named_weights()
    assert arrays.keys() == expected.keys()
    assert all((arrays[name] == expected[name]).all() for name in arrays)


@pytest.mark.parametrize("name", ["encoder.tflite", "decoder.npz"])
@pytest.mark.parametrize("damage", ["flipped", "cut", "missing"])
def test_a_damaged_file_is_named(ready, config, name, damage):
    content = bytearray((ready / name).read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "missing":
        (ready / name).unlink()
    else:
        (ready / name).write_bytes(content if damage == "flipped" else content[:-1])
    with pytest.raises(CaptionerError, match=rf"{name}.*copy or export the directory again"):
        read_ready(ready, config("lstm"))


def test_a_bundle_of_another_model_is_not_used(ready, model, config):
    assert read_ready(model, config("lstm")) is None  # it has none
    changed = json.loads((ready / "config.json").read_text())
    changed["checksums"]["weights"] = "0" * 32  # as a training in the same place leaves it
    del changed["digest"]
    (ready / "config.json").write_text(json.dumps(changed))
    assert read_ready(ready, config("lstm")) is None


def test_without_the_weights_there_is_no_model_to_load(ready):
    with pytest.raises(CaptionerError, match=r"holds a LiteRT bundle alone.*name the model directory"):
        load_model(ready)
