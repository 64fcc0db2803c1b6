import numpy as np
import pytest

from captioner.runtime.blocked_matmul import BlockedMatrix


@pytest.mark.parametrize("shape", [(3, 1), (512, 1280), (256, 2540), (1280, 256), (7, 17), (130_000, 20)])
@pytest.mark.parametrize("rows", [(1,), (2, 5), (40,)])
def test_the_product_is_that_of_the_whole_matrix(shape, rows):
    draw = np.random.default_rng(1)
    matrix = draw.uniform(-1, 1, shape).astype(np.float32)
    given = draw.uniform(-1, 1, (*rows, shape[0])).astype(np.float32)
    found = BlockedMatrix(matrix).product(given)
    assert (found.shape, found.dtype) == ((*rows, shape[1]), np.float32)
    np.testing.assert_allclose(found, given @ matrix, atol=1e-5 * shape[0])


def test_no_rows_give_no_rows():
    assert BlockedMatrix(np.ones((4, 3), np.float32)).product(np.ones((0, 4), np.float32)).shape == (0, 3)
