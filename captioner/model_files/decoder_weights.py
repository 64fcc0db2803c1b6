"""The shapes of a decoder's weights, known from its configuration before any memory is allocated."""

from captioner.config.model import GATES, STATES, DecoderConfig


def weight_shapes(config: DecoderConfig) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a decoder's weights, by the names of `CaptionModel.named_weights`."""
    U, E, A, V = config.hidden_size, config.embedding_dim, config.attention_dim, config.vocabulary_size
    width = GATES[config.cell] * U
    shapes: dict[str, tuple[int, ...]] = {
        "place/kernel": (config.channels, U),
        "place/bias": (U,),
        "place_norm/gamma": (U,),
        "place_norm/beta": (U,),
        "embedding/embeddings": (V, E),
        "attention/scale": (A, 1),
        "attention/key/kernel": (U, A),
        "attention/key/bias": (A,),
        "attention/query/kernel": (U, A),
        "gate/kernel": (U, U),
        "gate/bias": (U,),
        "cell/kernel": (E, width),
        "cell/recurrent_kernel": (U, width),
        "cell/bias": (width,),
        "context/kernel": (U, width),
        "deep/kernel": (2 * U + E, E),
        "deep/bias": (E,),
        "output_projection/kernel": (E, V),
        "output_projection/bias": (V,),
    }
    if config.cell == "gru":
        shapes["cell/candidate_bias"] = (U,)
    for number in range(STATES[config.cell]):
        shapes[f"start_{number}/kernel"], shapes[f"start_{number}/bias"] = (U, U), (U,)
    return shapes
