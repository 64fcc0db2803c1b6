import pytest

from captioner.config import EncoderConfig
from captioner.errors import CaptionerError
from captioner.runtime import bundle


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "captioner" / "litert"


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "weights.h5"
    path.write_bytes(b"some weights")
    return path


def test_each_encoder_has_a_name_of_its_own(weights, cache):
    paths = [
        bundle.encoder_path(EncoderConfig(), "imagenet", ""),
        bundle.encoder_path(EncoderConfig(), str(weights), ""),
        bundle.encoder_path(EncoderConfig(feature_layer="mixed7"), str(weights), ""),
        bundle.encoder_path(EncoderConfig(), str(weights), "a"),
        bundle.encoder_path(EncoderConfig(), str(weights), "b"),
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


def test_what_was_kept_comes_back(tmp_path):
    bundle.save_encoder(tmp_path / "new" / "encoder.zip", b"network" * 1000)
    assert bundle.read_encoder(tmp_path / "new" / "encoder.zip") == b"network" * 1000
    assert bundle.read_onnx(tmp_path / "new" / "encoder.zip") is None  # kept without one
    bundle.save_encoder(tmp_path / "encoder.zip", b"network" * 1000, b"onnx" * 1000)
    assert bundle.read_encoder(tmp_path / "encoder.zip") == b"network" * 1000
    assert bundle.read_onnx(tmp_path / "encoder.zip") == b"onnx" * 1000


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "flipped", "other"])
def test_what_is_damaged_is_not_there(tmp_path, damage):
    bundle.save_encoder(tmp_path / "encoder.zip", b"network" * 1000)
    path = tmp_path / "encoder.zip"
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 1
    path.write_bytes({"empty": b"", "cut": content[: len(content) // 2], "other": b"PK\3\4"}.get(damage, content))
    if damage == "missing":
        path.unlink()
    assert bundle.read_encoder(path) is None


@pytest.mark.parametrize("offset", [8, 10])  # flags, of which one says that it is encrypted; and the compression
def test_a_flipped_bit_in_the_list_of_an_archive_is_damage_too(tmp_path, offset):
    bundle.save_encoder(tmp_path / "encoder.zip", b"network")
    path = tmp_path / "encoder.zip"
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\1\2") + offset] ^= 1
    path.write_bytes(content)
    assert bundle.read_encoder(path) is None


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
