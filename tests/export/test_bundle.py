import pytest

from captioner.errors import CaptionerError
from captioner.export.bundle import export_bundle
from captioner.model_files.directory import CaptionerDirectory
from captioner.models.directory import load_model

NETWORK = b"a network" * 1000


@pytest.fixture
def model(tmp_path, save_captioner):
    return save_captioner(tmp_path / "model")


@pytest.fixture
def ready(tmp_path, model):
    """The model as a bundle; what the encoder's network is does not matter here."""
    export_bundle(CaptionerDirectory.read(model), NETWORK, NETWORK, tmp_path / "ready")
    return tmp_path / "ready"


def test_what_is_in_it(ready, model):
    assert {path.name for path in ready.iterdir()} == {
        *("config.json", "vocabulary.json", "encoder.tflite", "decoder.npz", "export.json"),
    }
    for name in ("vocabulary.json", "decoder.npz"):
        assert (ready / name).read_bytes() == (model / name).read_bytes()
    assert (ready / "encoder.tflite").read_bytes() == NETWORK


def test_what_was_written_comes_back(ready, model):
    found, expected = CaptionerDirectory.read(ready), load_model(model)
    assert found.is_ready
    assert not CaptionerDirectory.read(model).is_ready
    assert found.content("encoder.tflite") == NETWORK
    assert found.config == expected.config
    for name, values in expected.network.named_weights().items():
        assert (found.decoder()[name] == values).all()


def test_what_the_model_knows_of_its_own_doubt_goes_along(tmp_path, save_captioner, known):
    model = CaptionerDirectory.read(save_captioner(tmp_path / "model", known=known))
    export_bundle(model, NETWORK, NETWORK, tmp_path / "ready")
    found = CaptionerDirectory.read(tmp_path / "ready").calibration()
    assert found.config == known.config
    assert set(found.arrays) == set(known.arrays)
    for name, values in known.arrays.items():
        assert (found.arrays[name] == values).all()
    assert (tmp_path / "ready" / "calibration.npz").read_bytes() == (model.path / "calibration.npz").read_bytes()


def test_a_model_that_knows_nothing_of_its_doubt_stays_so(ready):
    assert CaptionerDirectory.read(ready).calibration() is None


@pytest.mark.parametrize("name", ["encoder.tflite", "decoder.npz"])
@pytest.mark.parametrize("damage", ["flipped", "cut", "missing"])
def test_a_damaged_file_is_named(ready, name, damage):
    content = bytearray((ready / name).read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "missing":
        (ready / name).unlink()
    else:
        (ready / name).write_bytes(content if damage == "flipped" else content[:-1])
    for read in (CaptionerDirectory.file, CaptionerDirectory.content):
        with pytest.raises(CaptionerError, match=rf"{name}.*copy or export the directory again"):
            read(CaptionerDirectory.read(ready), name)


def test_what_is_no_part_of_it_is_named(ready):
    with pytest.raises(CaptionerError, match=r"encoder\.npz is not part of the model.*name the model"):
        CaptionerDirectory.read(ready).arrays("encoder.npz", {})


def test_the_network_in_int8_is_the_one_that_photos_are_read_with(tmp_path, model):
    export_bundle(CaptionerDirectory.read(model), NETWORK, b"int8", tmp_path / "ready")
    found = CaptionerDirectory.read(tmp_path / "ready")
    assert found.content(found.fastest_network) == b"int8"
    assert found.content("encoder.tflite") == NETWORK
