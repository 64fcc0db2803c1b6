"""The settings of models: the sizes of the networks, and of what is fitted to them."""

from dataclasses import dataclass

from captioner.config.decoding import DecodingConfig
from captioner.config.groups import CHARACTERS, FINE_TUNING, MODEL
from captioner.config.setting import like, setting

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

ENCODER_PRECISIONS = ("auto", "int8", "float32")
"""How an encoder computes in prediction: in float32, as it was trained; or with kernels and grids rounded to int8, in a
third of the time. `auto` is int8 where it is known how to round, which costs next to nothing in captions."""


@dataclass(frozen=True)
class EncoderConfig:
    """Which network reads the photo, and where it is cut: at a grid of L regions with D channels."""

    network: str = setting(
        "InceptionV3",
        f"the network that reads the photos: {COMPACT}, which is trained too and is part of the model, or one of "
        "keras.applications, frozen",
        choices=ENCODERS,
        group=MODEL,
        flag="encoder",
        metavar="NAME",
        first=True,
    )
    feature_layer: str = setting(
        "mixed8",
        "the encoder's layer whose output is used",
        group=MODEL,
        metavar="NAME",
        default_help="mixed8; for encoders other than InceptionV3, the last one with a grid",
    )
    image_size: int = setting(
        299,
        "photos are resized to a square of this side, in pixels",
        ge=75,
        le=2048,
        group=MODEL,
        default_help=f"the network's own: 299, {COMPACT}: 144",
    )
    fine_tune_after: str = setting(
        "",
        "all layers after this one are trained, and become part of the model",
        group=FINE_TUNING,
        metavar="NAME",
        needs="fine_tune_epochs",
        default_help="mixed6 for InceptionV3; required for others",
        absent="",
    )


@dataclass(frozen=True)
class DecoderConfig:
    """The sizes of the decoder."""

    cell: str = setting("rnn", "the recurrent cell: rnn (tanh), gru or lstm", choices=CELLS, group=MODEL)
    hidden_size: int = setting(512, "units of the recurrent state (U)", ge=1, le=16384, group=MODEL)
    embedding_dim: int = setting(256, "size of a word's or character's embedding (E)", ge=1, le=16384, group=MODEL)
    attention_dim: int = setting(128, "units of the attention (A)", ge=1, le=16384, group=MODEL)
    dropout: float = setting(0.4, "share of activations that are dropped in training", ge=0.0, le=0.95, group=MODEL)
    vocabulary_size: int = setting(4, "words, special tokens included (V)", ge=4, le=1_000_000)
    locations: int = setting(64, "regions of the feature grid (L)", ge=1, le=65536)
    channels: int = setting(1280, "channels of the feature grid (D)", ge=1, le=65536)


@dataclass(frozen=True)
class ModelConfig:
    """The settings that a captioning model is built from."""

    encoder: EncoderConfig = EncoderConfig()
    decoder: DecoderConfig = DecoderConfig()
    decoding: DecodingConfig = DecodingConfig()  # noqa: RUF009 - frozen


@dataclass(frozen=True)
class CharModelConfig:
    """The sizes of a character language model."""

    cell: str = like(DecoderConfig, "cell", "rnn")
    layers: int = setting(2, "recurrent layers, one above the other", ge=1, le=64, group=CHARACTERS)
    hidden_size: int = like(DecoderConfig, "hidden_size", 512)
    embedding_dim: int = like(DecoderConfig, "embedding_dim", 64)
    dropout: float = like(DecoderConfig, "dropout", 0.25)
    layer_norm: bool = setting(True, "normalise each layer's output", group=CHARACTERS)
    vocabulary_size: int = setting(3, "characters, `<start>` and `<unk>` included (V)", ge=3, le=1_114_114)
    recurrent_dropout: float = setting(
        0.0,
        "share of the recurrent weights that are dropped in training, drawn anew for each window",
        ge=0.0,
        le=0.95,
        group=CHARACTERS,
    )


@dataclass(frozen=True)
class CalibrationConfig:
    """Confidence and familiarity of a captioning model; `captioner.model_files.calibration` has the arrays."""

    sure: float = setting(1.0, "the confidence from which a caption is called sure", ge=0.0, le=1.0)
    guess: float = setting(0.0, "the confidence below which a caption is called a guess", ge=0.0, le=1.0)
    least: float = setting(0.0, "the confidence that nine of ten dev captions reach", ge=0.0, le=1.0)
    unfamiliar: float = setting(0.0, "the distance above which a photo is called unfamiliar", ge=0.0, le=1e9)
    length_penalty: float = setting(0.0, "of the scores that confidence is read from", ge=0.0, le=10.0)
    points: int = setting(2, "in the table from scores to confidence (P)", ge=2, le=1000)
    directions: int = setting(1, "that the training photos vary in (R)", ge=1, le=4096)
    photos: int = setting(0, "dev photos that all of this was fitted on", ge=0, le=2**31 - 1)


@dataclass(frozen=True)
class ConsensusConfig:
    """How captions are chosen by what people say of such photos, as `captioner.model_files.ngram_regression` has it."""

    weight: float = setting(0.0, "of the agreement with it, beside the score", ge=0.0, le=1e6)
    ridge: float = setting(0.01, "penalty, as a multiple of the mean variance of a channel", ge=0.0, le=1e6)
    photos: int = setting(1, "training photos (N)", ge=1, le=2**31 - 1)
    factors: int = setting(1, "factors of a photo (R)", ge=0, le=65_536)
    ngrams: int = setting(0, "n-grams (G)", ge=0, le=2**31 - 1)
