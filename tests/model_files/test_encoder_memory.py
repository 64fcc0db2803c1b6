"""What an encoder asks for, held against Keras's networks, and what is refused."""

import math
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from captioner.config.model import COMPACT, ENCODERS, EncoderConfig
from captioner.errors import CaptionerError
from captioner.model_files.encoder_memory import ALLOWED, COSTS, check_conversion, check_encoder, encoder_memory
from captioner.training.settings import IMAGE_SIZES

CONFIG = Path("model", "config.json")
LARGER = ("EfficientNetB7", "EfficientNetV2L", "ConvNeXtLarge", "ConvNeXtXLarge")
"""Networks that need to be allowed even with the images that they were made for."""


def config(network, image_size):
    return EncoderConfig(network, "last", image_size)


def test_all_networks_have_a_cost():
    assert COSTS.keys() == set(ENCODERS)


@pytest.mark.parametrize("network", [each for each in ENCODERS if each not in LARGER])
def test_what_trainings_choose_by_themselves_is_allowed(network):
    check_encoder(CONFIG, config(network, IMAGE_SIZES.get(network, 224)), {})


@pytest.mark.parametrize("network", LARGER)
def test_the_largest_networks_have_to_be_allowed(network):
    asked = config(network, IMAGE_SIZES.get(network, 224))
    with pytest.raises(CaptionerError, match=f"the encoder {network} with an image_size of"):
        check_encoder(CONFIG, asked, {})
    check_encoder(CONFIG, asked, {ALLOWED: str(math.ceil(encoder_memory(asked)))})


def test_the_sum_is_of_eight_copies_of_the_weights_and_of_all_that_layers_give():
    assert encoder_memory(config("VGG16", 1000)) == pytest.approx((8 * 4 * 14.8e6 + 4 * 304 * 1e6) / 1e9)


def test_larger_images_are_allowed_up_to_a_size():
    check_encoder(CONFIG, config("InceptionV3", 1024), {})
    check_encoder(CONFIG, config(COMPACT, 2048), {})
    message = (
        "model/config.json: the encoder InceptionV3 with an image_size of 2048 would take 7.1 GB, expected at most 4; "
        "take a model with smaller images or a smaller network, or, if you trust this one and have the memory, set "
        "CAPTIONER_ENCODER_MEMORY=8"
    )
    with pytest.raises(CaptionerError, match=f"^{re.escape(message)}$"):
        check_encoder(Path("model/config.json"), config("InceptionV3", 2048), {})


def test_the_environment_allows_more_or_less():
    check_encoder(CONFIG, config("InceptionV3", 2048), {ALLOWED: "8"})
    with pytest.raises(CaptionerError, match=r"would take 0\.8 GB, expected at most 0\.5;"):
        check_encoder(CONFIG, config("InceptionV3", 299), {ALLOWED: "0.5"})


@pytest.mark.parametrize("said", ["much", "-1", "nan", "4 GB"])
def test_what_is_no_number_is_named(said):
    with pytest.raises(CaptionerError, match=f"{ALLOWED}: expected a number of gigabytes such as 4, found '{said}'"):
        check_encoder(CONFIG, config("InceptionV3", 299), {ALLOWED: said})


def test_onnx_takes_many_times_the_weights():
    check_conversion(10_700_000, {})  # InceptionV3 up to mixed8
    with pytest.raises(CaptionerError, match=r"21\.8 million weights into ONNX would take 5\.7 GB, expected at most 4"):
        check_conversion(21_800_000, {})
    check_conversion(21_800_000, {ALLOWED: "6"})


@pytest.mark.parametrize(
    "network",
    [
        pytest.param(each, marks=() if each in (COMPACT, "VGG16", "MobileNetV3Small") else pytest.mark.slow)
        for each in ENCODERS
    ],
)
def test_costs_are_those_of_the_networks(network):
    import keras

    from captioner.models.compact import build_compact

    size = 512
    with keras.StatelessScope(initialize_variables=False):  # so that no weight gets memory
        if network == COMPACT:
            model = build_compact(size, folded=True)
        else:
            model = getattr(keras.applications, network)(include_top=False, weights=None, input_shape=(size, size, 3))
    activations = sum(
        math.prod(output.shape[1:]) for layer in layers(model) for output in keras.tree.flatten(layer.output)
    )
    weights, numbers = COSTS[network]
    assert 0 <= weights * 1e6 - model.count_params() < 1.1e5
    assert 1 <= numbers / (activations / size**2) < 1.02


def layers(model) -> Iterator:
    import keras

    for layer in model.layers:
        yield from layers(layer) if isinstance(layer, keras.Model) else [layer]
