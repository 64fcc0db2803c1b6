"""A folder as an iPhone leaves it: every still is captioned; without the library for HEIC those are counted."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captioner.cli.main import main
from captioner.photos import decoding as photo_decoding
from captioner.photos import kinds as photo_kinds
from captioner.photos.opening import open_photo

HEIC = Path(__file__).parents[1] / "photos" / "heic" / "turned.heic"
"""Quarters of red and green over blue and white, 128 x 64 pixels, which `irot` turns right; by pillow-heif."""

RED, GREEN, BLUE, WHITE = (220, 30, 30), (30, 200, 30), (30, 30, 220), (240, 240, 240)
GAIN_MAP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"/></rdf:RDF></x:xmpmeta>'
)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "DCIM" / "100APPLE"
    folder.mkdir(parents=True)
    photo, gain_map = Image.effect_noise((80, 60), 90).convert("RGB"), Image.effect_noise((40, 30), 40)
    photo.save(folder / "IMG_0002.AVIF", "AVIF")
    photo.save(folder / "IMG_0003.JPG", "MPO", save_all=True, append_images=[gain_map], xmp=GAIN_MAP)
    photo.save(folder / "IMG_0004.MPO", "MPO", save_all=True, append_images=[photo.rotate(2)])
    (folder / "IMG_0001.HEIC").write_bytes(HEIC.read_bytes())
    (folder / "IMG_0001.MOV").write_bytes(b"\0\0\0\x14ftypqt  \0\0\0\0qt  " + bytes(1000))
    return folder.parent


@pytest.fixture
def predict(capsys, folder):
    def predict() -> tuple[int, list[dict], list[str]]:
        status = main(["predict", str(folder), "--model", "compact", "--format", "json", "--quiet"])
        out, err = capsys.readouterr()
        told = [line for line in err.splitlines() if line.startswith("captioner")]
        return status, [json.loads(line) for line in out.splitlines()], told

    return predict


def names(rows) -> list[str]:
    return [Path(row["image"]).name for row in rows]


def test_every_still_is_captioned(folder, predict):
    pytest.importorskip("pi_heif", reason="no pi-heif here: pip install -r requirements-heif.txt")
    status, rows, told = predict()
    assert (status, told) == (0, [])
    assert names(rows) == ["IMG_0001.HEIC", "IMG_0002.AVIF", "IMG_0003.JPG", "IMG_0004.MPO"]
    assert all(row["caption"] for row in rows)
    photo = open_photo(folder / "100APPLE" / "IMG_0001.HEIC")
    assert photo.shape == (128, 64, 3)
    corners = [photo[5, 5], photo[5, -5], photo[-5, 5], photo[-5, -5]]
    np.testing.assert_allclose(corners, [BLUE, RED, WHITE, GREEN], atol=25)


def test_without_the_library_heic_is_counted_and_the_others_are_captioned(predict, monkeypatch):
    monkeypatch.setattr(photo_kinds, "heif_is_installed", lambda: False)
    monkeypatch.setattr(photo_decoding, "heif_is_installed", lambda: False)
    status, rows, told = predict()
    assert names(rows) == ["IMG_0002.AVIF", "IMG_0003.JPG", "IMG_0004.MPO"]
    assert told == [f"captioner: 1 HEIC photo not read; {photo_kinds.INSTALL_HEIF}"]
    assert status == 1
