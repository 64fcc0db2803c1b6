"""Find the weights of an encoder in the LiteRT network that it was converted to, so that others can be put there.

The converter folds each batch normalisation into the convolution before it, names and orders tensors as it likes, and
keeps small kernels in float32, so that convolutions are found by their values.
"""

from collections.abc import Sequence

import keras
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from captioner.export.litert import convert_encoder
from captioner.model_files.convolution import Convolution
from captioner.models.folding import convolutions
from captioner.runtime.template import NOWHERE, Slot, Template

TOLERANCE = 0.01
"""How far a weight may be from where int8 rounds it, as a share of the largest."""


def make_template(encoder: keras.Model, int8: bool = False) -> Template:
    """Convert an encoder whose weights are drawn at random here, since equal ones would share a place.

    Args:
        encoder: images (B, S, S, 3) to features (B, L, D); its weights are lost.
        int8: see `captioner.export.litert.convert_encoder`.

    Raises:
        ValueError: the convolutions of encoder and network are not the same.
    """
    random = np.random.default_rng(0)
    for weight in encoder.weights:
        weight.assign(random.uniform(0.5, 1.5, weight.shape))  # variances among them
    return find_slots(convert_encoder(encoder, int8=int8), convolutions(encoder))


def find_slots(network: bytes, convolutions: Sequence[Convolution]) -> Template:
    """Find the place of each convolution in a network.

    Args:
        network: for LiteRT.
        convolutions: of the encoder that it was converted from.

    Raises:
        ValueError: they are not the same, or several share a place, so that none can be changed alone.
    """
    left = dict(enumerate(convolutions))
    slots = []
    for slot in _slots(network):
        there = slot.read(network).kernel
        distances = {
            number: float(np.abs(each.kernel - there).max() / np.abs(each.kernel).max())
            for number, each in left.items()
            if each.kernel.shape == slot.shape
        }
        nearest = min(distances, key=distances.__getitem__, default=NOWHERE)
        if nearest == NOWHERE or distances[nearest] > TOLERANCE:
            raise ValueError(f"a convolution with a kernel {slot.shape} is none of the encoder's")
        del left[nearest]
        slots.append(slot.of(nearest))
    if left:
        raise ValueError(f"the network lacks {len(left)} convolutions of the encoder")
    places = [place for slot in slots for place in (slot.kernel, slot.bias, slot.scale) if place != NOWHERE]
    if len(set(places)) < len(places):
        raise ValueError("several convolutions share their weights")
    return Template(network, tuple(slots))


def _slots(network: bytes) -> list[Slot]:
    """Find where a network keeps the kernel, the bias and the scales of each convolution."""
    model = schema.Model.GetRootAs(network, 0)
    graph = model.Subgraphs(0)
    start = np.frombuffer(network, np.uint8).ctypes.data
    slots = []
    for number in range(graph.OperatorsLength()):
        operator = graph.Operators(number)
        code = model.OperatorCodes(operator.OpcodeIndex())
        if max(code.BuiltinCode(), code.DeprecatedBuiltinCode()) != schema.BuiltinOperator.CONV_2D:
            continue
        kernel, bias = graph.Tensors(operator.Inputs(1)), graph.Tensors(operator.Inputs(2))
        at, bias_at = (model.Buffers(each.Buffer()).DataAsNumpy().ctypes.data - start for each in (kernel, bias))
        scale = NOWHERE
        if kernel.Type() == schema.TensorType.INT8:
            scale = kernel.Quantization().ScaleAsNumpy().ctypes.data - start
        outputs, *rest = kernel.ShapeAsNumpy().tolist()
        slots.append(Slot(NOWHERE, (outputs, *rest), at, bias_at, scale))
    return slots
