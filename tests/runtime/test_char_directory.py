import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from captioner.config.model import CharModelConfig
from captioner.errors import CaptionerError
from captioner.model_files.directory import (
    CONFIG,
    VOCABULARY,
    WEIGHTS,
    CaptionerDirectory,
    CharLMDirectory,
    describe,
    model_kind,
    write_model,
)
from captioner.runtime.char_lm import load_char_model
from captioner.text import CharacterVocabulary


@pytest.fixture
def config(vocabulary) -> CharModelConfig:
    return CharModelConfig("gru", 2, 8, 5, 0.25, True, len(vocabulary))


@pytest.fixture
def saved(tmp_path, config, vocabulary, weights):
    write_model(tmp_path / "모델", config, vocabulary, {WEIGHTS: weights(config)})
    return tmp_path / "모델"


def rewrite(directory, config, arrays, **how):
    """Put other weights in their place, with a checksum that fits."""
    np.savez(directory / WEIGHTS, **arrays)
    describe(directory, config, [VOCABULARY, WEIGHTS])


def test_a_model_comes_back_whole(saved, config, vocabulary, weights):
    found, tokens, arrays = load_char_model(saved)
    assert found == config
    assert tokens.tokens == vocabulary.tokens
    assert sorted(path.name for path in saved.iterdir()) == sorted([CONFIG, VOCABULARY, WEIGHTS])
    for name, value in weights(config).items():
        np.testing.assert_array_equal(arrays[name], value)


def test_the_two_kinds_of_model_are_told_apart(saved, tmp_path):
    assert model_kind(saved) == "char_lm"
    assert model_kind(tmp_path) == ""
    (tmp_path / CONFIG).write_text(json.dumps({"format_version": 2, "kind": "captioner"}))
    assert model_kind(tmp_path) == "captioner"
    with pytest.raises(CaptionerError, match="is a captioning model; expected a character language model, such as"):
        load_char_model(tmp_path)
    with pytest.raises(CaptionerError, match="is a character language model; expected a captioning model, such as"):
        CaptionerDirectory.read(saved)
    assert CharLMDirectory.read(saved).kind == "char_lm"


@pytest.mark.parametrize("missing", [CONFIG, VOCABULARY, WEIGHTS])
def test_a_missing_file_is_named(saved, missing):
    (saved / missing).unlink()
    with pytest.raises(CaptionerError, match=missing.replace(".", r"\.")):
        load_char_model(saved)


def test_a_flipped_bit_is_noticed(saved):
    content = bytearray((saved / WEIGHTS).read_bytes())
    content[len(content) // 2] ^= 1
    (saved / WEIGHTS).write_bytes(content)
    with pytest.raises(CaptionerError, match=r"weights\.npz is damaged, or not the file that config\.json"):
        load_char_model(saved)


def test_a_vocabulary_of_another_model_is_refused(saved, config):
    CharacterVocabulary.build("abc").save(saved / VOCABULARY)
    with pytest.raises(CaptionerError, match=rf"has 5 tokens, but config\.json expects {config.vocabulary_size}"):
        load_char_model(saved)


def test_weights_of_other_sizes_are_refused(saved, config, weights):
    rewrite(saved, config, weights(replace(config, hidden_size=6)))
    with pytest.raises(CaptionerError, match=r"cell_1/kernel is float32 \(5, 18\), but config\.json expects \(5, 24\)"):
        load_char_model(saved)


def test_missing_weights_are_refused(saved, config, weights):
    arrays = weights(config)
    del arrays["norm_2/beta"]
    rewrite(saved, config, arrays)
    with pytest.raises(CaptionerError, match=r"weights\.npz cannot be read.*norm_2/beta"):
        load_char_model(saved)


def test_nothing_in_the_weights_is_executed(saved, config, weights):
    arrays = weights(config) | {"cell_1/bias": np.array([print], object)}
    rewrite(saved, config, arrays)
    with pytest.raises(CaptionerError, match=r"weights\.npz: cell_1/bias is object \(1,\), but"):
        load_char_model(saved)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"\x93NUMPY\x01\x00"])
def test_what_is_no_archive_of_arrays_is_refused(saved, config, content):
    (saved / WEIGHTS).write_bytes(content)
    describe(saved, config, [VOCABULARY, WEIGHTS])
    with pytest.raises(CaptionerError, match=r"weights\.npz cannot be read"):
        load_char_model(saved)


def test_a_plain_array_is_refused(saved, config):
    np.save(saved / "one.npy", np.zeros(3))
    (saved / "one.npy").replace(saved / WEIGHTS)
    describe(saved, config, [VOCABULARY, WEIGHTS])
    with pytest.raises(CaptionerError, match=r"weights\.npz cannot be read"):
        load_char_model(saved)


def test_an_array_is_given_no_memory_before_its_size_is_known(saved, config, weights):
    small = weights(config)
    huge = np.broadcast_to(np.float32(0), (1 << 20, 1 << 20))
    with zipfile.ZipFile(saved / WEIGHTS, "w") as archive:
        for name in small:
            content = io.BytesIO()
            np.lib.format.write_array_header_1_0(content, np.lib.format.header_data_from_array_1_0(huge))
            archive.writestr(f"{name}.npy", content.getvalue())
    describe(saved, config, [VOCABULARY, WEIGHTS])
    with pytest.raises(
        CaptionerError, match=r"weights\.npz: .* is float32 \(1048576, 1048576\), but config\.json expects"
    ):
        load_char_model(saved)


def test_a_flipped_bit_in_configuration_or_vocabulary_is_named_or_changes_nothing(saved, config, vocabulary):
    for name in (CONFIG, VOCABULARY):
        whole = (saved / name).read_bytes()
        refused = 0
        for place in range(0, 8 * len(whole), 7):
            content = bytearray(whole)
            content[place // 8] ^= 1 << place % 8
            (saved / name).write_bytes(content)
            try:
                found, tokens, _ = load_char_model(saved)
            except CaptionerError as error:
                assert name in str(error)  # noqa: PT017
                refused += 1
            else:
                assert (found, tokens.tokens) == (config, vocabulary.tokens)
        assert refused > 0.6 * 8 * len(whole) / 7  # the others are in blanks, and in the name of the checksum
        (saved / name).write_bytes(whole)
    load_char_model(saved)
