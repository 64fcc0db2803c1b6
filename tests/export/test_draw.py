import numpy as np
import pytest
import tensorflow as tf

from captioner.decoding.sampling import next_distribution
from captioner.export.draw import draw, draw_by, next_log_probs, uniforms_of

LOGITS = np.random.default_rng(3).normal(scale=2, size=(5, 12)).astype(np.float32)
LOGITS[1, [2, 7, 9]] = 4.0  # equally likely
LOGITS[2, 4] = 80.0  # as good as certain


def draws(logits, seed, temperature=1.0, top_k=0, top_p=1.0):
    scalars = (tf.constant(temperature, tf.float32), tf.constant(top_k), tf.constant(top_p, tf.float32))
    return draw(tf.constant(logits), *scalars, tf.constant(seed)).numpy()


@pytest.mark.parametrize("temperature", [0.0, 1e-30, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("top_k", [0, 1, 2, 5, 12, 50])
@pytest.mark.parametrize("top_p", [0.01, 0.5, 0.9, 1.0])
def test_it_is_the_distribution_of_numpy(temperature, top_k, top_p):
    log_probs, tokens = next_log_probs(
        tf.constant(LOGITS), tf.constant(temperature), tf.constant(top_k), tf.constant(top_p)
    )
    found = np.zeros_like(LOGITS)
    np.put_along_axis(found, tokens.numpy(), tf.nn.softmax(log_probs).numpy(), axis=-1)
    expected = [next_distribution(row, temperature, top_k, top_p) for row in LOGITS]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_tokens_come_as_often_as_they_should():
    expected = next_distribution(LOGITS[0], 1.5, 6)
    found = np.bincount(draws(np.repeat(LOGITS[:1], 20_000, axis=0), [1, 2], 1.5, 6), minlength=12) / 20_000
    np.testing.assert_allclose(found, expected, atol=4 * np.sqrt(0.25 / 20_000))  # four standard deviations
    assert (found[expected == 0] == 0).all()


def test_a_row_depends_on_its_logits_its_place_and_the_seed_alone():
    logits = np.zeros((40, 12), np.float32)
    found = draws(logits, [1, 2])
    np.testing.assert_array_equal(draws(logits[:7], [1, 2]), found[:7])
    np.testing.assert_array_equal(draws(np.concatenate([logits[:7], LOGITS]), [1, 2])[:7], found[:7])
    assert (draws(logits, [1, 3]) != found).any()
    assert (draws(logits, [2, 2]) != found).any()
    assert len(set(found)) > 1


def test_tokens_drawn_by_uniform_numbers_come_as_often_as_they_should():
    expected = next_distribution(LOGITS[0], 1.5, 6)
    (uniforms,) = uniforms_of(tf.constant(["a text"]), (20_000, 12), 7)
    assert 0 < tf.reduce_min(uniforms) < tf.reduce_max(uniforms) < 1
    drawn = draw_by(uniforms, tf.repeat(LOGITS[:1], 20_000, axis=0), tf.constant(1.5), 6, 1.0)
    found = np.bincount(drawn, minlength=12) / 20_000
    np.testing.assert_allclose(found, expected, atol=4 * np.sqrt(0.25 / 20_000))  # four standard deviations
    assert (found[expected == 0] == 0).all()


def test_random_numbers_depend_on_the_text_and_the_seed_alone():
    one, other, same = uniforms_of(tf.constant(["a", "b", "a"]), (3, 4), 7).numpy()
    np.testing.assert_array_equal(one, same)
    np.testing.assert_array_equal(uniforms_of(tf.constant(["b"]), (3, 4), 7)[0], other)
    assert (one != other).all()
    assert (uniforms_of(tf.constant(["a"]), (3, 4), 8)[0].numpy() != one).all()


def test_temperature_0_takes_the_first_of_the_likeliest():
    assert draws(LOGITS, [0, 0], 0.0).tolist() == LOGITS.argmax(axis=-1).tolist()
    assert draws(LOGITS, [0, 0], 0.0)[1] == 2
