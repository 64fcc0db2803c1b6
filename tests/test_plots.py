import numpy as np
import pytest
from PIL import Image

from captioner.plots import draw_training_curve


def history(epochs: int) -> list[dict[str, float]]:
    keys = ("cross_entropy", "dev_cross_entropy", "bleu1", "bleu4", "rouge_l", "cider")
    return [{"epoch": epoch, **{key: epoch * (1.0 + len(key)) for key in keys}} for epoch in range(1, epochs + 1)]


@pytest.mark.parametrize("epochs", [1, 5, 20])
def test_a_training_curve(tmp_path, epochs):
    draw_training_curve(tmp_path / "new" / "training.png", history(epochs), best_epoch=epochs)
    with Image.open(tmp_path / "new" / "training.png") as image:
        assert image.format == "PNG"
        pixels = np.asarray(image.convert("RGB")).astype(float)
    assert pixels.shape == (396, 990, 3)
    assert (pixels < 250).any(axis=(0, 2)).mean() > 0.9  # it fills its width
    colours = {tuple(colour) for colour in pixels.reshape(-1, 3).astype(int)}
    lines = {(0x1F, 0x77, 0xB4), (0xFF, 0x7F, 0x0E), (0x2C, 0xA0, 0x2C), (0xD6, 0x27, 0x28)}  # BLEU-1 to CIDEr-D
    assert lines <= colours
