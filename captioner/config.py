"""The settings of models and trainings: frozen dataclasses in which each setting is declared once (`setting`)."""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from captioner.errors import CaptionerError
from captioner.setting import like, setting, settings_of

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
"""How a training computes."""

ENCODER_PRECISIONS = ("auto", "int8", "float32")
"""How an encoder computes in prediction: in float32, as it was trained; or with kernels and grids rounded to int8, in a
third of the time. `auto` is int8 where it is known how to round, which costs next to nothing in captions."""

LONGEST_SEARCH = 10_000
"""The most words that a search may follow for a photo: the beam width times the words of the longest caption."""

CAPTION, CHAR_LM = "caption", "char-lm"
"""What can be trained."""

DATA, MODEL, TRAINING = "data", "model", "training"
FINE_TUNING, TEACHERS, SELF_CRITICAL = "fine-tuning the encoder", "teachers", "self-critical training"
COMPACT_ENCODER, CHARACTERS = "compact encoder", "character language model"
SEARCH, GENERATION, SAMPLING, WORDING = "search", "generation", "sampling", "wording"
"""The groups in which the help lists settings. The last four belong to commands that use a model."""

COMPACT_ALONE, COMPACT_TAUGHT, INIT_FROM = "compact without --teacher", "compact with --teacher", "with --init-from"
"""The trainings in which some settings have another default."""


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
class DecodingConfig:
    """How a sentence is searched for.

    Raises:
        CaptionerError: `beam_width` times `max_length` is more than `LONGEST_SEARCH`.
    """

    beam_width: int = setting(4, "sentences that the beam search keeps; 1 is the fastest", ge=1, le=1000, group=SEARCH)
    length_penalty: float = setting(
        0.7,
        "values above 0 favour longer captions: a score is the log-probability / length ** length_penalty",
        ge=0.0,
        le=10.0,
        group=SEARCH,
    )
    max_length: int = setting(
        22,
        "the most words in a caption (characters where a language has no spaces), including the end token (T)",
        ge=1,
        le=1000,
        group=DATA,
    )
    no_repeat_ngram_size: int = setting(
        2, "no sequence of N words occurs twice in a caption; 0 allows it", ge=0, le=1000, group=SEARCH, absent=0
    )

    def __post_init__(self) -> None:
        """Check the two settings that together decide how far a search goes."""
        if self.beam_width * self.max_length > LONGEST_SEARCH:
            raise CaptionerError(
                f"a beam_width of {self.beam_width} with a max_length of {self.max_length} would follow "
                f"{self.beam_width * self.max_length} words, expected at most {LONGEST_SEARCH}; ask for a narrower "
                "beam, fewer captions, or shorter ones"
            )


@dataclass(frozen=True)
class ModelConfig:
    """The settings that a captioning model is built from."""

    encoder: EncoderConfig = EncoderConfig()
    decoder: DecoderConfig = DecoderConfig()
    decoding: DecodingConfig = DecodingConfig()


@dataclass(frozen=True)
class TrainingConfig:
    """How a captioning model is trained."""

    views: int = setting(
        1,
        "views of each photo that a frozen encoder, or a teacher, reads: the whole, its mirror image, then crops; an "
        "epoch learns from one of them",
        ge=1,
        le=1000,
        group=TRAINING,
        otherwise={COMPACT_TAUGHT: 4},
    )
    epochs: int = setting(
        13,
        "passes over the training photos or text; 0 leaves out this stage of a captioning model",
        ge=0,
        le=100_000,
        group=TRAINING,
        first=True,
        otherwise={COMPACT_TAUGHT: 16, COMPACT_ALONE: 30},
    )
    batch_size: int = setting(
        32,
        "photos per step, each with all its captions; or streams of text (B)",
        ge=1,
        le=65536,
        group=TRAINING,
        first=True,
        otherwise={COMPACT_ALONE: 64},
        default_help="32; fewer, at least 4, where there are few photos",
    )
    captions_per_image: int = setting(
        5,
        "captions of a photo that a step learns from; of more, others are drawn each epoch. The loss on dev is that of "
        "as many. A compact model learns from --captions-per-photo",
        ge=1,
        le=1000,
        group=TRAINING,
    )
    learning_rate: float = setting(
        1e-3,
        "the peak learning rate, after the warm-up and before the cosine decay",
        ge=0.0,
        le=100.0,
        group=TRAINING,
        first=True,
        needs="epochs",
        otherwise={COMPACT_TAUGHT: 3e-4, INIT_FROM: 2e-4},  # one that does not wash trained weights away
    )
    warmup_steps: int = setting(
        200, "steps over which the learning rate rises, at most a fifth of a stage", ge=0, le=10**9, group=TRAINING
    )
    weight_decay: float = setting(0.01, "decoupled weight decay of AdamW", ge=0.0, le=100.0, group=TRAINING)
    clip_norm: float = setting(5.0, "the largest global norm of a gradient", ge=1e-6, le=1e6, group=TRAINING)
    label_smoothing: float = setting(
        0.1, "probability in the training target that all words share alike", ge=0.0, le=0.99, group=TRAINING
    )
    ema_momentum: float = setting(
        0.99,
        "momentum of the moving average of the weights, which is scored and kept; it rises to this value over the "
        "first steps, and 0 switches the average off",
        ge=0.0,
        le=0.999999,
        group=TRAINING,
    )
    min_count: int = setting(
        5,
        "leave words that occur less often out of the vocabulary",
        ge=1,
        le=10**9,
        group=DATA,
        otherwise={INIT_FROM: 1},  # one's own photos are few, and a name seen once is often what they are about
    )
    logit_adjustment: float = setting(
        0.0,
        "subtract X times a word's log-frequency from its logit at the end; 0.05 makes rare words more likely",
        ge=0.0,
        le=10.0,
        group=TRAINING,
    )
    patience: int = setting(
        5,
        "stop a stage of a captioning model after N epochs without a better CIDEr-D on dev",
        ge=1,
        le=100_000,
        group=TRAINING,
    )
    limit: int = setting(
        0, "use only the first N photos of each split; 0 uses all", ge=0, le=10**9, group=DATA, first=True
    )
    precision: str = setting(
        "auto",
        "numbers that the layers compute with: auto is mixed_bfloat16 if the processor is faster in it, otherwise "
        "float32; the weights are float32 in any case",
        choices=PRECISIONS,
        group=TRAINING,
    )
    seed: int = setting(0, "seed of every random number", ge=0, le=2**31 - 1, group=TRAINING)


_tuning = partial(setting, group=FINE_TUNING, needs="fine_tune_epochs")


@dataclass(frozen=True)
class FineTuningConfig:
    """How the last layers of the encoder learn along with the decoder, after the cross-entropy on frozen features."""

    fine_tune_epochs: int = setting(
        0,
        "passes that train the encoder's last layers too; 0 leaves out the stage",
        ge=0,
        le=100_000,
        group=FINE_TUNING,
        first=True,
    )
    fine_tune_rate: float = _tuning(
        5e-4,
        "the decoder's peak learning rate in these passes",
        ge=1e-9,
        le=100.0,
    )
    encoder_rate: float = _tuning(
        1e-4,
        "the peak learning rate of the encoder's layers",
        ge=0.0,
        le=100.0,
    )
    fine_tune_views: int = _tuning(
        4,
        "views of each photo: the whole, its mirror image, then crops",
        ge=1,
        le=1000,
    )
    distillation: float = setting(
        0.5, "share of the teachers in the training target", ge=0.0, le=1.0, group=TEACHERS, needs="teachers"
    )


_critical = partial(setting, group=SELF_CRITICAL, needs="self_critical_epochs")


@dataclass(frozen=True)
class SelfCriticalConfig:
    """How a captioning model learns from captions that it samples itself, after the cross-entropy."""

    self_critical_epochs: int = setting(
        0, "passes over the training photos; 0 leaves the stage out", ge=0, le=100_000, group=SELF_CRITICAL
    )
    self_critical_rate: float = _critical(
        1e-4,
        "the peak learning rate of these passes",
        ge=0.0,
        le=100.0,
    )
    self_critical_encoder_rate: float = _critical(
        0.0,
        "the peak learning rate of the encoder's fine-tuned layers in these passes, which then read --views of each "
        "photo; 0 keeps the layers as they are",
        ge=0.0,
        le=100.0,
        absent=0.0,
    )
    samples: int = _critical(
        5,
        "captions sampled per photo, which are compared with each other",
        ge=2,
        le=1000,
    )
    self_critical_temperature: float = _critical(
        0.5,
        "temperature that these captions are sampled at; below 1 they are likelier ones, closer to those of a search",
        ge=0.01,
        le=100.0,
        absent=1.0,
    )
    caption_weight: float = _critical(
        0.2,
        "weight of the references' cross-entropy beside the reward",
        ge=0.0,
        le=1e6,
    )
    captions_beside: int = _critical(
        1,
        "references per photo in a step, drawn anew each time",
        ge=1,
        le=1000,
    )
    bleu_weight: float = _critical(
        0.0,
        "share of BLEU-4 in the reward; the rest is CIDEr-D, both from 0 to 10",
        ge=0.0,
        le=1.0,
    )

    @property
    def trains_encoder(self) -> bool:
        """Whether the encoder's fine-tuned layers learn from the reward too."""
        return self.self_critical_epochs > 0 and self.self_critical_encoder_rate > 0


_imitation = partial(setting, group=COMPACT_ENCODER, needs="teachers")


@dataclass(frozen=True)
class ImitationConfig:
    """How the compact encoder is trained, before the captions and together with them."""

    imitation_epochs: int = _imitation(
        48,
        "passes over the photos before the training on captions, in which the encoder imitates the teacher's",
        ge=0,
        le=100_000,
    )
    imitation_rate: float = _imitation(
        1.5e-3,
        "the peak learning rate of the imitation",
        ge=0.0,
        le=100.0,
    )
    imitation_weight: float = _imitation(
        1.0,
        "weight of the imitation beside the captions: 1 weighs the unexplained share of the teacher's variance like "
        "a nat a word",
        ge=0.0,
        le=1e6,
    )
    distillation: float = like(FineTuningConfig, "distillation", 0.5)
    captions_per_photo: int = setting(
        2, "captions per photo in a step, drawn anew each time", ge=1, le=1000, group=COMPACT_ENCODER
    )


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
class CharTrainingConfig:
    """How a character language model is trained."""

    epochs: int = like(TrainingConfig, "epochs", 14, ge=1)
    batch_size: int = like(TrainingConfig, "batch_size", 64)
    sequence_length: int = setting(
        128, "characters that gradients are propagated back through (T)", ge=1, le=4096, group=CHARACTERS
    )
    split: str = setting(
        "90/10",
        "percentages for training, validation and test, in the order of the text",
        choices=("90/10", "90/5/5"),
        group=CHARACTERS,
    )
    temperature_share: float = setting(
        0.02,
        "share of the training text that is left out, at its beginning, to fit the temperature of the probabilities "
        "on; 0 fits none",
        ge=0.0,
        le=0.5,
        group=CHARACTERS,
        absent=0.0,
    )
    learning_rate: float = like(TrainingConfig, "learning_rate", 2e-3)
    warmup_steps: int = like(TrainingConfig, "warmup_steps", 100)
    weight_decay: float = like(TrainingConfig, "weight_decay", 0.01)
    clip_norm: float = like(TrainingConfig, "clip_norm", 1.0)
    ema_momentum: float = like(TrainingConfig, "ema_momentum", 0.99)
    precision: str = like(TrainingConfig, "precision", "auto")
    seed: int = like(TrainingConfig, "seed", 0)


@dataclass(frozen=True)
class RunConfig:
    """What a run trains, what it starts from, and where it writes; paths are as the user gave them."""

    task: str = setting(CAPTION, "what to train", choices=(CAPTION, CHAR_LM), group=DATA, first=True)
    text: str | None = setting(
        None,
        "a text in UTF-8, in any language; the name tinyshakespeare downloads tiny Shakespeare, 1.1 MB",
        group=CHARACTERS,
        metavar="FILE",
        first=True,
        task=CHAR_LM,
        default_help="the captions in --data, $CAPTIONER_DATA or datasets/flickr8k; if there are none, tinyshakespeare",
    )
    features: str | None = setting(
        None,
        "use the features that `captioner bulk --features` wrote, instead of extracting them here",
        group=DATA,
        metavar="DIR",
        task=CAPTION,
    )
    init_from: str | None = setting(
        None,
        "start from a trained model, such as flickr8k or compact; keeps its sizes, dropout and vocabulary",
        group=MODEL,
        metavar="DIR",
        first=True,
        task=CAPTION,
    )
    teachers: tuple[str, ...] = setting(
        (),
        "a trained model with a large encoder, such as flickr8k, which uses --encoder-weights; for "
        "fine-tuning, one or more with the same encoder and vocabulary, such as trainings with other seeds",
        group=TEACHERS,
        flag="teacher",
        metavar="DIR",
        first=True,
        task=CAPTION,
    )
    strategy: str = setting(
        "auto",
        "mirrored trains on all GPUs of the machine, each with its part of a batch, in the stage of --epochs; multiply "
        "--batch-size by their number, so that each has enough to do. auto trains on one",
        choices=("auto", "mirrored"),
        group=TRAINING,
        task=CAPTION,
    )
    output: str | None = setting(
        None,
        "model directory to write",
        group=DATA,
        metavar="DIR",
        first=True,
        default_help=f"saved_models/<data>-<cell>, or saved_models/<data>-{COMPACT}",
    )


@dataclass(frozen=True)
class SamplingConfig:
    """How the next word or character is drawn at random; `captioner.decoding.sampling` draws it."""

    temperature: float = setting(
        1.0,
        "draw each word or character at random: below 1 is more careful, above 1 more daring; 0 always takes the most "
        "likely one",
        ge=0.0,
        le=100.0,
        group=SAMPLING,
        default_help="1 for a text; the captions of photos are searched for, not drawn",
    )
    top_k: int = setting(
        0, "draw from the N most likely words or characters; 0 means all", ge=0, le=1_114_112, group=SAMPLING
    )
    top_p: float = setting(
        1.0,
        "draw from the most likely words or characters with a total probability of X; 1 means all",
        ge=1e-6,
        le=1.0,
        group=SAMPLING,
    )
    seed: int | None = setting(
        None,
        "the same seed draws the same text, and for the same photo the same captions",
        ge=0,
        le=2**31 - 1,
        group=SAMPLING,
        default_help="a new one each time",
    )


@dataclass(frozen=True)
class WordingConfig:
    """What a caption must and must not say."""

    begin: str = setting("", "words that each caption begins with", group=WORDING)
    exclude: tuple[str, ...] = setting((), "words that no caption has", group=WORDING, metavar="WORD")


@dataclass(frozen=True)
class GenerationConfig:
    """How far a character language model continues a text, and how often."""

    length: int = setting(500, "characters to write", ge=0, le=100_000_000, group=GENERATION)
    stop: str = setting("", "stop behind the first occurrence of this text in what is written", group=GENERATION)
    num_samples: int = setting(1, "texts to write", ge=1, le=10_000, group=GENERATION)


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


_CLASSES: Mapping[str, Iterable[Any]] = {
    CAPTION: (
        *(RunConfig, EncoderConfig, DecoderConfig, DecodingConfig),
        *(TrainingConfig, FineTuningConfig, SelfCriticalConfig, ImitationConfig),
    ),
    CHAR_LM: (RunConfig, CharModelConfig, CharTrainingConfig),
}


def task_settings(task: str) -> dict[str, dataclasses.Field[Any]]:
    """Return the settings that a training of this task can be given, by name."""
    return {
        name: each
        for kind in _CLASSES[task]
        for name, each in settings_of(kind).items()
        if each.metadata.get("group", SEARCH) != SEARCH and each.metadata.get("task", task) == task
    }
