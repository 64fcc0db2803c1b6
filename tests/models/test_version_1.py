"""Model directories of version 1: read as they are, and converted."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from captioner.cli.main import main
from captioner.config.model import CharModelConfig
from captioner.config.serialization import DIGEST, digest, to_json
from captioner.errors import CaptionerError
from captioner.model_files import version_1
from captioner.model_files.directory import (
    CONFIG,
    DECODER,
    NETWORK,
    TUNED,
    VOCABULARY,
    WEIGHTS,
    CaptionerDirectory,
    CharLMDirectory,
    model_kind,
    write_model,
)
from captioner.model_files.shipped import shipped_model
from captioner.model_files.upgrade import upgrade
from captioner.model_files.weights_file import save_weights
from captioner.models.directory import layer_variables, load_model, save_model, take_tuned
from captioner.runtime.char_lm import load_char_model
from captioner.runtime.char_network import weight_shapes
from captioner.system.checksums import checksum_file
from captioner.system.locks import alone_in
from captioner.text import CharacterVocabulary


def write_config(directory: Path, name: str = CONFIG, **parts) -> None:
    """Write a file of settings as version 1 did."""
    value = {"format_version": 1, **parts}
    (directory / name).write_text(json.dumps(value | {DIGEST: digest(value)}), encoding="utf-8")


def sums(directory: Path, **files: str) -> dict[str, str]:
    return {name: checksum_file(directory / file) for name, file in files.items()}


def last_layers() -> keras.Model:
    """Layers of all kinds that encoders end in, as `models.encoder.last_layers` lays them out."""
    regions, pixels = keras.Input((64, 3)), keras.Input((8, 8, 3))
    x = keras.layers.BatchNormalization(scale=False)(keras.layers.Conv2D(4, 3, use_bias=False)(pixels))
    x = keras.layers.BatchNormalization()(keras.layers.DepthwiseConv2D(3, use_bias=False)(x))
    x = keras.layers.SeparableConv2D(4, 1, use_bias=False)(keras.layers.SeparableConv2D(4, 1)(x))
    x = keras.Sequential([keras.layers.LayerNormalization(), keras.layers.Conv2D(2, 1)])(keras.layers.Dense(4)(x))
    x = keras.Sequential([keras.layers.Conv2D(2, 1)])(keras.layers.Activation("relu")(x))
    return keras.Model(regions, keras.Model(pixels, x)(keras.layers.Reshape((8, 8, 3))(regions)))


@pytest.fixture
def tuned() -> keras.Model:
    layers, draw = last_layers(), np.random.default_rng(4)
    layers.set_weights([draw.uniform(0.1, 1, weight.shape) for weight in layers.weights])
    return layers


@pytest.fixture
def old(tmp_path, config, vocabulary, network, tuned):
    """Returns a function that writes a directory with Keras's HDF5 files, and gives it with the decoder in it."""

    def make(cell="rnn", seed=1):
        directory, model = tmp_path / "old", network(cell, seed=seed)
        vocabulary.save(directory / VOCABULARY)
        model.save_weights(directory / "decoder.weights.h5")
        tuned.save_weights(directory / "encoder.weights.h5")
        write_config(
            directory,
            model=to_json(config(cell)),
            checksums=sums(directory, weights="decoder.weights.h5", encoder="encoder.weights.h5"),
            vocabulary=sums(directory, checksum=VOCABULARY),
        )
        (directory / "README.md").write_text("a card")
        return directory, model

    return make


def as_long_ago(path: Path) -> None:
    """Name layers of the decoder as they were before it listed its parts."""
    with h5py.File(path, "r+") as file:
        for place, part in version_1.LAYERS.values():
            if f"decoder/{part}" in file:
                file.move(f"decoder/{part}", f"decoder/{place}")


def assert_holds(directory: Path, network: keras.Model, tuned: keras.Model) -> None:
    """Compare what a directory gives with the networks that were saved there, bit for bit."""
    model = CaptionerDirectory.read(directory)
    expected = network.named_weights()
    found = model.decoder()
    assert found.keys() == expected.keys()
    assert all((found[name] == values).all() for name, values in expected.items())
    layers = last_layers()
    take_tuned(layers, model)
    for ours, theirs in zip(layers.get_weights(), tuned.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_it_is_read_as_keras_reads_it_and_says_how_to_convert_it(old, tuned, vocabulary, cell, logged):
    directory, network = old(cell)
    logged.clear()
    assert_holds(directory, network, tuned)
    assert load_model(directory).vocabulary.tokens == vocabulary.tokens
    assert logged == [
        f"{directory} has the older layout, which is read too; `python -m captioner upgrade {directory}` converts it"
    ]


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_converted_it_is_what_is_saved_today(old, tuned, config, vocabulary, tmp_path, cell, capsys):
    directory, network = old(cell)
    assert main(["upgrade", str(directory)]) == 0
    assert capsys.readouterr().err == f"captioner: {directory}: converted\n"
    save_model(tmp_path / "new", config(cell), vocabulary, network, tuned)
    assert {path.name for path in directory.iterdir()} == {
        "README.md",
        *(path.name for path in (tmp_path / "new").iterdir()),
    }
    for path in (tmp_path / "new").iterdir():
        if path.name != CONFIG:  # whose manifest has another order
            assert (directory / path.name).read_bytes() == path.read_bytes(), path.name
    assert_holds(directory, network, tuned)
    before = {path.name: path.read_bytes() for path in directory.iterdir()}
    assert main(["upgrade", str(directory)]) == 0
    assert capsys.readouterr().err == f"captioner: {directory}: is of the present version; nothing to do\n"
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == before


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_files_of_long_ago_have_other_names(old, config, network, cell):
    directory, model = old(cell)
    path = directory / "decoder.weights.h5"
    as_long_ago(path)
    found = version_1.read_decoder(path, {name: values.shape for name, values in model.named_weights().items()})
    assert all((found[name] == values).all() for name, values in model.named_weights().items())


def test_it_is_read_and_converted_without_a_framework(old):
    directory, _ = old()
    code = f"""
import sys
from pathlib import Path
from captioner.model_files.directory import CaptionerDirectory
from captioner.model_files.upgrade import upgrade
model = CaptionerDirectory.read({str(directory)!r})
model.decoder(), model.vocabulary()
assert "h5py" in sys.modules
assert upgrade(Path({str(directory)!r}))
print(sorted({{"tensorflow", "keras"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    code = f"""
import sys
from captioner.model_files.directory import CaptionerDirectory
CaptionerDirectory.read({str(directory)!r}).decoder()
print("h5py" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_interrupted_at_any_point_it_can_be_used_and_converted(old, tuned, monkeypatch):
    points = 0
    while True:
        directory, network = old()
        left = points

        def step(real):
            def act(*arguments, **options):
                nonlocal left
                left -= 1
                if left < 0:
                    raise KeyboardInterrupt
                return real(*arguments, **options)

            return act

        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", step(Path.replace))
            patch.setattr(Path, "unlink", step(Path.unlink))
            try:
                upgrade(directory)
                break
            except KeyboardInterrupt:
                pass
        assert_holds(directory, network, tuned)
        left = any((directory / name).exists() for name in version_1.FILES)
        assert upgrade(directory) == left
        assert_holds(directory, network, tuned)
        assert not any((directory / name).exists() for name in version_1.FILES)
        assert not upgrade(directory)
        shutil.rmtree(directory)
        points += 1
    assert points >= 5  # two files of arrays, the configuration, and two that are removed


@pytest.mark.parametrize("name", ["decoder.weights.h5", "encoder.weights.h5", VOCABULARY])
@pytest.mark.parametrize("damage", ["flipped", "cut", "missing"])
def test_what_is_damaged_is_named_and_left_as_it_is(old, name, damage):
    directory, _ = old()
    content = bytearray((directory / name).read_bytes())
    content[len(content) // 2] ^= 1
    (directory / name).unlink()
    if damage != "missing":
        (directory / name).write_bytes(content if damage == "flipped" else content[:-1])
    before = {path.name: path.read_bytes() for path in directory.iterdir()}
    with pytest.raises(CaptionerError, match=name.replace(".", r"\.")):
        upgrade(directory)
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == before


def test_before_vocabularies_had_checksums_they_are_taken_as_they_are(old, tuned):
    directory, network = old()
    whole = json.loads((directory / CONFIG).read_text())
    write_config(directory, model=whole["model"], checksums=whole["checksums"])
    assert_holds(directory, network, tuned)
    upgrade(directory)
    assert CaptionerDirectory.read(directory).manifest[VOCABULARY] == checksum_file(directory / VOCABULARY)


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ({"checksums": []}, r"decoder\.npz is not part of the model"),
        ({"checksums": {"weights": 5}}, "manifest: expected an object of strings"),
        ({"model": []}, "model: expected an object of settings, found list"),
        ({"files": {"tensors": [1]}}, "tensors: expected an object of whole numbers"),
        ({"vocabulary": {"checksum": "0"}}, r"vocabulary\.json is damaged"),
    ],
)
def test_odd_settings_are_named(old, parts, complaint):
    directory, _ = old()
    whole = json.loads((directory / CONFIG).read_text())
    del whole[DIGEST], whole["format_version"]
    write_config(directory, **whole | parts)
    with pytest.raises(CaptionerError, match=complaint):
        load_model(directory)


def as_version_1(directory: Path) -> None:
    """Leave of the shipped compact model the files, and give it the configuration, that it had."""
    whole = json.loads((directory / CONFIG).read_text())
    manifest = whole["manifest"]
    for name in manifest.keys() - {VOCABULARY, NETWORK, DECODER}:
        (directory / name).unlink()
    files = {"encoder": manifest[NETWORK], "decoder": manifest[DECODER], "tensors": whole["tensors"]}
    write_config(directory, model=whole["model"], files=files, vocabulary={"checksum": manifest[VOCABULARY]})


def test_of_a_compact_model_only_the_configuration_changes(tmp_path):
    directory = Path(shutil.copytree(shipped_model("compact"), tmp_path / "compact"))
    as_version_1(directory)
    found, expected = CaptionerDirectory.read(directory), CaptionerDirectory.read(shipped_model("compact"))
    assert (found.version, found.config, found.tensors) == (1, expected.config, expected.tensors)
    assert found.manifest == {name: expected.manifest[name] for name in (VOCABULARY, NETWORK, DECODER)}
    times = {path.name: path.stat().st_mtime_ns for path in directory.iterdir() if path.name != CONFIG}
    assert upgrade(directory)
    assert times == {path.name: path.stat().st_mtime_ns for path in directory.iterdir() if path.name != CONFIG}
    upgraded = CaptionerDirectory.read(directory)
    assert (upgraded.version, upgraded.manifest, upgraded.tensors) == (2, found.manifest, found.tensors)
    assert (directory / NETWORK).exists()


def test_a_character_model_too(tmp_path):
    vocabulary, draw = CharacterVocabulary.build("abc"), np.random.default_rng(0)
    config = CharModelConfig("rnn", 1, 4, 3, 0.0, True, len(vocabulary))
    weights = {name: draw.normal(size=shape).astype(np.float32) for name, shape in weight_shapes(config).items()}
    write_model(tmp_path, config, vocabulary, {WEIGHTS: weights})
    new = (tmp_path / CONFIG).read_text()
    checksums = sums(tmp_path, weights=WEIGHTS)
    write_config(tmp_path, char_lm=to_json(config), checksums=checksums, vocabulary=sums(tmp_path, checksum=VOCABULARY))
    assert model_kind(tmp_path) == "char_lm"
    assert CharLMDirectory.read(tmp_path).version == 1
    found, _, arrays = load_char_model(tmp_path)
    assert found == config
    assert all((arrays[name] == values).all() for name, values in weights.items())
    with pytest.raises(CaptionerError, match="is a character language model; expected a captioning model"):
        CaptionerDirectory.read(tmp_path)
    assert upgrade(tmp_path)
    assert json.loads((tmp_path / CONFIG).read_text()) == json.loads(new)


@pytest.mark.parametrize("alone", [True, False])
def test_an_export_for_litert_keeps_its_encoder(old, tuned, alone):
    directory, network = old()
    (directory / NETWORK).write_bytes(b"network")
    save_weights(directory / DECODER, network.named_weights())
    known = json.loads((directory / CONFIG).read_text())["checksums"]["weights"]
    write_config(
        directory, "bundle.json", bundle=sums(directory, encoder=NETWORK, decoder=DECODER) | {"weights": known}
    )
    if alone:
        (directory / "decoder.weights.h5").unlink()
        (directory / "encoder.weights.h5").unlink()
    for _ in range(2):
        model = CaptionerDirectory.read(directory)
        assert model.content(NETWORK) == b"network"
        assert all((model.decoder()[name] == values).all() for name, values in network.named_weights().items())
        if alone:
            with pytest.raises(CaptionerError, match=r"encoder\.npz is not part of the model"):
                take_tuned(last_layers(), model)
        else:
            assert_holds(directory, network, tuned)
        upgrade(directory)
    assert CaptionerDirectory.read(directory).version == 2
    assert (directory / TUNED).exists() != alone


def test_the_encoder_of_an_earlier_training_goes(old, tuned):
    directory, network = old()
    (directory / NETWORK).write_bytes(b"network")
    save_weights(directory / DECODER, {})
    about = sums(directory, encoder=NETWORK, decoder=DECODER) | {"weights": "of another training"}
    write_config(directory, "bundle.json", bundle=about)
    assert not CaptionerDirectory.read(directory).is_ready
    upgrade(directory)
    assert not (directory / NETWORK).exists()
    assert_holds(directory, network, tuned)


def test_a_directory_in_which_a_training_runs_is_left_alone(old):
    directory, _ = old()
    with alone_in(directory, "training"), pytest.raises(CaptionerError, match="another training is writing there"):
        upgrade(directory)
    assert CaptionerDirectory.read(directory).version == 1


def test_what_is_no_model_is_named(tmp_path, capsys):
    assert main(["upgrade", str(tmp_path / "gone")]) == 1
    assert "gone is no model directory (config.json is missing)" in capsys.readouterr().err
    assert not (tmp_path / "gone").exists()


def hostile(path, kind, other):
    """Put something in the place of an array of a weights file."""
    with h5py.File(path, "r+") as file:
        found = []
        file.visititems(lambda name, each: found.append(name) if isinstance(each, h5py.Dataset) else None)
        name, shape = found[0], file[found[0]].shape
        del file[name]
        if kind == "external":
            file.create_dataset(name, shape, "f4", external=[(str(other), 0, h5py.h5f.UNLIMITED)])
        elif kind == "link":
            file[name] = h5py.ExternalLink(str(other), "/x")
        elif kind == "soft link":
            file[name] = h5py.SoftLink(f"/{found[1]}")
        elif kind == "second name":
            file[name] = file[found[1]]
        elif kind == "circle":
            file[name] = file["/"]
        elif kind == "piece":  # 16 numbers, of which the only piece has 512 million
            file.create_dataset(name, (16,), "f4", maxshape=(None,), chunks=(1 << 29,), compression="gzip")
        elif kind == "many pieces":  # each of them is small enough
            for number in range(100):
                file.create_dataset(f"more/{number}", (1,), "f4", maxshape=(None,), chunks=(1 << 18,))
            file.create_dataset(name, shape, "f4")
        elif kind == "texts":
            file.create_dataset(name, shape, h5py.string_dtype())
        elif kind == "not a number":
            file.create_dataset(name, data=np.full(shape, np.nan, np.float32))
        elif kind == "other shape":
            file.create_dataset(name, data=np.zeros((1, *shape), np.float32))
        elif kind == "odd name":
            file.create_dataset("layers/functional/layers/conv2d/vars/x", data=np.zeros(shape, np.float32))
        else:
            file.create_dataset(name, (1 << 16, 1 << 20), "f4", chunks=(1 << 10, 1 << 10), compression="gzip")


@pytest.mark.parametrize("name", ["decoder.weights.h5", "encoder.weights.h5"])
@pytest.mark.parametrize(
    ("kind", "complaint"),
    [
        *[("external", "another file"), ("link", "a link"), ("soft link", "a link"), ("bomb", "more than the")],
        *[("second name", "another name too"), ("circle", "another name too"), ("piece", "more than the")],
        *[("many pieces", "more than the"), ("texts", "no numbers"), ("not a number", "holds NaN")],
        *[("other shape", "config.json expects"), ("odd name", "is missing, but")],
    ],
)
def test_weights_that_lead_elsewhere_or_unpack_to_too_much_are_refused(old, tmp_path, name, kind, complaint):
    directory, _ = old()
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(100_000))
    hostile(directory / name, kind, secret)
    whole = json.loads((directory / CONFIG).read_text(encoding="utf-8"))
    known = sums(directory, weights="decoder.weights.h5", encoder="encoder.weights.h5")  # a stranger can count too
    write_config(directory, model=whole["model"], checksums=known, vocabulary=whole["vocabulary"])
    model = CaptionerDirectory.read(directory)

    def load():
        model.decoder()
        take_tuned(last_layers(), model)

    with pytest.raises(CaptionerError, match=complaint) as error:
        load()
    assert str(directory / name) in str(error.value)


@pytest.mark.parametrize("content", [b"", b"no HDF5", b"\x89HDF\r\n\x1a\n" + b"\xff" * 500])
def test_what_is_no_hdf5_is_named(tmp_path, content):
    path = tmp_path / "decoder.weights.h5"
    path.write_bytes(content)
    with pytest.raises(CaptionerError, match=r"the weights .*decoder\.weights\.h5 cannot be read \(") as error:
        version_1.read_decoder(path, {})
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500


def test_encoders_of_keras_are_named_alike(tmp_path):
    """The names by which Keras's file is read are those by which its layers are saved."""
    layers = last_layers()
    layers.save_weights(tmp_path / "encoder.weights.h5")
    assert version_1.read_tuned(tmp_path / "encoder.weights.h5").keys() == dict(layer_variables(layers)).keys()
