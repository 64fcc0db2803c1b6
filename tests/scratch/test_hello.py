import numpy as np
import pytest

from captioner.scratch.hello import INPUTS, TARGETS, Hello, train
from captioner.scratch.optimizers import SGD, Adagrad


def of_the_right_letters(model: Hello) -> np.ndarray:
    return model.probabilities(INPUTS)[0, range(4), TARGETS[0]]


def test_the_letters():
    np.testing.assert_array_equal(INPUTS, [[[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 0]]])  # h e l l
    np.testing.assert_array_equal(TARGETS, [[1, 2, 2, 3]])  # e l l o


def test_the_sizes():
    assert [param.shape for param in Hello(seed=0).params] == [(4, 3), (3, 3), (3,), (3, 4), (4,)]


def test_the_whole_model_by_finite_differences(gradient_error):
    model = Hello(seed=0)
    model.forward(INPUTS, TARGETS)
    model.backward()
    for param, grad in zip(model.params, model.grads, strict=True):
        assert gradient_error(lambda: model.forward(INPUTS, TARGETS), param, grad) <= 5e-7


@pytest.mark.parametrize("optimizer", [lambda: SGD(0.5), lambda: Adagrad(0.25)])
@pytest.mark.parametrize("seed", range(3))
def test_it_learns_hello(optimizer, seed):
    model = Hello(seed)
    assert of_the_right_letters(model).min() < 0.5
    losses = train(model, optimizer(), steps=300)
    assert len(losses) == 300
    assert losses[-1] < 0.05 < 1 < losses[0]
    assert (of_the_right_letters(model) > 0.95).all()


def test_the_seed_decides():
    curves = [train(Hello(seed), SGD(0.5), steps=5) for seed in (0, 0, 1)]
    assert curves[0] == curves[1] != curves[2]


@pytest.mark.parametrize("stateful", [False, True])
def test_letter_by_letter_only_a_carried_state_tells_the_second_l_from_the_first(stateful):
    model, optimizer = Hello(seed=0, stateful=stateful), Adagrad(0.25)
    for _ in range(500):
        model.rnn.reset_state()
        losses = []
        for t in range(4):
            losses.append(model.forward(INPUTS[:, t : t + 1], TARGETS[:, t : t + 1]))
            model.backward()
            optimizer.update(model.params, model.grads)
    after_l = losses[2:]
    if stateful:
        assert max(after_l) < 0.1
    else:
        assert sum(after_l) > 2 * np.log(2) - 0.1  # l and o can do no better than a half each
