import numpy as np
import pytest

from captioner.config.model import ModelConfig
from captioner.errors import CaptionerError
from captioner.models.directory import LoadedModel
from captioner.text import SPECIAL_TOKENS, Vocabulary
from captioner.training.initialise import init_from


def saved(network, size):
    vocabulary = Vocabulary([*SPECIAL_TOKENS, *(f"word{number}" for number in range(size - 4))])
    return LoadedModel(ModelConfig(decoder=network.config), vocabulary, network)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_all_weights_are_taken_over_and_new_words_keep_their_own(make_network, cell):
    base, network = make_network(7, seed=1, cell=cell), make_network(10, seed=2, cell=cell)
    before = [weight.numpy().copy() for weight in network.weights]
    init_from(network, saved(base, 7))
    grown = set()
    for ours, theirs, old in zip(network.weights, base.weights, before, strict=True):
        if ours.shape == theirs.shape:
            np.testing.assert_array_equal(ours.numpy(), theirs.numpy(), err_msg=ours.path)
            continue
        grown.add("/".join(ours.path.split("/")[-2:]))
        axis = tuple(ours.shape).index(10)
        known, new = np.split(ours.numpy(), [7], axis=axis)
        np.testing.assert_array_equal(known, theirs.numpy(), err_msg=ours.path)
        np.testing.assert_array_equal(new, np.split(old, [7], axis=axis)[1], err_msg=ours.path)
    assert grown == {"embedding/embeddings", "output_projection/kernel", "output_projection/bias"}


def test_a_model_that_predicts_alike_after_it_was_taken_over(make_network):
    base, network = make_network(7, seed=1), make_network(10, seed=2)
    init_from(network, saved(base, 7))
    inputs = {"features": np.ones((1, 4, 6), np.float32), "tokens": np.array([[[1, 4, 5]]], np.int32)}
    np.testing.assert_allclose(network(inputs).numpy()[..., :7], base(inputs).numpy(), atol=1e-6)


def test_features_of_another_layer_cannot_be_taken_over(make_network):
    with pytest.raises(CaptionerError, match=r"--init-from: .*kernel is \(8, 8\) there and \(6, 8\) here"):
        init_from(make_network(7), saved(make_network(7, channels=8), 7))
