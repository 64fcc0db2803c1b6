import os

import numpy as np
import pytest

from captioner.checksums import Checksums
from captioner.config import DecoderConfig, EncoderConfig
from captioner.errors import CaptionerError
from captioner.runtime import bundle
from captioner.runtime.decoder import weight_shapes

CONFIG = DecoderConfig("gru", 8, 5, 7, 0.0, 11, 4, 6)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "captioner" / "litert"


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "weights.h5"
    path.write_bytes(b"some weights")
    return path


def test_each_encoder_and_each_decoder_has_a_name_of_its_own(weights, cache):
    paths = [
        bundle.encoder_path(EncoderConfig(), "imagenet", ""),
        bundle.encoder_path(EncoderConfig(), str(weights), ""),
        bundle.encoder_path(EncoderConfig(feature_layer="mixed7"), str(weights), ""),
        bundle.encoder_path(EncoderConfig(), str(weights), "a"),
        bundle.encoder_path(EncoderConfig(), str(weights), "b"),
        bundle.decoder_path(CONFIG, Checksums("a")),
        bundle.decoder_path(CONFIG, Checksums("b")),
        bundle.decoder_path(DecoderConfig(), Checksums("a")),
    ]
    assert len(set(paths)) == len(paths)
    assert {path.parent for path in paths} == {cache}
    assert paths[0] == bundle.encoder_path(EncoderConfig(), "imagenet", "")
    assert bundle.encoder_path(EncoderConfig(), str(weights.with_name("missing.h5")), "") is None


def test_equal_files_share_an_encoder_wherever_they_lie(weights, tmp_path):
    other = tmp_path / "other.h5"
    other.write_bytes(weights.read_bytes())
    assert bundle.encoder_path(EncoderConfig(), str(other), "") == bundle.encoder_path(
        EncoderConfig(), str(weights), ""
    )


def test_a_file_is_read_once_and_again_when_it_has_changed(weights, monkeypatch):
    read = []
    digest = bundle.hashlib.file_digest
    monkeypatch.setattr(bundle.hashlib, "file_digest", lambda *more: read.append(1) or digest(*more))
    first = bundle.file_identity(weights)
    assert bundle.file_identity(weights) == first
    assert len(read) == 1
    status = weights.stat()
    weights.write_bytes(b"SOME WEIGHTS")  # as long, and made as old
    os.utime(weights, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert bundle.file_identity(weights) != first
    assert len(read) == 2


@pytest.mark.parametrize("note", ["", "[]", "{}", '{"seen": 1}'])
def test_a_damaged_note_is_written_again(weights, cache, note):
    first = bundle.file_identity(weights)
    (path,) = cache.iterdir()
    path.write_text(note)
    assert bundle.file_identity(weights) == first
    assert first in path.read_text()


def test_without_a_place_for_the_note_the_file_is_read(weights, tmp_path, monkeypatch):
    first = bundle.file_identity(weights)
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert bundle.file_identity(weights) == first


def arrays():
    draw = np.random.default_rng(0)
    return {name: draw.normal(size=shape).astype(np.float32) for name, shape in weight_shapes(CONFIG).items()}


def test_what_was_kept_comes_back(tmp_path):
    bundle.save_encoder(tmp_path / "new" / "encoder.zip", b"network" * 1000)
    assert bundle.read_encoder(tmp_path / "new" / "encoder.zip") == b"network" * 1000
    assert bundle.read_onnx(tmp_path / "new" / "encoder.zip") is None  # kept without one
    bundle.save_encoder(tmp_path / "encoder.zip", b"network" * 1000, b"onnx" * 1000)
    assert bundle.read_encoder(tmp_path / "encoder.zip") == b"network" * 1000
    assert bundle.read_onnx(tmp_path / "encoder.zip") == b"onnx" * 1000
    bundle.save_decoder(tmp_path / "decoder.npz", arrays())
    found = bundle.read_decoder(tmp_path / "decoder.npz", CONFIG)
    assert found.keys() == arrays().keys()
    for name, value in arrays().items():
        np.testing.assert_array_equal(found[name], value)
    assert bundle.read_decoder(tmp_path / "decoder.npz", DecoderConfig()) is None


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "flipped", "other"])
def test_what_is_damaged_is_not_there(tmp_path, damage):
    bundle.save_encoder(tmp_path / "encoder.zip", b"network" * 1000)
    bundle.save_decoder(tmp_path / "decoder.npz", arrays())
    for path in list(tmp_path.glob("*coder.*")):
        content = bytearray(path.read_bytes())
        if damage == "flipped":
            content[len(content) // 2] ^= 1
        path.write_bytes({"empty": b"", "cut": content[: len(content) // 2], "other": b"PK\3\4"}.get(damage, content))
        if damage == "missing":
            path.unlink()
    assert bundle.read_encoder(tmp_path / "encoder.zip") is None
    assert bundle.read_decoder(tmp_path / "decoder.npz", CONFIG) is None


@pytest.mark.parametrize("offset", [8, 10])  # flags, of which one says that it is encrypted; and the compression
def test_a_flipped_bit_in_the_list_of_an_archive_is_damage_too(tmp_path, offset):
    bundle.save_decoder(tmp_path / "decoder.npz", arrays())
    bundle.save_encoder(tmp_path / "encoder.zip", b"network")
    for path in list(tmp_path.glob("*coder.*")):
        content = bytearray(path.read_bytes())
        content[content.index(b"PK\1\2") + offset] ^= 1
        path.write_bytes(content)
    assert bundle.read_decoder(tmp_path / "decoder.npz", CONFIG) is None
    assert bundle.read_encoder(tmp_path / "encoder.zip") is None


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "flipped"])
def test_a_damaged_network_for_onnx_is_told_and_leaves_the_other_as_it_is(tmp_path, damage):
    path = tmp_path / "encoder.zip"
    bundle.save_encoder(path, b"network" * 1000, b"onnx" * 1000)
    content = bytearray(path.read_bytes())
    content[content.index(b"onnx" * 1000)] ^= 1
    path.write_bytes({"empty": b"", "cut": content[: len(content) // 2]}.get(damage, content))
    if damage == "missing":
        path.unlink()
    with pytest.raises(CaptionerError, match=r"encoder\.onnx in .*encoder\.zip is damaged"):
        bundle.read_onnx(path)
    assert bundle.read_encoder(path) == (b"network" * 1000 if damage == "flipped" else None)
