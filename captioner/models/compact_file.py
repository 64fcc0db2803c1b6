"""Read the weights of the compact encoder from the LiteRT network in a model directory, which is their only copy."""

import math
from collections.abc import Mapping

import keras
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from captioner.models.compact import build_compact

TO_LITERT = {4: (3, 0, 1, 2), 2: (1, 0), 1: (0,)}
"""How LiteRT lays out a kernel of so many axes: a convolution's (height, width, in, out) with the last axis first."""


NOWHERE = -1
"""The number of a tensor that is not there: the weight is zeros, and a converter leaves such out."""


def find_tensors(network: bytes, encoder: keras.Model) -> dict[str, int]:
    """Find the tensor of a LiteRT network that holds each weight of the Keras encoder it was made of.

    They are known by their values, since a converter names and orders tensors as it likes, and lets weights that are
    equal share one.

    Args:
        network: the encoder in half precision, as `captioner.export.litert` makes it.
        encoder: what it was made of: the folded encoder, rounded to half precision.

    Returns:
        the tensors' numbers by the names of the weights.

    Raises:
        ValueError: the network does not hold the weights as they are.
    """
    constants = _constants(network)
    found: dict[str, int] = {}
    for weight in encoder.weights:
        values = keras.ops.convert_to_numpy(weight)
        wanted = values.transpose(TO_LITERT[values.ndim]).ravel()
        same = [number for number, constant in constants.items() if np.array_equal(constant, wanted)]
        if not same and values.any():
            raise ValueError(f"the LiteRT network does not hold {weight.path} as it is")
        found[_name(weight)] = same[0] if same else NOWHERE
    return found


def load_compact(network: bytes, tensors: Mapping[str, int], image_size: int, channels: int) -> keras.Model:
    """Build the folded compact encoder with the weights that a LiteRT network holds.

    Args:
        network: what the model directory keeps.
        tensors: what `find_tensors` found in it.
        image_size: side of the photo (S).
        channels: of the grid (D).

    Raises:
        ValueError: these are not the weights of a compact encoder.
    """
    encoder = build_compact(image_size, folded=True, channels=channels)
    constants = _constants(network)
    for weight in encoder.weights:
        name, size = _name(weight), math.prod(weight.shape)
        if name not in tensors:
            raise ValueError(f"{name} is missing")
        number = tensors[name]
        values = np.zeros(size, np.float16) if number == NOWHERE else constants.get(number)
        if values is None or values.size != size:
            raise ValueError(f"{name} is not tensor {number}")
        order = TO_LITERT[len(weight.shape)]
        there = values.reshape([weight.shape[axis] for axis in order])
        weight.assign(there.transpose(np.argsort(order)).astype(np.float32))
    encoder.trainable = False
    return encoder


def _constants(network: bytes) -> dict[int, np.ndarray]:
    """Return what is kept in half precision, flat, by the numbers of the tensors."""
    # Without XNNPACK, which keeps the constants to itself.
    interpreter = Interpreter(
        model_content=network, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    interpreter.allocate_tensors()
    return {
        each["index"]: interpreter.get_tensor(each["index"]).ravel()
        for each in interpreter.get_tensor_details()
        if each["dtype"] == np.float16
    }


def _name(weight: keras.Variable) -> str:
    """Return the name of layer and weight, such as `stem/kernel`."""
    return "/".join(str(weight.path).split("/")[-2:])
