import dataclasses
import math

import numpy as np
import pytest

from captioner.config.training import TrainingConfig
from captioner.training.optimizer import averaged_weights, make_optimizer

CONFIG = TrainingConfig(epochs=3, batch_size=4, learning_rate=0.05, warmup_steps=2, label_smoothing=0.1, seed=3)


def learning_rates(network, config, steps, at):
    rate = make_optimizer(network.trainable_variables, config, steps)._learning_rate
    return [float(rate(step)) for step in at]


def test_the_learning_rate_rises_then_falls_as_a_cosine(make_network):
    config = dataclasses.replace(CONFIG, learning_rate=0.1, warmup_steps=4)
    found = learning_rates(make_network(9), config, 20, [0, 1, 2, 4, 8, 12, 20, 30])
    quarter = 0.05 * (1 + math.cos(math.pi / 4))
    assert found == pytest.approx([0.02, 0.04, 0.06, 0.1, quarter, 0.05, 0, 0], abs=1e-8)


@pytest.mark.parametrize(
    ("steps", "expected"), [(1, [0.1, 0]), (4, [0.1, 0.085355, 0.05, 0.014645, 0]), (10, [0.1 / 3, 0.2 / 3, 0.1])]
)
def test_a_short_training_warms_up_for_a_fifth_of_it_at_most(make_network, steps, expected):
    config = dataclasses.replace(CONFIG, learning_rate=0.1, warmup_steps=200)
    found = learning_rates(make_network(9), config, steps, range(len(expected)))
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("cell", ["rnn", "gru"])
def test_biases_and_norms_do_not_decay(make_network, cell):
    network = make_network(9, cell=cell)
    for variable in network.trainable_variables:
        variable.assign(np.ones(variable.shape))
    config = dataclasses.replace(CONFIG, learning_rate=0.1, weight_decay=0.5)
    optimizer = make_optimizer(network.trainable_variables, config, steps=1)
    optimizer.apply([np.zeros(v.shape, "float32") for v in network.trainable_variables], network.trainable_variables)
    for variable in network.trainable_variables:
        exempt = variable.path.endswith(("bias", "gamma", "beta"))
        np.testing.assert_allclose(variable.numpy(), 1.0 if exempt else 0.95, err_msg=variable.path)


def test_the_average_is_of_the_variables_that_are_trained(make_network):
    network = make_network(9)
    trained, *others = network.trainable_variables
    optimizer = make_optimizer([trained], dataclasses.replace(CONFIG, ema_momentum=0.75, warmup_steps=0), steps=4)
    for _ in range(2):  # the average begins with the weights after the first step
        before = trained.numpy()
        optimizer.apply([np.ones(trained.shape, "float32")])
    averaged = averaged_weights(network, optimizer, [trained])
    after = network.get_weights()
    place = next(number for number, weight in enumerate(network.weights) if weight is trained)
    assert not np.array_equal(after[place], before)
    second = (1 + 1) / (10 + 1)  # the momentum of step 1, the first being step 0
    np.testing.assert_allclose(averaged[place], second * before + (1 - second) * after[place], atol=1e-6)
    for number, (one, other) in enumerate(zip(averaged, after, strict=True)):
        if number != place:
            np.testing.assert_array_equal(one, other)
    assert len(others) == len(network.trainable_variables) - 1


def test_the_average_remembers_more_steps_as_there_are_more(make_network):
    network = make_network(9)
    trained, *_ = network.trainable_variables
    config = dataclasses.replace(CONFIG, ema_momentum=0.75, learning_rate=0.1, weight_decay=0.0)
    optimizer = make_optimizer([trained], config, steps=40)
    expected = 0.0
    for step in range(40):
        optimizer.apply([np.ones(trained.shape, "float32")])
        momentum = min(0.75, (1 + step) / (10 + step)) if step else 0.0
        expected = momentum * expected + (1 - momentum) * trained.numpy()
    averaged = averaged_weights(network, optimizer, [trained])
    place = next(number for number, weight in enumerate(network.weights) if weight is trained)
    np.testing.assert_allclose(averaged[place], expected, rtol=1e-5)
