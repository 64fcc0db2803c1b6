"""A LiteRT network without its weights, which are filled in where photos are captioned.

So neither TensorFlow nor Keras is needed to caption: the graph of InceptionV3 is 54 kB, and its weights come out of the
file that Keras downloads. `captioner.export.template` makes templates.
"""

import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from captioner.model_files.convolution import Convolution, Rounding
from captioner.system.atomic import atomic_write

NOWHERE = -1
"""The offset of the scales of a kernel that is kept in float32, and so has no scales."""


@dataclass(frozen=True)
class Slot:
    """The place of one convolution in a network.

    Attributes:
        layer: the number of the convolution in the order of the encoder's layers.
        shape: of its kernel (O, H, W, I).
        kernel: offset of its kernel, in bytes from the start; int8 where it has scales, else float32.
        bias: offset of its bias, float32 (O,).
        scale: offset of its scales, float32 (O,), or `NOWHERE`.
    """

    layer: int
    shape: tuple[int, int, int, int]
    kernel: int
    bias: int
    scale: int

    @property
    def is_int8(self) -> bool:
        """Whether the kernel is kept as int8."""
        return self.scale != NOWHERE

    def of(self, layer: int) -> "Slot":
        """Return the slot for the convolution with this number."""
        return replace(self, layer=layer)

    def read(self, network: bytes) -> Convolution:
        """Read the convolution from a network."""
        size, channels = int(np.prod(self.shape)), self.shape[0]
        bias = np.frombuffer(network, "<f4", channels, self.bias)
        if not self.is_int8:
            return Convolution(np.frombuffer(network, "<f4", size, self.kernel).reshape(self.shape), bias)
        scale = np.frombuffer(network, "<f4", channels, self.scale).reshape(-1, 1, 1, 1)
        return Convolution(np.frombuffer(network, np.int8, size, self.kernel).reshape(self.shape) * scale, bias)

    def write(self, network: bytearray, convolution: Convolution, rounding: Rounding | None = None) -> None:
        """Write a convolution into a network, rounded by `rounding` where the network keeps int8."""
        if not self.is_int8:
            _put(network, self.kernel, convolution.kernel.astype("<f4"))
            _put(network, self.bias, convolution.bias.astype("<f4"))
            return
        kernel, scale, bias = convolution.quantized(rounding)
        for offset, values in ((self.kernel, kernel), (self.scale, scale), (self.bias, bias)):
            _put(network, offset, values if values.dtype == np.int8 else values.astype("<f4"))


@dataclass(frozen=True)
class Template:
    """A network for LiteRT whose convolutions are still empty.

    Attributes:
        network: the network; whatever its slots hold is replaced.
        slots: one per convolution.
    """

    network: bytes
    slots: tuple[Slot, ...]

    @property
    def layers(self) -> int:
        """The number of the encoder's convolutions."""
        return len(self.slots)

    def filled(self, convolutions: Sequence[Convolution], roundings: Sequence[Rounding | None] = ()) -> bytes:
        """Return the network with these convolutions, in the order of the encoder's layers.

        Args:
            convolutions: as many as there are slots.
            roundings: how each is rounded where it is kept as int8; none at all rounds each weight to the nearest.

        Raises:
            ValueError: a kernel has another shape than its slot.
        """
        network = bytearray(self.network)
        for slot in self.slots:
            convolution = convolutions[slot.layer]
            if convolution.kernel.shape != slot.shape:
                raise ValueError(
                    f"convolution {slot.layer}: expected a kernel {slot.shape}, found {convolution.kernel.shape}"
                )
            slot.write(network, convolution, roundings[slot.layer] if roundings else None)
        return bytes(network)

    def save(self, path: Path) -> None:
        """Write the template, compressed and without the weights, whole or not at all."""
        blank = [
            Convolution(np.zeros(slot.shape, np.float32), np.zeros(slot.shape[0], np.float32)) for slot in self.slots
        ]
        order = {slot.layer: each for slot, each in zip(self.slots, blank, strict=True)}
        network = self.filled([order[layer] for layer in range(self.layers)])
        table = np.array([[slot.layer, *slot.shape, slot.kernel, slot.bias, slot.scale] for slot in self.slots])
        file = io.BytesIO()
        np.savez(file, network=np.frombuffer(zlib.compress(network, 9), np.uint8), slots=table.astype("<i4"))
        with atomic_write(path) as temporary:
            temporary.write_bytes(file.getvalue())

    @classmethod
    def load(cls, path: Path) -> "Template":
        """Read a template that `save` wrote."""
        with np.load(io.BytesIO(path.read_bytes())) as file:
            network, table = zlib.decompress(file["network"].tobytes()), file["slots"].tolist()
        return cls(network, tuple(Slot(row[0], tuple(row[1:5]), *row[5:]) for row in table))


def _put(network: bytearray, offset: int, values: np.ndarray) -> None:
    content = values.tobytes()
    network[offset : offset + len(content)] = content
