"""The encoder in LiteRT, on all cores: pixels in, a grid of features out."""

import threading

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from captioner.system.cores import available_cores


class LiteRTEncoder:
    """A network that LiteRT runs: images float32 (S, S, 3) in [-1, 1] to features (L, D).

    May be called from several threads. Several images are read faster side by side, a core each, than one after the
    other by all cores, since the small layers at the end have too little work to share.

    Args:
        content: the network, as `captioner.export.litert` makes it, for a batch of one image.

    Raises:
        ValueError: `content` is no such network.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._whole = self._interpreter(available_cores())
        self._whole_lock, self._lanes_lock = threading.Lock(), threading.Lock()
        self._lanes: list[Interpreter] = []
        (self._input,), (self._output,) = self._whole.get_input_details(), self._whole.get_output_details()
        self.image_size = int(self._input["shape"][1])
        self.feature_shape = tuple(int(size) for size in self._output["shape"][1:])

    def __call__(self, image: np.ndarray, single_threaded: bool = False) -> np.ndarray:
        """Read an image (S, S, 3) -> (L, D).

        Args:
            image: the photo, as `captioner.photos.preprocessing.preprocess` gives it.
            single_threaded: whether other threads read other images meanwhile, so that this one gets one core.
        """
        if not single_threaded:
            with self._whole_lock:
                return self._run(self._whole, image)
        with self._lanes_lock:
            lane = self._lanes.pop() if self._lanes else self._interpreter(1)
        try:
            return self._run(lane, image)
        finally:
            with self._lanes_lock:
                self._lanes.append(lane)

    def _interpreter(self, threads: int) -> Interpreter:
        interpreter = Interpreter(model_content=self._content, num_threads=threads)
        interpreter.allocate_tensors()
        return interpreter

    def _run(self, interpreter: Interpreter, image: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(self._input["index"], image[None])
        interpreter.invoke()
        return interpreter.get_tensor(self._output["index"])[0]
