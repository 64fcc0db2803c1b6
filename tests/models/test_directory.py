import functools
import json
import os
import re
import shutil
from dataclasses import replace

import keras
import numpy as np
import pytest

from captioner.errors import CaptionerError
from captioner.model_files.directory import CONFIG, DECODER, VOCABULARY, CaptionerDirectory, describe
from captioner.model_files.shipped import shipped_model
from captioner.model_files.weights_file import save_weights
from captioner.models.directory import layer_variables, load_model, save_model
from captioner.system import checksums
from captioner.text import Vocabulary


@pytest.fixture(scope="module")
def kept(tmp_path_factory, config, vocabulary, network):
    """Returns a function that gives a model's directory and the network that was saved in it, made once."""

    @functools.cache
    def make(cell):
        directory, model = tmp_path_factory.mktemp(cell), network(cell)
        save_model(directory, config(cell), vocabulary, model)
        return directory, model

    return make


@pytest.fixture
def saved(tmp_path, kept):
    """A copy of a model's directory, and the network that was saved in it."""

    def copy(cell="rnn"):
        directory, model = kept(cell)
        return shutil.copytree(directory, tmp_path / "model"), model

    return copy


def logits(model, features):
    tokens = np.random.default_rng(16).integers(10, size=(len(features), 2, 3)).astype(np.int32)
    return keras.ops.convert_to_numpy(model({"features": features, "tokens": tokens}))


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_a_model_comes_back_whole(saved, config, vocabulary, features, cell):
    directory, model = saved(cell)
    loaded = load_model(directory)
    assert loaded.config == CaptionerDirectory.read(directory).config == config(cell)
    assert loaded.vocabulary.tokens == vocabulary.tokens
    np.testing.assert_array_equal(logits(loaded.network, features), logits(model, features))
    assert sorted(path.name for path in directory.iterdir()) == sorted([CONFIG, VOCABULARY, DECODER])


@pytest.mark.parametrize("name", ["flickr8k", "compact"])
def test_the_shipped_models_load(name):
    """Their files fix the names of layers and attributes."""
    saved = load_model(shipped_model(name))
    assert saved.network.count_params() > 3_000_000
    assert {"place/kernel", "place_norm/gamma", "attention/key/kernel"} <= saved.network.named_weights().keys()


def test_a_directory_may_be_moved_and_named_by_a_string(saved, features, tmp_path):
    directory, model = saved()
    moved = tmp_path / "모델 2"
    directory.rename(moved)
    np.testing.assert_array_equal(logits(load_model(str(moved)).network, features), logits(model, features))


def test_the_optimiser_is_left_out(tmp_path, config, vocabulary, network, features):
    model = network()
    save_model(tmp_path / "bare", config(), vocabulary, model)
    model.compile(optimizer="adam")
    model.optimizer.build(model.trainable_variables)
    save_model(tmp_path / "trained", config(), vocabulary, model)
    sizes = [(tmp_path / name / DECODER).stat().st_size for name in ("bare", "trained")]
    assert sizes[0] == sizes[1]
    np.testing.assert_array_equal(logits(load_model(tmp_path / "trained").network, features), logits(model, features))


def test_saving_again_replaces(saved, tmp_path, config, vocabulary, network, features):
    directory, _ = saved()
    other = network(seed=5)
    save_model(directory, config(), vocabulary, other)
    np.testing.assert_array_equal(logits(load_model(directory).network, features), logits(other, features))


def test_equal_weights_are_saved_as_equal_bytes(saved, tmp_path, config, vocabulary):
    directory, model = saved()
    save_model(tmp_path / "again", config("rnn"), vocabulary, model)
    assert (tmp_path / "again" / DECODER).read_bytes() == (directory / DECODER).read_bytes()


def test_dropout_is_saved_and_does_not_move_what_is_read(tmp_path, config, vocabulary, network, features):
    model = network(dropout=0.5)
    save_model(tmp_path, config(dropout=0.5), vocabulary, model)
    loaded = load_model(tmp_path)
    assert loaded.network.decoder.dropout.rate == 0.5
    np.testing.assert_array_equal(logits(loaded.network, features), logits(model, features))


def refused(directory, *parts):
    with pytest.raises(CaptionerError) as error:
        load_model(directory)
    for part in parts:
        assert str(part) in str(error.value)


@pytest.mark.parametrize("name", ["nothing", "empty"])
def test_what_is_no_model_directory(tmp_path, name):
    (tmp_path / "empty").mkdir()
    refused(tmp_path / name, tmp_path / name, "is no model directory", CONFIG, "saved_models/flickr8k")


@pytest.mark.parametrize("name", [VOCABULARY, DECODER])
def test_a_missing_file_is_named(saved, name):
    directory, _ = saved()
    (directory / name).unlink()
    refused(directory, directory / name, "cannot read", "No such file")


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9, 0.9999])
def test_truncated_weights(saved, share):
    directory, _ = saved()
    path = directory / DECODER
    os.truncate(path, int(path.stat().st_size * share))
    refused(directory, path, "checksum differs", "damaged", "copy or export the directory again")


def test_a_flipped_bit_anywhere_in_the_weights(saved):
    directory, _ = saved()
    path = directory / DECODER
    whole = path.read_bytes()
    draw = np.random.default_rng(17)
    for place in draw.integers(len(whole), size=40).tolist():
        content = bytearray(whole)
        content[place] ^= 1 << int(draw.integers(8))
        path.write_bytes(content)
        refused(directory, path, "checksum differs")
    path.write_bytes(whole)
    load_model(directory)


@pytest.mark.parametrize("name", [CONFIG, VOCABULARY])
def test_a_flipped_bit_in_configuration_or_vocabulary(saved, config, vocabulary, name):
    directory, _ = saved()
    whole = (directory / name).read_bytes()
    draw = np.random.default_rng(18)
    refused = 0
    for place in draw.integers(8 * len(whole), size=150).tolist():
        content = bytearray(whole)
        content[place // 8] ^= 1 << place % 8
        (directory / name).write_bytes(content)
        try:
            model = CaptionerDirectory.read(directory)
            found, words = model.config, model.vocabulary()
        except CaptionerError as error:
            assert str(directory / name) in str(error)  # noqa: PT017
            refused += 1
        else:
            assert (found, words.tokens) == (config(), vocabulary.tokens)
    assert refused > 75


def test_a_word_that_was_changed_is_noticed(saved):
    directory, _ = saved()
    text = (directory / VOCABULARY).read_text(encoding="utf-8")
    word = CaptionerDirectory.read(directory).vocabulary().tokens[4]
    (directory / VOCABULARY).write_text(text.replace(f'"{word}"', f'"{word}x"'), encoding="utf-8")
    refused(directory, directory / VOCABULARY, "its checksum differs")


def test_a_setting_that_was_changed_is_noticed(saved):
    directory, _ = saved()
    whole = json.loads((directory / CONFIG).read_text(encoding="utf-8"))
    whole["model"]["decoding"]["beam_width"] += 1
    (directory / CONFIG).write_text(json.dumps(whole), encoding="utf-8")
    refused(directory, directory / CONFIG, "damaged or was changed by hand (its checksum differs)")


def test_weights_of_another_model(saved, tmp_path, config, vocabulary, network):
    directory, _ = saved()
    save_model(tmp_path / "other", config(), vocabulary, network(seed=8))
    shutil.copy(tmp_path / "other" / DECODER, directory / DECODER)
    refused(directory, directory / DECODER, "checksum differs")


@pytest.mark.parametrize("change", [{"hidden_size": 9}, {"cell": "gru"}, {"cell": "lstm"}, {"channels": 7}])
def test_settings_that_do_not_fit_the_weights(saved, change):
    directory, _ = saved()
    signed(directory, **change)
    refused(directory, directory / DECODER, "config.json expects")


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\3\4" + b"\xff" * 500, "half"])
def test_weights_that_are_no_weights_file(saved, content):
    directory, _ = saved()
    path = directory / DECODER
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if content == "half" else content)
    signed(directory)
    with pytest.raises(CaptionerError, match=re.escape(f"the weights {path} cannot be read (")) as error:
        load_model(directory)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500


def test_a_vocabulary_of_another_size(saved):
    directory, _ = saved()
    Vocabulary.build([["a", "dog"]]).save(directory / VOCABULARY)
    refused(directory, directory / VOCABULARY, "has 6 tokens, but config.json expects 10")


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (("format_version",), 3, "format version 3 cannot be read, this captioner reads 1 and 2; install"),
        (("kind",), "painter", "kind: expected captioner or char_lm, found 'painter'"),
        (("kind",), [], "kind: expected captioner or char_lm, found '[]'"),
        (("kind",), "char_lm", "is a character language model; expected a captioning model, such as saved_models"),
        (("wings",), 2, "unknown settings ['wings']"),
        (("format_version",), True, "format version True cannot be read"),
        (("model", "decoder", "hidden_size"), "512", "hidden_size: expected int, found str '512'"),
        (("model", "decoder", "hidden_size"), -1, "hidden_size: expected a value from 1 to 16384, found -1"),
        (("model", "decoder", "hidden_size"), 10**9, "hidden_size: expected a value from 1 to 16384, found 1000000000"),
        (("model", "decoder", "hidden_size"), True, "hidden_size: expected int, found bool 'True'"),
        (("model", "decoder", "wings"), 2, "unknown settings ['wings']"),
        (("model", "encoder", "network"), "__class__", "network: expected one of InceptionV3"),
        (("model",), [], "model: expected an object of settings, found list"),
        (("manifest",), [], "manifest: expected an object of strings, found '[]'"),
        (("manifest", "decoder.npz"), 0, "manifest: expected an object of strings"),
        (("tensors",), {"a": "b"}, "tensors: expected an object of whole numbers"),
    ],
)
def test_hostile_settings_are_named(saved, keys, value, message):
    directory, _ = saved()
    whole = json.loads((directory / CONFIG).read_text(encoding="utf-8"))
    place = whole
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    del whole["digest"]
    (directory / CONFIG).write_text(json.dumps(whole), encoding="utf-8")
    refused(directory, directory, message)


@pytest.mark.parametrize("name", [CONFIG, VOCABULARY])
@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000, b"9" * 5000])
def test_what_is_not_json_is_named(saved, name, content):
    directory, _ = saved()
    (directory / name).write_bytes(content)
    refused(directory, directory / name, "is not valid JSON")


def test_a_save_that_fails_leaves_no_half_file(saved, network, config, vocabulary, monkeypatch, features):
    directory, model = saved()
    before = {path.name: path.read_bytes() for path in directory.iterdir()}

    def fail(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(OSError, match="No space left"):
        save_model(directory, config(), vocabulary, network(seed=3))
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == before
    np.testing.assert_array_equal(logits(load_model(directory).network, features), logits(model, features))


def signed(directory, **config):
    """Let the manifest have what the files are, as a stranger can, and change settings of the decoder."""
    model = CaptionerDirectory.read(directory)
    changed = replace(model.config, decoder=replace(model.config.decoder, **config))
    describe(directory, changed, list(model.manifest))


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(saved, odd):
    directory, model = saved()
    weights = model.named_weights()
    bias = weights["output_projection/bias"]
    save_weights(
        directory / DECODER, weights | {"output_projection/bias": np.where(np.arange(len(bias)) == 5, odd, bias)}
    )
    signed(directory)
    refused(directory, directory / DECODER, "bias holds NaN or infinite numbers")


def test_a_configuration_gets_no_memory_that_its_files_do_not_fill(saved, monkeypatch):
    directory, _ = saved()
    signed(directory, hidden_size=16384)
    monkeypatch.setattr(
        "captioner.models.directory.CaptionModel", lambda config: pytest.fail("it must not be built for this")
    )
    refused(directory, directory / DECODER, "but config.json expects")


@pytest.fixture
def noted(monkeypatch, tmp_path):
    """Notes are kept of small files too, and at once; returns the names of the files that are read for a checksum."""
    found = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(checksums, "SMALL", 0)
    monkeypatch.setattr(checksums, "SETTLED", -1)
    monkeypatch.setattr(
        checksums, "checksum_file", lambda path, read=checksums.checksum_file: found.append(path.name) or read(path)
    )
    return found


def test_a_file_that_has_not_changed_is_not_read_for_its_checksum_again(saved, noted):
    directory, _ = saved()
    load_model(directory)
    assert sorted(noted) == [DECODER, VOCABULARY]
    load_model(directory)
    assert len(noted) == 2
    content = (directory / DECODER).read_bytes()
    (directory / DECODER).unlink()
    (directory / DECODER).write_bytes(content[:-1])
    refused(directory, directory / DECODER, "checksum differs")
    assert noted[2:] == [DECODER]


def test_layers_have_the_same_names_whatever_was_built_before():
    def build():
        pixels = keras.Input((8, 8, 3))
        x = keras.layers.BatchNormalization(scale=False)(keras.layers.Conv2D(4, 3, use_bias=False)(pixels))
        inner = keras.Sequential([keras.layers.LayerNormalization(), keras.layers.Conv2D(2, 1)])
        x = inner(keras.layers.DepthwiseConv2D(3)(keras.layers.Conv2D(4, 1)(x)))
        return keras.Model(pixels, keras.Model(pixels, x)(pixels))

    names = [[name for name, _ in layer_variables(build())] for _ in range(2)]
    assert names[0] == names[1]
    assert names[0] == [
        *("conv2d/kernel", "batch_normalization/beta"),
        *("batch_normalization/moving_mean", "batch_normalization/moving_variance"),
        *("conv2d_1/kernel", "conv2d_1/bias", "depthwise_conv2d/kernel", "depthwise_conv2d/bias"),
        *("sequential/layer_normalization/gamma", "sequential/layer_normalization/beta"),
        *("sequential/conv2d/kernel", "sequential/conv2d/bias"),
    ]


def test_a_model_trained_in_the_place_of_another_leaves_nothing_of_it(saved, config, vocabulary, network):
    directory, _ = saved()
    strangers = ["encoder.npz", "encoder.tflite", "weights.npz", "decoder.weights.h5", "bundle.json"]
    for name in strangers:
        (directory / name).touch()
    (directory / "notes.txt").touch()
    save_model(directory, config(), vocabulary, network())
    assert sorted(path.name for path in directory.iterdir()) == sorted([CONFIG, VOCABULARY, DECODER, "notes.txt"])


@pytest.mark.skipif(os.name == "nt", reason="there are no such files on Windows")
@pytest.mark.parametrize("name", [CONFIG, VOCABULARY, DECODER])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_pipe_or_a_device_in_a_model_directory_is_refused(saved, name, kind):
    directory, _ = saved()
    (directory / name).unlink()
    if kind == "pipe":
        os.mkfifo(directory / name)
    else:
        (directory / name).symlink_to("/dev/zero")
    refused(directory, directory / name, "it is a pipe or a device, and no file")
