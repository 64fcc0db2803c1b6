"""Draw the next token inside a TensorFlow graph, for a batch; a test compares it with `decoding.sampling`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf


def next_log_probs(logits: Any, temperature: Any, top_k: Any, top_p: Any) -> tuple[Any, Any]:
    """Return what the next token is drawn with, the likeliest token first.

    First the temperature flattens or sharpens, then top-k cuts, then top-p; of equally likely tokens the one with the
    lower number comes first.

    Args:
        logits: float32 (B, V).
        temperature: float32 (); the logits are divided by it; 0 leaves the likeliest token alone.
        top_k: int32 (); tokens that stay, the likeliest; 0 keeps all.
        top_p: float32 (); the fewest tokens stay that hold this probability together; 1 keeps all.

    Returns:
        log-probabilities, float32 (B, V), not normalised and -inf where a token is cut, and the tokens that they belong
        to, int32 (B, V).
    """
    logits, tokens = tf.math.top_k(logits, k=tf.shape(logits)[-1])  # sorted; the lower number first among equals
    rank = tf.range(tf.shape(logits)[-1])  # (V,)
    greedy = tf.equal(temperature, 0.0)
    logits = (logits - logits[:, :1]) / tf.where(greedy, 1.0, temperature)  # shifted first: a tiny T makes no inf - inf
    stay = tf.where(greedy, tf.equal(rank, 0), tf.equal(top_k, 0) | (rank < top_k))  # (V,)
    logits = tf.where(stay, logits, -float("inf"))
    likelier = tf.cumsum(tf.nn.softmax(tf.cast(logits, tf.float64)), axis=-1, exclusive=True)  # their probability
    stay = tf.equal(rank, 0) | (top_p >= 1.0) | (likelier < tf.cast(top_p, tf.float64))  # (B, V)
    return tf.where(stay, logits, -float("inf")), tokens


def draw(logits: Any, temperature: Any, top_k: Any, top_p: Any, seed: Any) -> Any:
    """Draw a token for each row: logits (B, V) -> int32 (B,).

    A row's token depends on its own logits, its place in the batch, and `seed`, int32 (2,), alone.
    """
    log_probs, tokens = next_log_probs(logits, temperature, top_k, top_p)
    drawn = tf.random.stateless_categorical(log_probs, 1, seed, dtype=tf.int32)  # (B, 1)
    return tf.gather(tokens, drawn, batch_dims=1)[:, 0]


def draw_by(uniforms: Any, logits: Any, temperature: Any, top_k: Any, top_p: Any) -> Any:
    """Draw a token for each row by the row's own random numbers (B, V), with the Gumbel-max trick: -> int32 (B,)."""
    log_probs, tokens = next_log_probs(logits, temperature, top_k, top_p)
    drawn = tf.argmax(log_probs - tf.math.log(-tf.math.log(uniforms)), axis=-1)  # (B,)
    return tf.gather(tokens, drawn[:, None], batch_dims=1)[:, 0]


def uniforms_of(texts: Any, shape: Sequence[int], seed: Any) -> Any:
    """Return random numbers above 0 and below 1, float32 (B, *shape), that depend on each text and the seed alone."""
    smallest = tf.constant(np.finfo(np.float32).tiny)
    return tf.map_fn(
        lambda number: tf.random.stateless_uniform(shape, [number, seed], minval=smallest),
        tf.cast(tf.strings.to_hash_bucket_fast(texts, np.iinfo(np.int32).max), tf.int32),
        fn_output_signature=tf.TensorSpec(shape, tf.float32),
    )
