"""The sums behind the tables of `benchmarks.confidence`, and what it says where something is missing."""

import io
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

from benchmarks import confidence
from benchmarks.confidence import auroc, calibration_error, equal_bins, half_split_alarms, half_split_errors, main
from benchmarks.confidence_figure import draw_confidence
from benchmarks.drawings import DRAWINGS
from benchmarks.foreign import DRAWN, PHOTOGRAPHS, foreign_pictures


def test_bins_and_error_by_hand():
    scores = np.arange(-10, 0)
    sure, right = np.arange(10) / 10, np.repeat([0.0, 1.0], 5)

    assert equal_bins(scores, sure, right) == pytest.approx(
        np.array([[0.05, 0], [0.25, 0], [0.45, 0.5], [0.65, 1], [0.85, 1]])
    )
    assert calibration_error(scores, sure, right) == pytest.approx((0.05 + 0.25 + 0.05 + 0.35 + 0.15) / 5)


def test_auroc_by_hand():
    assert auroc(np.array([1.0, 2.0]), np.array([2.0, 3.0])) == 7 / 8  # 2 is as far as 2
    assert auroc(np.array([3.0]), np.array([1.0, 2.0])) == 0


def test_what_one_half_foretells_of_the_other():
    draw = np.random.default_rng(0)
    scores = draw.uniform(-2, 0, 2000)
    shares = (draw.random((2000, 5)) < (1 + scores / 2)[:, None]).mean(axis=1)

    assert half_split_errors(scores, shares).shape == (10,)
    assert half_split_errors(scores, shares).mean() < 0.03
    assert half_split_errors(scores, 1 - shares).mean() > 0.1  # a table that may only rise says nothing of these
    assert half_split_alarms(draw.standard_normal(2000)) == pytest.approx(np.full(10, 0.05), abs=0.03)


def test_drawings_are_different_and_twice_the_same():
    first, second = ([draw().tobytes() for draw in DRAWINGS.values()] for _ in range(2))

    assert first == second
    assert len(set(first)) == len(DRAWINGS) >= 14


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """Wheels with a small picture for each name; Matplotlib is installed."""
    file = io.BytesIO()
    Image.new("LA", (3, 2), (200, 0)).save(file, "PNG")  # transparent, which is white
    inside = {"scikit_image": ("skimage/data", {"china", "flower"}), "scikit_learn": ("sklearn/datasets/images", set())}
    for package, (folder, others) in inside.items():
        with zipfile.ZipFile(tmp_path / f"{package}-0.1-cp311-linux.whl", "w") as wheel:
            for name in (PHOTOGRAPHS | DRAWN) - others if others else {"china", "flower"}:
                wheel.writestr(f"{folder}/{name}.png", file.getvalue())
            wheel.writestr(f"{folder}/README.txt", "no picture")
    return tmp_path


def test_pictures_come_out_of_wheels(wheels):
    found = foreign_pictures(wheels)

    assert [picture.is_photograph for picture in found] == [True] * 22 + [False] * (len(found) - 22)
    assert len({picture.name for picture in found}) == len(found) == 31 + len(DRAWINGS)
    astronaut = found[0]
    assert (astronaut.name, astronaut.image.getpixel((0, 0))) == ("astronaut", (255, 255, 255))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda wheels: wheels.joinpath("scikit_learn-0.1-cp311-linux.whl").write_bytes(b"cut"), "cut off"),
        (lambda wheels: wheels.joinpath("scikit_image-0.1-cp311-linux.whl").unlink(), "scikit-image is not installed"),
    ],
)
def test_a_missing_wheel_is_named(wheels, monkeypatch, damage, message):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    damage(wheels)
    with pytest.raises(FileNotFoundError, match=f"{message}.*pip download --no-deps.*--wheels wheels"):
        foreign_pictures(wheels)


def test_ctrl_c_and_missing_data_end_with_a_message(wheels, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["confidence", "--wheels", str(wheels), "--model", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"python -m benchmarks\.confidence: .* is no model directory"):
        main()

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(confidence, "foreign_pictures", stop)
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 130
    assert "stopped; nothing was written" in capsys.readouterr().err


def test_the_figure_is_drawn_twice_the_same(tmp_path):
    draw = np.random.default_rng(1)
    points = {count: np.sort(draw.random((count, 2)), axis=0) for count in (5, 10)}
    panels = {
        name: (points, {kind: 1 + draw.random(300) for kind in ("dev", "photographs", "pictures")})
        for name in ("one", "other")
    }
    first, second = (draw_confidence(tmp_path / name, panels).read_bytes() for name in ("1.svg", "2.svg"))

    assert first == second
    assert len(first) < 200_000
