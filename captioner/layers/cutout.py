"""Parts of a feature grid that are blanked out in training."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("captioner")
class Cutout(keras.layers.Layer):
    """Blank out a square of each grid in training (DeVries and Taylor 2017, there of photos).

    The square's side is drawn from 0 to the longest, its middle from all places; an even side counts as the odd one
    below, so that it has a middle. What lies beyond the grid's edge is lost.

    Args:
        share: the longest side as a share of the grid's, rounded to whole places; 0 blanks nothing.
        seed: of what is drawn.
    """

    def __init__(self, share: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.share, self.seed = share, seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, grid: Any, training: bool = False) -> Any:
        """Return a grid like `grid` (B, L, D), whose L places are the rows of a square laid end to end."""
        L = grid.shape[1]
        R = round(L**0.5)
        longest = round(self.share * R)
        if not training or not longest:
            return grid
        B = ops.shape(grid)[0]
        sides = keras.random.randint((B, 1), 0, longest + 1, "int32", seed=self.seed_generator)
        middles = keras.random.randint((2, B, 1), 0, R, "int32", seed=self.seed_generator)
        covered = ops.absolute(2 * (ops.arange(R) - middles)) < sides  # (2, B, R)
        blank = ops.logical_and(covered[0][:, :, None], covered[1][:, None, :])  # (B, R, R)
        return ops.where(ops.reshape(blank, (B, L, 1)), ops.zeros((), grid.dtype), grid)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "share": self.share, "seed": self.seed}
