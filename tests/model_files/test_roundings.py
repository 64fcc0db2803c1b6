import io
import lzma
import zipfile

import numpy as np
import pytest

from captioner.errors import CaptionerError
from captioner.model_files.convolution import Convolution, Rounding
from captioner.model_files.roundings import kernel_key, load_roundings, pack_roundings


def rounding(seed: int, shape: tuple[int, ...]) -> Rounding:
    draw = np.random.default_rng(seed)
    return Rounding(
        draw.integers(-2, 3, shape).astype(np.int8),
        draw.random(shape[0]) < 0.5,
        draw.normal(size=shape[0]).astype(np.float16),
    )


def test_roundings_come_back_as_they_were(tmp_path):
    wanted = {"00" * 8: rounding(0, (3, 2, 1, 5)), "0123456789abcdef": rounding(1, (7, 1, 1, 4))}
    (tmp_path / "r.npz").write_bytes(pack_roundings(wanted))
    found = load_roundings(tmp_path / "r.npz")
    assert found.keys() == wanted.keys()
    for key, each in wanted.items():
        for name in ("steps", "narrow", "shift"):
            values = getattr(found[key], name)
            assert values.dtype == getattr(each, name).dtype
            np.testing.assert_array_equal(values, getattr(each, name))


def test_equal_roundings_are_equal_bytes():
    first, second = (pack_roundings({"ab" * 8: rounding(0, (3, 2, 1, 5))}) for _ in range(2))
    assert first == second


def test_a_kernel_is_known_by_its_values_alone():
    kernel = np.random.default_rng(0).normal(size=(2, 3, 3, 4)).astype(np.float32)
    key = kernel_key(Convolution(kernel, np.zeros(2, np.float32)))
    turned = np.asfortranarray(kernel)
    assert key == kernel_key(Convolution(turned, np.ones(2, np.float32)))
    changed = kernel.copy()
    changed[0, 0, 0, 0] = np.nextafter(changed[0, 0, 0, 0], np.float32(9))
    assert key != kernel_key(Convolution(changed, np.zeros(2, np.float32)))


def altered(path, **arrays):
    with np.load(path) as file:
        kept = dict(file)
    np.savez(path, **kept | arrays)


def packed(values: bytes) -> np.ndarray:
    return np.frombuffer(lzma.compress(values), np.uint8)


@pytest.mark.parametrize(
    "arrays",
    [
        {"steps": packed(b"\0" * 29)},
        {"steps": packed(b"\0" * 200_000_000)},  # 29 kB that unpack to 200 MB
        {"steps": np.zeros(50, np.uint8)},
        {"shapes": np.array([[3, 2, 1, 2**30]], "<i4")},
        {"shapes": np.array([[3, 2, 1, -5]], "<i4")},
        {"keys": np.zeros(3, np.uint8)},
        {"keys": np.zeros(16, np.uint8)},
        {"narrow": np.array(["a"], object)},
        {"narrow": np.zeros(0, np.uint8)},
        {"shift": np.zeros(2, np.float16)},
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, arrays):
    path = tmp_path / "r.npz"
    path.write_bytes(pack_roundings({"ab" * 8: rounding(0, (3, 2, 1, 5))}))
    altered(path, **arrays)
    with pytest.raises(CaptionerError, match=r"r\.npz is damaged"):
        load_roundings(path)


def test_arrays_that_would_unpack_to_more_than_the_file_are_refused(tmp_path):
    np.savez_compressed(tmp_path / "r.npz", keys=np.zeros(10_000_000, np.uint8))
    with pytest.raises(CaptionerError, match="compressed"):
        load_roundings(tmp_path / "r.npz")


def test_a_header_of_an_enormous_array_is_damage(tmp_path):
    path = tmp_path / "r.npz"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (1 << 50,)})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("keys.npy", header.getvalue())
    with pytest.raises(CaptionerError, match="damaged"):
        load_roundings(path)


def test_a_file_that_is_cut_off_is_damaged(tmp_path):
    path = tmp_path / "r.npz"
    path.write_bytes(pack_roundings({"ab" * 8: rounding(0, (3, 2, 1, 5))}))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CaptionerError, match="damaged"):
        load_roundings(path)
