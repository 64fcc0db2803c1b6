from dataclasses import replace

import keras
import numpy as np
import pytest

from captioner.config.decoding import DecodingConfig
from captioner.decoding.captions import generate
from captioner.decoding.wording import BANNED
from captioner.text import Vocabulary

CELLS = ["rnn", "gru", "lstm"]
GREEDY = DecodingConfig(beam_width=1, length_penalty=0.7, max_length=6, no_repeat_ngram_size=0)


def teacher_forced(model, features, beam):
    """For each caption of an image: log-probabilities (T, V) of each next word, and the tokens they should choose."""
    chosen = [[*found.tokens, Vocabulary.end] if found.finished else list(found.tokens) for found in beam]
    fed = np.full((1, len(beam), max(map(len, chosen))), Vocabulary.pad, np.int32)
    for row, tokens in zip(fed[0], chosen, strict=True):
        row[: len(tokens)] = [Vocabulary.start, *tokens[:-1]]
    logits = model({"features": features[None], "tokens": fed})
    log_probs = keras.ops.convert_to_numpy(keras.ops.log_softmax(logits))[0]
    return [(rows[: len(tokens)], tokens) for rows, tokens in zip(log_probs, chosen, strict=True)]


@pytest.mark.parametrize("cell", CELLS)
def test_greedy_search_takes_the_likeliest_word_of_teacher_forcing(network, features, cell):
    model = network(cell)
    beams = generate(model, features, GREEDY)
    assert {found.finished for (found,) in beams} == {True, False}
    for image, beam in enumerate(beams):
        ((log_probs, tokens),) = teacher_forced(model, features[image], beam)
        log_probs[:, list(BANNED)] = -np.inf
        for t, token in enumerate(tokens):
            if t:
                log_probs[t, tokens[t - 1]] = -np.inf  # no word twice in a row
            assert token == log_probs[t].argmax()


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("beam_width", [1, 3, 7])
def test_scores_are_those_of_teacher_forcing(network, features, cell, beam_width):
    model = network(cell)
    decoding = replace(GREEDY, beam_width=beam_width)
    for image, beam in enumerate(generate(model, features, decoding)):
        assert 1 <= len(beam) <= beam_width
        for found, (log_probs, tokens) in zip(beam, teacher_forced(model, features[image], beam), strict=True):
            total = sum(log_probs[t, token] for t, token in enumerate(tokens))
            np.testing.assert_allclose(found.log_prob, total, atol=1e-5)
            np.testing.assert_allclose(found.score, total / len(tokens) ** 0.7, atol=1e-5)
            assert found.attention.shape == (len(found.tokens), 4)


def test_no_caption_holds_a_token_that_is_no_word(network, features):
    for seed in range(20):
        model = network(seed=seed)
        bias = keras.ops.convert_to_numpy(model.decoder.output_projection.bias).copy()
        bias[list(BANNED)] = 50  # the model wants to say nothing else
        model.decoder.output_projection.bias.assign(bias)
        for beam in generate(model, features, replace(GREEDY, beam_width=3)):
            for found in beam:
                assert not set(found.tokens) & {*BANNED, Vocabulary.end}
    assert {Vocabulary.pad, Vocabulary.start, Vocabulary.unknown} == set(BANNED)


def test_images_are_captioned_alike_alone_and_together(network, features):
    model = network("lstm")
    together = generate(model, features, replace(GREEDY, beam_width=3))
    for image, beam in enumerate(together):
        (alone,) = generate(model, features[image : image + 1], replace(GREEDY, beam_width=3))
        assert [found.tokens for found in alone] == [found.tokens for found in beam]
        np.testing.assert_allclose([found.score for found in alone], [found.score for found in beam], atol=1e-5)


def test_different_photos_get_different_captions(network, features):
    captions = {beam[0].tokens for beam in generate(network(), features, GREEDY)}
    assert len(captions) > 1


def test_no_caption_is_longer_than_asked(network, features):
    for max_length in (1, 2, 5):
        for beam in generate(network(), features, replace(GREEDY, beam_width=3, max_length=max_length)):
            assert all(len(found.tokens) + found.finished <= max_length for found in beam)
