import numpy as np
import pytest

from captioner.training import precision
from captioner.training.precision import choose_precision, in_float32


@pytest.mark.parametrize(
    ("cpu_info", "chosen"),
    [
        ("vendor_id\t: AuthenticAMD\nflags\t\t: fpu avx512f avx512_bf16 fma\n", "mixed_bfloat16"),
        ("vendor_id\t: GenuineIntel\nflags\t\t: fpu avx512f avx512_bf16 fma\n", "float32"),
        ("flags : fpu amx_bf16\n", "mixed_bfloat16"),
        ("processor\t: 0\nflags\t\t: fpu avx2 fma\n", "float32"),
        ("processor : 0\nFeatures : asimd bf16\n", "float32"),
        (None, "float32"),
    ],
)
def test_half_precision_is_chosen_where_the_processor_is_faster_in_it(tmp_path, monkeypatch, cpu_info, chosen):
    monkeypatch.setattr(precision, "CPU_INFO", tmp_path / "cpuinfo")
    if cpu_info is not None:
        (tmp_path / "cpuinfo").write_text(cpu_info)
    assert choose_precision("auto") == chosen
    for named in ("float32", "mixed_bfloat16"):
        assert choose_precision(named) == named


@pytest.mark.parametrize(
    ("gpus", "chosen"),
    [
        ([(8, 0)], "mixed_bfloat16"),
        ([(9, 0), (8, 6)], "mixed_bfloat16"),
        ([(7, 5)], "float32"),
        ([(9, 0), (7, 0)], "float32"),
        ([(0, 0)], "float32"),
    ],
)
def test_where_there_are_gpus_they_decide_and_not_the_processor(tmp_path, monkeypatch, gpus, chosen):
    (tmp_path / "cpuinfo").write_text("flags : amx_bf16\n" if chosen == "float32" else "flags : fpu\n")
    monkeypatch.setattr(precision, "CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(precision, "compute_capabilities", lambda: gpus)
    assert choose_precision("auto") == chosen


def test_a_copy_in_float32_has_the_same_weights(make_network):
    network = make_network(9)
    mixed = type(network)(network.config, dtype="mixed_bfloat16")
    copy = in_float32(mixed)
    assert (mixed.compute_dtype, copy.compute_dtype) == ("bfloat16", "float32")
    for found, expected in zip(copy.get_weights(), mixed.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
