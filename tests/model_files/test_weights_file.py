import re
import zipfile

import numpy as np
import pytest

from captioner.errors import CaptionerError
from captioner.model_files.weights_file import read_weights, save_weights

SHAPES = {"a/kernel": (3, 4), "b/bias": (5,)}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.npz"


def arrays(kind=np.float32):
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=shape).astype(kind) for name, shape in SHAPES.items()}


def refused(path, why):
    with pytest.raises(CaptionerError, match=re.escape(str(path)) + ".*" + why):
        read_weights(path, SHAPES)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, ">f2", ">f4"])
def test_arrays_come_back(path, kind):
    save_weights(path, arrays(kind))
    found = read_weights(path, SHAPES)
    for name, values in arrays(kind).items():
        assert found[name].dtype == values.dtype
        np.testing.assert_array_equal(found[name], values)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, ">f2"])
def test_what_is_no_number_is_refused(path, kind, odd):
    written = arrays(kind)
    written["b/bias"][3] = odd
    save_weights(path, written)
    refused(path, "b/bias holds NaN or infinite numbers")


def test_what_single_precision_cannot_hold_is_refused(path):
    written = arrays(np.float64)
    written["b/bias"][3] = -1e300
    save_weights(path, written)
    refused(path, "b/bias holds NaN or infinite numbers")


def test_the_largest_numbers_are_not(path):
    for kind in (np.float16, np.float32):
        written = arrays(kind)
        written["b/bias"][:2] = np.finfo(kind).max, np.finfo(kind).min
        save_weights(path, written)
        np.testing.assert_array_equal(read_weights(path, SHAPES)["b/bias"], written["b/bias"])


def test_more_memory_than_the_file_has_bytes_is_refused(path):
    """Each array fits; only all together they are more: they are compressed, or lie in one place."""
    shapes = {f"{letter}": (100, 100) for letter in "abcdefgh"}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, shape in shapes.items():
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, np.zeros(shape, np.float32))
    with pytest.raises(CaptionerError, match=rf"take 320000 bytes, but the file has {path.stat().st_size}\b"):
        read_weights(path, shapes)


def test_an_array_under_the_plain_name_is_not_taken_for_the_one_that_was_looked_at(path):
    save_weights(path, arrays())
    with zipfile.ZipFile(path, "a") as archive, archive.open("b/bias", "w") as file:
        np.lib.format.write_array(file, np.zeros(50_000, np.float32))
    np.testing.assert_array_equal(read_weights(path, SHAPES)["b/bias"], arrays()["b/bias"])


def test_an_array_with_more_behind_it_is_refused(path):
    with zipfile.ZipFile(path, "w") as archive:
        for name, values in arrays().items():
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, values)
                file.write(b"more")
    refused(path, "a/kernel holds more than its array")


def test_a_bit_that_flips_in_the_numbers_is_noticed(path):
    written = arrays()
    save_weights(path, written)
    content = bytearray(path.read_bytes())
    content[content.index(written["a/kernel"].tobytes()) + 9] ^= 1
    path.write_bytes(content)
    refused(path, "Bad CRC-32")


def test_equal_arrays_give_equal_bytes_in_whatever_order(path):
    save_weights(path, arrays())
    before = path.read_bytes()
    save_weights(path, dict(reversed(arrays().items())))
    assert path.read_bytes() == before
