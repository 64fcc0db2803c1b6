"""The settings of trainings: one class for each stage, and one for the run."""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from captioner.config.decoding import DecodingConfig
from captioner.config.groups import (
    CAPTION,
    CHAR_LM,
    CHARACTERS,
    COMPACT_ALONE,
    COMPACT_ENCODER,
    COMPACT_TAUGHT,
    DATA,
    FINE_TUNING,
    INIT_FROM,
    MODEL,
    SEARCH,
    SELF_CRITICAL,
    TEACHERS,
    TRAINING,
)
from captioner.config.model import COMPACT, CharModelConfig, DecoderConfig, EncoderConfig
from captioner.config.setting import like, setting, settings_of

PRECISIONS = ("auto", "float32", "mixed_bfloat16")
"""How a training computes."""


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
        "captions of a photo that a step learns from; if a photo has more, each epoch draws some at random. The dev "
        "loss uses as many. A compact model uses --captions-per-photo instead",
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
        0.1, "label smoothing: probability of the target spread evenly over all words", ge=0.0, le=0.99, group=TRAINING
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
        "weight of the imitation loss relative to the caption loss: at 1, the unexplained share of the teacher's "
        "variance counts as much as one nat per word",
        ge=0.0,
        le=1e6,
    )
    distillation: float = like(FineTuningConfig, "distillation", 0.5)
    captions_per_photo: int = setting(
        2, "captions per photo in a step, drawn anew each time", ge=1, le=1000, group=COMPACT_ENCODER
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
    ngram_share: float = setting(
        0.0,
        "share of the loss that compares with what follows the same last characters elsewhere in the text, so that a "
        "network learns less by heart; such as 0.15, for texts of up to a few megabytes",
        ge=0.0,
        le=0.9,
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
