"""What a model and a training are: frozen dataclasses whose fields have bounds."""

from dataclasses import dataclass, field
from typing import Any

from captioner.errors import CaptionerError

CELLS = ("rnn", "gru", "lstm")
GATES = {"rnn": 1, "gru": 3, "lstm": 4}
"""Products of a cell's input, side by side (G)."""
STATES = {"rnn": 1, "gru": 1, "lstm": 2}
"""States that a cell hands on."""
COMPACT = "compact"
"""The encoder of our own, whose weights are part of a model's directory."""
ENCODERS = (
    *("InceptionV3", COMPACT, "InceptionResNetV2", "Xception", "VGG16", "VGG19"),
    *("ResNet50", "ResNet101", "ResNet152", "ResNet50V2", "ResNet101V2", "ResNet152V2"),
    *("MobileNet", "MobileNetV2", "MobileNetV3Small", "MobileNetV3Large", "NASNetMobile", "NASNetLarge"),
    *("DenseNet121", "DenseNet169", "DenseNet201", *(f"EfficientNetB{number}" for number in range(8))),
    *("EfficientNetV2B0", "EfficientNetV2B1", "EfficientNetV2B2", "EfficientNetV2B3"),
    *("EfficientNetV2S", "EfficientNetV2M", "EfficientNetV2L"),
    *("ConvNeXtTiny", "ConvNeXtSmall", "ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtXLarge"),
)
"""What may read photos: the compact encoder, and all networks of `keras.applications`."""
PRECISIONS = ("auto", "float32", "mixed_bfloat16")
LONGEST_SEARCH = 10_000
"""The most words that a search may follow for a photo: sentences kept alive times words of the longest."""


def _between(least: float, most: float, default: Any, **more: Any) -> Any:
    """Give a number's field its default and its bounds, which `from_json` and the command line check."""
    return field(default=default, metadata={"least": least, "most": most}, **more)


def added(default: Any, **metadata: Any) -> Any:
    """Give a field that files of before lack its default, which is what they mean unless `metadata` has a `before`."""
    return field(default=default, metadata={"before": default} | metadata)


@dataclass(frozen=True)
class EncoderConfig:
    """Which network reads the photo, and where it is cut.

    Attributes:
        network: a name in `keras.applications`, or "compact" for the network of `captioner.models.compact`, whose
            weights are part of the model.
        feature_layer: the layer whose output is read, a grid of L places with D channels; "last" is the last such.
        image_size: side of the square that a photo is resized to, in pixels.
        fine_tune_after: the layers behind this one were trained along, and are part of the model; empty: none was.
    """

    network: str = field(default="InceptionV3", metadata={"choices": ENCODERS})
    feature_layer: str = "mixed8"
    image_size: int = _between(75, 2048, 299)
    fine_tune_after: str = added("")


@dataclass(frozen=True)
class DecoderConfig:
    """The sizes of the decoder.

    Attributes:
        cell: the recurrence, one of `rnn` (tanh), `gru`, `lstm`.
        hidden_size: units of the recurrent state, and of a projected place of the image (U).
        embedding_dim: size of a word's vector (E).
        attention_dim: size of the space in which the state is compared with the places (A).
        dropout: share of activations dropped in training.
        vocabulary_size: words, special tokens included (V).
        locations: places of the feature grid (L).
        channels: channels of the feature grid (D).
    """

    cell: str = field(default="rnn", metadata={"choices": CELLS})
    hidden_size: int = _between(1, 16384, 512)
    embedding_dim: int = _between(1, 16384, 256)
    attention_dim: int = _between(1, 16384, 128)
    dropout: float = _between(0.0, 0.95, 0.4)
    vocabulary_size: int = _between(4, 1_000_000, 4)
    locations: int = _between(1, 65536, 64)
    channels: int = _between(1, 65536, 1280)


@dataclass(frozen=True)
class DecodingConfig:
    """How a sentence is searched for.

    Attributes:
        beam_width: sentences kept alive at each word; 1 is greedy search.
        length_penalty: a sentence's score is its log-probability / length ** length_penalty.
        max_length: the most tokens of a caption, its end included (T).
        no_repeat_ngram_size: so many words in a row are never said twice in a sentence; 0 lets them.

    Raises:
        CaptionerError: `beam_width` times `max_length` is more than `LONGEST_SEARCH`.
    """

    beam_width: int = _between(1, 1000, 4)
    length_penalty: float = _between(0.0, 10.0, 0.7)
    max_length: int = _between(1, 1000, 22)
    no_repeat_ngram_size: int = added(2, before=0, least=0, most=1000)

    def __post_init__(self) -> None:
        """Look at what two of them ask for together."""
        if self.beam_width * self.max_length > LONGEST_SEARCH:
            raise CaptionerError(
                f"a beam_width of {self.beam_width} with a max_length of {self.max_length} would follow "
                f"{self.beam_width * self.max_length} words, expected at most {LONGEST_SEARCH}; ask for a narrower "
                "beam, fewer captions, or shorter ones"
            )


@dataclass(frozen=True)
class ModelConfig:
    """All that is needed to build a captioning model around its weights."""

    encoder: EncoderConfig = EncoderConfig()
    decoder: DecoderConfig = DecoderConfig()
    decoding: DecodingConfig = DecodingConfig()


@dataclass(frozen=True)
class TrainingConfig:
    """How a captioning model is trained.

    Attributes:
        views: parts of each training photo that a frozen encoder, or a teacher, reads once: the whole, its mirror
            image, then parts drawn at random. Each epoch one of them is learned from.
        epochs: passes over the training photos; 0 leaves a model that one starts from as it is.
        batch_size: photos a step; each brings all its captions.
        learning_rate: the highest, after the warm-up and before the cosine decay.
        warmup_steps: steps over which the learning rate rises from 0.
        weight_decay: of AdamW, decoupled.
        clip_norm: the gradient's global norm is cut to this.
        label_smoothing: probability given to all words alike in the target.
        ema_momentum: the weights that are scored and kept are a moving average of those trained; 0 switches it off.
        min_count: a word seen less often in the training captions is `<unk>`.
        logit_adjustment: so many times its log-frequency is taken off a word's logits at the end; above 0 brings up
            rare words.
        patience: epochs without a better dev CIDEr-D before training stops.
        limit: photos used of each split; 0 means all.
        precision: numbers that the layers compute with; the weights are float32 in either case. `auto` is
            `mixed_bfloat16` where the processor is faster in it, else `float32`.
        seed: of every random number.
    """

    views: int = _between(1, 1000, 1)
    epochs: int = _between(0, 100_000, 13)
    batch_size: int = _between(1, 65536, 32)
    learning_rate: float = _between(0.0, 100.0, 1e-3)
    warmup_steps: int = _between(0, 10**9, 200)
    weight_decay: float = _between(0.0, 100.0, 0.01)
    clip_norm: float = _between(1e-6, 1e6, 5.0)
    label_smoothing: float = _between(0.0, 0.99, 0.1)
    ema_momentum: float = _between(0.0, 0.999999, 0.99)
    min_count: int = _between(1, 10**9, 5)
    logit_adjustment: float = _between(0.0, 10.0, 0.0)
    patience: int = _between(1, 100_000, 5)
    limit: int = _between(0, 10**9, 0)
    precision: str = field(default="auto", metadata={"choices": PRECISIONS})
    seed: int = _between(0, 2**31 - 1, 0)


@dataclass(frozen=True)
class FineTuningConfig:
    """How the last layers of the encoder learn along with the decoder, after the cross-entropy on frozen features.

    Attributes:
        fine_tune_epochs: passes over the training photos; 0 leaves the stage out.
        fine_tune_rate: the highest learning rate of the decoder in these passes.
        encoder_rate: the highest learning rate of the encoder's layers.
        fine_tune_views: parts of each photo that are read: the whole, its mirror image, then others.
        distillation: share of the teachers' probabilities in the words that are to be predicted, where there are any.
    """

    fine_tune_epochs: int = _between(0, 100_000, 0)
    fine_tune_rate: float = _between(1e-9, 100.0, 5e-4)
    encoder_rate: float = _between(0.0, 100.0, 1e-4)
    fine_tune_views: int = _between(1, 1000, 4)
    distillation: float = _between(0.0, 1.0, 0.5)


@dataclass(frozen=True)
class SelfCriticalConfig:
    """How a captioning model learns from what it says itself, after the cross-entropy.

    Attributes:
        self_critical_epochs: passes over the training photos; 0 leaves the stage out.
        self_critical_rate: the highest learning rate of these passes.
        samples: captions drawn for each photo of a step, which are compared with each other.
        caption_weight: how much the cross-entropy of the captions counts beside the reward.
        captions_beside: captions of each photo whose cross-entropy is that, drawn anew each time.
        bleu_weight: share of the photo's BLEU-4 in the reward, the rest is CIDEr-D; both from 0 to 10.
    """

    self_critical_epochs: int = _between(0, 100_000, 0)
    self_critical_rate: float = _between(0.0, 100.0, 1e-4)
    samples: int = _between(2, 1000, 5)
    caption_weight: float = _between(0.0, 1e6, 0.2)
    captions_beside: int = _between(1, 1000, 1)
    bleu_weight: float = _between(0.0, 1.0, 0.0)


@dataclass(frozen=True)
class ImitationConfig:
    """How the compact encoder is trained, before and beside the captions.

    Attributes:
        imitation_epochs: passes over the training photos in which it learns to see what the teacher sees.
        imitation_rate: the highest learning rate of these passes.
        imitation_weight: share of the imitation in the loss of the captions, where 1 weighs what is left unexplained
            of the teacher's variance like a nat a word.
        distillation: share of the teacher's probabilities in the words that are to be predicted.
        captions_per_photo: captions that a photo brings to a step, drawn anew each time.
    """

    imitation_epochs: int = _between(0, 100_000, 48)
    imitation_rate: float = _between(0.0, 100.0, 1.5e-3)
    imitation_weight: float = _between(0.0, 1e6, 1.0)
    distillation: float = _between(0.0, 1.0, 0.5)
    captions_per_photo: int = _between(1, 1000, 2)


@dataclass(frozen=True)
class CharModelConfig:
    """The sizes of a character language model.

    Attributes:
        cell: the recurrence, one of `rnn` (tanh), `gru`, `lstm`.
        layers: recurrent layers, one above the other.
        hidden_size: units of each layer's state (U).
        embedding_dim: size of a character's vector (E).
        dropout: share of each layer's output dropped in training.
        layer_norm: whether each layer's output is normalised.
        vocabulary_size: characters, `<start>` and `<unk>` included (V).
        recurrent_dropout: share of the weights from state to state dropped in training, anew for each window.
    """

    cell: str = field(default="rnn", metadata={"choices": CELLS})
    layers: int = _between(1, 64, 2)
    hidden_size: int = _between(1, 16384, 512)
    embedding_dim: int = _between(1, 16384, 64)
    dropout: float = _between(0.0, 0.95, 0.25)
    layer_norm: bool = True
    vocabulary_size: int = _between(3, 1_114_114, 3)
    recurrent_dropout: float = _between(0.0, 0.95, 0.0)


@dataclass(frozen=True)
class CharTrainingConfig:
    """How a character language model is trained.

    Attributes:
        epochs: passes over the training text.
        batch_size: places of the text that are read side by side (B).
        sequence_length: characters read between two steps of the optimiser, and the farthest that a gradient goes
            back (T).
        split: shares of the text in hundredths, in the order in which they lie: training, validation, test.
        learning_rate: the highest, after the warm-up and before the cosine decay.
        warmup_steps: steps over which the learning rate rises from 0.
        weight_decay: of AdamW, decoupled.
        clip_norm: the gradient's global norm is cut to this.
        ema_momentum: the weights that are scored and kept are a moving average of those trained; 0 switches it off.
        precision: as for captioning.
        seed: of every random number.
    """

    epochs: int = _between(1, 100_000, 14)
    batch_size: int = _between(1, 65536, 64)
    sequence_length: int = _between(1, 4096, 128)
    split: str = field(default="90/10", metadata={"choices": ("90/10", "90/5/5")})
    learning_rate: float = _between(0.0, 100.0, 2e-3)
    warmup_steps: int = _between(0, 10**9, 100)
    weight_decay: float = _between(0.0, 100.0, 0.01)
    clip_norm: float = _between(1e-6, 1e6, 1.0)
    ema_momentum: float = _between(0.0, 0.999999, 0.99)
    precision: str = field(default="auto", metadata={"choices": PRECISIONS})
    seed: int = _between(0, 2**31 - 1, 0)


@dataclass(frozen=True)
class GenerationConfig:
    """How a character language model goes on with a text.

    Attributes:
        length: characters to make.
        temperature: below 1 sharpens the probabilities, above 1 flattens them; 0 takes the likeliest character.
        top_k: draw from this many likeliest characters; 0 means all.
        top_p: draw from the fewest characters that hold this probability together; 1 means all.
        num_samples: texts to make.
        seed: of what is drawn.
    """

    length: int = _between(0, 100_000_000, 500)
    temperature: float = _between(0.0, 100.0, 1.0)
    top_k: int = _between(0, 1_114_112, 0)
    top_p: float = _between(1e-6, 1.0, 1.0)
    num_samples: int = _between(1, 10_000, 1)
    seed: int = _between(0, 2**31 - 1, 0)
