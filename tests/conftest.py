"""Set the backend and the device before any test imports Keras; give every test the same random numbers."""

import os
import random
import sys

import numpy as np
import pytest

os.environ.update(
    KERAS_BACKEND="tensorflow",
    TF_CPP_MIN_LOG_LEVEL="2",
    CUDA_VISIBLE_DEVICES="-1",  # numbers are compared to 1e-6, which a GPU's matrix products do not hold
)


@pytest.fixture(autouse=True)
def seeded() -> None:
    # Keras draws the seeds of its initialisers from `random`.
    random.seed(0)
    np.random.seed(0)
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(0)
