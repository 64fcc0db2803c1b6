"""Templates: what is put into one gives what TensorFlow gives, and those that ship are those that are made here."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from captioner.config.model import EncoderConfig
from captioner.export.litert import convert_encoder
from captioner.export.template import find_slots, make_template
from captioner.model_files.convolution import Convolution
from captioner.models.encoder import build_encoder
from captioner.models.folding import convolutions
from captioner.photos.opening import open_photo
from captioner.photos.preprocessing import preprocess
from captioner.runtime.encoder import LiteRTEncoder
from captioner.runtime.prepared_encoder import FLOAT32, INT8, prepare_encoder
from captioner.runtime.template import Template

needs_weights = pytest.mark.skipif(
    not (os.environ.get("CAPTIONER_ENCODER_WEIGHTS") and os.environ.get("CAPTIONER_DATA")),
    reason="CAPTIONER_DATA or CAPTIONER_ENCODER_WEIGHTS is not set",
)
IMAGES = np.random.default_rng(0).uniform(-1, 1, (2, 75, 75, 3)).astype(np.float32)


def features(network: bytes, images: np.ndarray) -> np.ndarray:
    encoder = LiteRTEncoder(network)
    return np.stack([encoder(image) for image in images])


def copied(encoder: keras.Model) -> keras.Model:
    copy = keras.models.clone_model(encoder)
    copy.set_weights(encoder.get_weights())
    return copy


def test_a_filled_template_gives_what_the_encoder_gives(layered_encoder, tmp_path):
    make_template(copied(layered_encoder)).save(tmp_path / "template.npz")
    template = Template.load(tmp_path / "template.npz")
    found = features(template.filled(convolutions(layered_encoder)), IMAGES)
    np.testing.assert_allclose(found, layered_encoder(IMAGES), rtol=1e-4)


def test_a_saved_template_holds_no_weights(layered_encoder, tmp_path):
    make_template(copied(layered_encoder)).save(tmp_path / "template.npz")
    template = Template.load(tmp_path / "template.npz")
    for slot in template.slots:
        assert not slot.read(template.network).kernel.any()
        assert not slot.read(template.network).bias.any()


def test_int8_is_put_where_the_converter_puts_it(layered_encoder):
    converted = convert_encoder(layered_encoder, int8=True)
    template = find_slots(converted, convolutions(layered_encoder))
    assert [slot.is_int8 for slot in template.slots] == [False, True]  # kernels of 108 and 11,664 weights
    assert features(template.filled(convolutions(layered_encoder)), IMAGES) == pytest.approx(
        features(converted, IMAGES), rel=1e-5
    )


def test_kernels_of_other_shapes_are_refused(layered_encoder):
    template = make_template(copied(layered_encoder))
    first, second = convolutions(layered_encoder)
    with pytest.raises(ValueError, match="expected a kernel"):
        template.filled([second, first])


def test_what_shares_a_place_is_refused():
    image = keras.Input((8, 8, 3))
    layers = [keras.layers.Conv2D(4, 3, name=name) for name in "ab"]
    both = keras.Model(
        image, keras.layers.Reshape((72, 4))(keras.layers.concatenate([layer(image) for layer in layers], 1))
    )
    with pytest.raises(ValueError, match="share"):
        find_slots(convert_encoder(both), convolutions(both))


def test_a_network_of_other_weights_is_refused(layered_encoder):
    network = convert_encoder(layered_encoder)
    others = [Convolution(each.kernel + 1, each.bias) for each in convolutions(layered_encoder)]
    with pytest.raises(ValueError, match="none of the encoder's"):
        find_slots(network, others)


@pytest.mark.long
@pytest.mark.parametrize("path", [FLOAT32, INT8])
def test_shipped_templates_are_those_made_here(path):
    made = make_template(build_encoder(EncoderConfig("InceptionV3", "mixed8", 299), None), int8=path == INT8)
    shipped = Template.load(path)
    random = np.random.default_rng(1)
    weights = {slot.layer: random.uniform(-1, 1, slot.shape).astype(np.float32) for slot in made.slots}
    filling = [Convolution(weights[layer], weights[layer][:, 0, 0, 0]) for layer in range(made.layers)]
    image = random.uniform(-1, 1, (1, 299, 299, 3)).astype(np.float32)
    np.testing.assert_array_equal(features(made.filled(filling), image), features(shipped.filled(filling), image))


@pytest.mark.data
@needs_weights
def test_prepared_without_tensorflow_it_gives_what_keras_gives():
    weights = os.environ["CAPTIONER_ENCODER_WEIGHTS"]
    photos = sorted((Path(os.environ["CAPTIONER_DATA"]) / "Flicker8k_Dataset").iterdir())[:8]
    images = np.stack([preprocess(open_photo(photo), 299) for photo in photos])
    wanted = build_encoder(EncoderConfig("InceptionV3", "mixed8", 299), weights)(images).numpy()
    found = features(prepare_encoder(Path(weights), [], {}, "float32"), images)
    assert np.sqrt(np.square(found - wanted).mean() / np.square(wanted).mean()) < 1e-4


@pytest.mark.data
@needs_weights
def test_preparing_imports_neither_tensorflow_nor_keras():
    code = (
        "import sys; from pathlib import Path; from captioner.runtime.prepared_encoder import prepare_encoder\n"
        f"prepare_encoder(Path({os.environ.get('CAPTIONER_ENCODER_WEIGHTS', '')!r}), [], {{}}, 'auto')\n"
        "assert not {'tensorflow', 'keras', 'pandas', 'onnx'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
