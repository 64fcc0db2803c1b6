"""Beam search in one graph, which a GPU runs without waiting for Python at each word."""

import weakref

import numpy as np
import tensorflow as tf

from captioner.config.decoding import DecodingConfig
from captioner.decoding.hypothesis import Hypothesis
from captioner.decoding.wording import SPECIAL
from captioner.errors import CaptionerError
from captioner.export.beam import Search, beam_search
from captioner.models.captioner import CaptionModel

_searches: "weakref.WeakKeyDictionary[CaptionModel, GraphSearch]" = weakref.WeakKeyDictionary()


def graph_search(network: CaptionModel, features: np.ndarray, decoding: DecodingConfig) -> list[list[Hypothesis]]:
    """Search as `decoding.captions.generate` does; the hypotheses have no attention.

    Args:
        network: the decoder, whose graph is compiled once, whatever its weights are later.
        features: of B images, (B, L, D).
        decoding: how to search.

    Raises:
        CaptionerError: the network gives no probabilities, or none to any word that is allowed.
    """
    if network not in _searches:
        _searches[network] = GraphSearch(network)
    return _searches[network](features, decoding)


class GraphSearch:
    """The search with one network.

    Args:
        network: the decoder.
    """

    def __init__(self, network: CaptionModel) -> None:
        begin = weakref.WeakMethod(network.begin)  # or the graph would keep the network alive
        kinds = [tf.TensorSpec((), kind) for kind in (tf.int32, tf.float64, tf.int32, tf.int32)]
        features = tf.TensorSpec((None, network.config.locations, network.config.channels), tf.float32)

        def search(
            features: tf.Tensor, width: tf.Tensor, penalty: tf.Tensor, longest: tf.Tensor, ngram_size: tf.Tensor
        ) -> tuple[tf.Tensor, ...]:
            start = begin()
            assert start is not None
            step, states = start(features)
            found = beam_search(step, states, SPECIAL, Search(width, penalty, longest, ngram_size, width))
            return found.tokens, found.lengths, found.scores

        self._graph = tf.function(search, input_signature=[features, *kinds], autograph=False)

    def __call__(self, features: np.ndarray, decoding: DecodingConfig) -> list[list[Hypothesis]]:
        """Return the hypotheses of each image, best first."""
        penalty, longest = decoding.length_penalty, decoding.max_length
        settings = (decoding.beam_width, penalty, longest, decoding.no_repeat_ngram_size)
        try:
            found = self._graph(tf.cast(features, tf.float32), *settings)
        except tf.errors.InvalidArgumentError as error:
            raise CaptionerError(
                f"the model cannot caption ({error.message.splitlines()[0]}); take another model, or train again"
            ) from error
        tokens, lengths, scores = (each.numpy() for each in found)  # (B, K, T), (B, K), (B, K)

        def hypothesis(words: np.ndarray, length: int, score: float) -> Hypothesis:
            finished = length < longest
            return Hypothesis(
                tuple(words[:length].tolist()), score * (length + finished) ** penalty, score, finished, None
            )

        return [
            [hypothesis(*each) for each in zip(*of_image, strict=True) if each[2] > -np.inf]  # as many as were found
            for of_image in zip(tokens, lengths.tolist(), scores.tolist(), strict=True)
        ]
