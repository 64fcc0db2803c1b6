"""The encoder in ONNX Runtime, which takes longer to load than LiteRT, and less time for each of many photos."""

import numpy as np

from captioner.native_stderr import load_onnxruntime

onnxruntime = load_onnxruntime()


class OnnxEncoder:
    """A network that ONNX Runtime runs: images float32 (S, S, 3) in [-1, 1] to features (L, D).

    May be called from several threads, which read an image each, side by side, with the same weights.

    Args:
        content: the network, as `captioner.export.onnx` makes it.

    Raises:
        ValueError: `content` is no such network.
    """

    def __init__(self, content: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # the caller's
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions have no name of their own to import
            raise ValueError(f"no network for ONNX Runtime: {error}") from error
        (image,), (features,) = self._session.get_inputs(), self._session.get_outputs()
        self._input, self._output = image.name, features.name
        self.image_size = int(image.shape[1])
        self.feature_shape = tuple(int(size) for size in features.shape[1:])

    def __call__(self, image: np.ndarray, single_threaded: bool = True) -> np.ndarray:
        """Read an image (S, S, 3) -> (L, D), on one core.

        Args:
            image: the photo, as `captioner.data.photos.preprocess` gives it.
            single_threaded: makes no difference here; see `captioner.runtime.encoder.LiteRTEncoder`.
        """
        features = self._session.run([self._output], {self._input: image[None]})[0]  # (1, L, D)
        return np.asarray(features[0])
