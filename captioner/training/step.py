"""One step of the optimiser for any loss, and the same loss without it, compiled for each shape of a batch."""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from captioner.training.profile import Profile

Batch = dict[str, Any]
"""Arrays by name, whose first axis alone differs between batches of captions of one length."""

States = list[Any]
"""What a network carries from batch to batch; empty where it carries nothing."""


READ_EVERY = 0.5
"""Seconds after which the sums of the batches so far are read again."""


class Objective(ABC):
    """A training objective: named sums over a batch, and the loss that is computed from them.

    Attributes:
        names: of the sums.
    """

    names: ClassVar[tuple[str, ...]]

    @abstractmethod
    def sums(self, batch: Batch, states: States, training: bool) -> tuple[list[tf.Tensor], States]:
        """Return the sums over a batch in the order of `names`, and the states after it."""

    @abstractmethod
    def loss(self, sums: dict[str, tf.Tensor], batch: Batch) -> tf.Tensor:
        """Return the scalar to minimise; with several devices, each has the sums of its part of the batch."""

    def initial_states(self, batch: Batch) -> States:
        """Return the states before the first batch."""
        return []


class Step:
    """An objective, compiled to run over batches and, with an optimiser, to train on them.

    The recurrence is unrolled, so a graph has a fixed number of time steps. Captions come in few lengths, and each
    length gets its own graph. (`keras.Model.fit` would trace one graph with a loop, or pad all captions to the
    longest.)

    Args:
        objective: what is lowered.
        optimizer: built for `variables`; without one the step only measures.
        variables: what the gradient is taken of.
        profile: takes the time.
        strategy: whose devices share each batch; network and optimiser were made in its scope.
    """

    def __init__(
        self,
        objective: Objective,
        optimizer: keras.optimizers.Optimizer | None = None,
        variables: list[keras.Variable] | None = None,
        profile: Profile | None = None,
        strategy: tf.distribute.Strategy | None = None,
    ) -> None:
        self.objective = objective
        self.optimizer = optimizer
        self.variables = variables or []
        self.profile = profile or Profile()
        self.strategy = strategy or tf.distribute.get_strategy()
        self._purpose = "train" if optimizer else "measure the loss"
        self._graphs = ShapeGraphs(self._run)

    def over(
        self, batches: Iterable[Batch], on_batch: Callable[[dict[str, float]], None] = lambda sums: None
    ) -> dict[str, float]:
        """Run all batches and return the sums over them; `on_batch` takes the latest that are known after each.

        The sums are read now and then, and not after each batch, for which a GPU would have to wait.
        """
        totals = np.zeros(len(self.objective.names))
        states: States | None = None
        unread: list[tf.Tensor] = []
        last_read = -math.inf
        for batch in self.profile.waiting(f"{self._purpose}: wait for batches", batches):
            if states is None:
                states = self.objective.initial_states(batch)
            sums, states = self._run_compiled(batch, states)
            unread.append(sums)
            if time.monotonic() - last_read >= READ_EVERY:
                totals, unread, last_read = self._accumulated(totals, unread), [], time.monotonic()
            on_batch(self._named(totals))
        return self._named(self._accumulated(totals, unread))

    def __call__(self, batch: Batch, states: States) -> tuple[dict[str, float], States]:
        """Run one batch and return its sums by name, and the states after it."""
        sums, states = self._run_compiled(batch, states)
        return self._named(self._accumulated(np.zeros(len(self.objective.names)), [sums])), states

    def _run_compiled(self, batch: Batch, states: States) -> tuple[tf.Tensor, States]:
        with self.profile.phase(f"{self._purpose}: compile"):
            graph = self._graphs.of(batch, states)
        with self.profile.phase(self._purpose):
            return graph(batch, states)

    def _accumulated(self, totals: np.ndarray, unread: list[tf.Tensor]) -> np.ndarray:
        """Wait for the sums of batches and add them up, in float64 and in their order."""
        with self.profile.phase(self._purpose):
            for sums in unread:
                totals = totals + sums.numpy()
        return totals

    def _named(self, totals: np.ndarray) -> dict[str, float]:
        return dict(zip(self.objective.names, totals.tolist(), strict=True))

    def _run(self, batch: Batch, states: States) -> tuple[tf.Tensor, States]:
        sums, states = self.strategy.run(self._on_device, (batch, states))
        return self.strategy.reduce("SUM", sums, axis=None), states

    def _on_device(self, batch: Batch, states: States) -> tuple[tf.Tensor, States]:
        """Return the sums over this device's part of the batch, stacked, and the states after it."""
        if self.optimizer is None:
            sums, states = self.objective.sums(batch, states, training=False)
            return tf.stack(sums), states
        with tf.GradientTape() as tape:
            sums, states = self.objective.sums(batch, states, training=True)
            loss = self.objective.loss(dict(zip(self.objective.names, sums, strict=True)), batch)
        gradients = tape.gradient(loss, self.variables)
        device = tf.distribute.get_replica_context()
        if device.num_replicas_in_sync > 1:
            # Keras clips before it adds up what the devices give, so each gives its share of the whole, and clips at
            # its share of the limit (`make_optimizer`)
            gradients = device.all_reduce("MEAN", gradients)
        self.optimizer.apply(gradients, self.variables)
        return tf.stack(sums), states


class ShapeGraphs:
    """The graphs of a function of batches, each for any number of images and words.

    Args:
        function: of nested arrays, whose first axis alone differs between batches of captions of one length.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._graphs: dict[tuple[tf.TensorSpec, ...], Any] = {}

    def of(self, *batch: Any) -> Any:
        """Return the function compiled for batches of this shape, and compile it if necessary."""
        signature = tf.nest.map_structure(lambda each: tf.TensorSpec((None, *each.shape[1:]), each.dtype), batch)
        shape = tuple(tf.nest.flatten(signature))
        if shape not in self._graphs:
            graph = tf.function(self._function, input_signature=signature, autograph=False)
            self._graphs[shape] = graph.get_concrete_function()
        return self._graphs[shape]
