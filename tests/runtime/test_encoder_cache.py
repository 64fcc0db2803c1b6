import pytest

from captioner.config.model import EncoderConfig
from captioner.runtime import encoder_cache

DEFAULT = EncoderConfig()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "captioner" / "litert"


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "weights.h5"
    path.write_bytes(b"some weights")
    return path


def path_of(config=DEFAULT, weights="imagenet", tuned="", precision="auto"):
    return encoder_cache.encoder_path(config, str(weights), tuned, precision)


def test_each_encoder_has_a_name_of_its_own(weights, cache):
    paths = [
        path_of(),
        path_of(weights=weights),
        path_of(EncoderConfig(feature_layer="mixed7"), weights),
        path_of(weights=weights, tuned="a"),
        path_of(weights=weights, tuned="b"),
        path_of(precision="float32"),
    ]
    assert len(set(paths)) == len(paths)
    assert {path.parent for path in paths} == {cache}
    assert paths[0] == path_of()
    assert path_of(weights=weights.with_name("missing.h5")) is None


def test_equal_files_share_an_encoder_wherever_they_lie(weights, tmp_path):
    other = tmp_path / "other.h5"
    other.write_bytes(weights.read_bytes())
    assert path_of(weights=other) == path_of(weights=weights)


def test_what_was_kept_comes_back(tmp_path):
    encoder_cache.save_encoder(tmp_path / "new" / "encoder.zip", b"network" * 1000)
    assert encoder_cache.read_encoder(tmp_path / "new" / "encoder.zip") == b"network" * 1000


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "flipped", "other"])
def test_what_is_damaged_is_not_there(tmp_path, damage):
    encoder_cache.save_encoder(tmp_path / "encoder.zip", b"network" * 1000)
    path = tmp_path / "encoder.zip"
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 1
    path.write_bytes({"empty": b"", "cut": content[: len(content) // 2], "other": b"PK\3\4"}.get(damage, content))
    if damage == "missing":
        path.unlink()
    assert encoder_cache.read_encoder(path) is None


@pytest.mark.parametrize("offset", [8, 10])  # flags, of which one says that it is encrypted; and the compression
def test_a_flipped_bit_in_the_list_of_an_archive_is_damage_too(tmp_path, offset):
    encoder_cache.save_encoder(tmp_path / "encoder.zip", b"network")
    path = tmp_path / "encoder.zip"
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\1\2") + offset] ^= 1
    path.write_bytes(content)
    assert encoder_cache.read_encoder(path) is None
