"""Functions of batches, compiled once for each shape of their captions.

The recurrence is unrolled, so a graph has a fixed number of steps; batches come in few lengths, and each gets a graph
of its own. (`keras.Model.fit` would trace one graph for all, with a loop in it, or pad all to the longest caption.)
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf


class Graphs:
    """The graphs of a function of batches, each for any number of images and words.

    Args:
        function: of arrays, and of dictionaries of arrays, whose first axis alone differs between batches of captions
            that are equally long.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._graphs: dict[tuple[tf.TensorSpec, ...], Any] = {}

    def of(self, *batch: Any) -> Any:
        """Return the function as it was compiled for batches like this one, or compile it."""
        signature = tf.nest.map_structure(lambda each: tf.TensorSpec((None, *each.shape[1:]), each.dtype), batch)
        shape = tuple(tf.nest.flatten(signature))
        if shape not in self._graphs:
            graph = tf.function(self._function, input_signature=signature, autograph=False)
            self._graphs[shape] = graph.get_concrete_function()
        return self._graphs[shape]
