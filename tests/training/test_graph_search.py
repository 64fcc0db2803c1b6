from dataclasses import replace

import numpy as np
import pytest

from captioner.config.decoding import DecodingConfig
from captioner.decoding.captions import generate
from captioner.errors import CaptionerError
from captioner.training import devices, evaluation
from captioner.training.evaluation import caption_split
from captioner.training.graph_search import graph_search

DECODING = DecodingConfig(3, 0.7, 5, 2)


@pytest.fixture
def network(make_network, vocabulary):
    network = make_network(len(vocabulary), seed=3)
    draw = np.random.default_rng(4)
    for weight in network.weights:
        weight.assign(draw.normal(size=weight.shape))
    return network


@pytest.mark.parametrize("decoding", [DECODING, replace(DECODING, beam_width=1, length_penalty=0.0)])
def test_it_finds_what_the_search_in_numpy_finds(network, make_split, decoding):
    features = make_split(5, seed=1).features
    for ours, theirs in zip(
        graph_search(network, features, decoding), generate(network, features, decoding), strict=True
    ):
        assert [(each.tokens, each.finished) for each in ours] == [(each.tokens, each.finished) for each in theirs]
        for one, other in zip(ours, theirs, strict=True):
            assert (one.log_prob, one.score) == pytest.approx((other.log_prob, other.score), abs=1e-5)


def test_it_sees_new_weights(network, make_split):
    features = make_split(2, seed=1).features
    graph_search(network, features, DECODING)
    for weight in network.weights:
        weight.assign(-weight)
    found = [beam[0].tokens for beam in graph_search(network, features, DECODING)]
    assert found == [beam[0].tokens for beam in generate(network, features, DECODING)]


def test_a_network_without_probabilities_is_told_of(network, make_split):
    network.weights[-1].assign(np.full(network.weights[-1].shape, np.nan))
    with pytest.raises(CaptionerError, match="the model cannot caption"):
        graph_search(network, make_split(2, seed=1).features, DECODING)


def test_dev_photos_are_captioned_in_a_graph_where_there_is_a_gpu(network, make_split, monkeypatch):
    split = make_split(5, seed=1)
    expected = [beam[0].tokens for beam in caption_split(network, split, DECODING)]
    monkeypatch.setattr(evaluation, "generate", lambda *more: pytest.fail("searched in NumPy"))
    monkeypatch.setattr(devices.tf.config, "get_visible_devices", lambda kind: ["a GPU"])
    assert [beam[0].tokens for beam in caption_split(network, split, DECODING)] == expected
