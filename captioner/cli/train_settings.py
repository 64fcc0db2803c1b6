"""What the arguments of `train` become: a model's configuration and its training's, or a refusal."""

import argparse
import dataclasses
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from captioner.cli.arguments import chosen, flags
from captioner.config import (
    COMPACT,
    DecoderConfig,
    DecodingConfig,
    EncoderConfig,
    FineTuningConfig,
    ImitationConfig,
    ModelConfig,
    SelfCriticalConfig,
    TrainingConfig,
)
from captioner.data.model_files import read_config
from captioner.errors import UsageError

INIT_FROM_RATE = 2e-4
"""The highest learning rate when starting from trained weights: one that does not wash them away."""

INIT_FROM_MIN_COUNT = 1
"""One's own photos are few, and a name seen once is often what they are about."""

TAUGHT_OPTIONS = ("teacher", "distillation")
"""What a compact encoder and fine-tuning have both."""


def _names(config: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(config) if field.name not in TAUGHT_OPTIONS)


IMITATION_OPTIONS = _names(ImitationConfig)
"""What only the compact encoder has."""

FINE_TUNING_OPTIONS, SELF_CRITICAL_OPTIONS = ("fine_tune_after", *_names(FineTuningConfig)), _names(SelfCriticalConfig)
LATER_OPTIONS = (*FINE_TUNING_OPTIONS, *SELF_CRITICAL_OPTIONS)
"""What only the others have: the stages after the cross-entropy."""

FINE_TUNE_AFTER = "mixed6"
"""The layer of InceptionV3 behind which fine-tuning begins: what comes then is 4 million parameters of 11."""

COMPACT_TRAINING = {"batch_size": 64, "epochs": 30}
TAUGHT_TRAINING = {"views": 4, "epochs": 16, "learning_rate": 3e-4}
"""What is different by default where a compact encoder learns from captions alone, and where it has a teacher."""

IMAGE_SIZES = {
    **dict.fromkeys(("InceptionV3", "Xception", "InceptionResNetV2"), 299),
    "NASNetLarge": 331,
    **{f"EfficientNetB{n}": size for n, size in enumerate((224, 240, 260, 300, 380, 456, 528, 600))},
    **{f"EfficientNetV2B{n}": size for n, size in enumerate((224, 240, 260, 300))},
    **dict(zip(("EfficientNetV2S", "EfficientNetV2M", "EfficientNetV2L"), (384, 480, 480), strict=True)),
    COMPACT: 144,
}
"""What the ImageNet weights of a network were trained with; 224 for all others."""

FEATURE_LAYERS = {"InceptionV3": "mixed8", COMPACT: "grid"}
"""Where a network is cut; all others behind their last layer with a grid."""


def configure(arguments: argparse.Namespace) -> tuple[ModelConfig, TrainingConfig]:
    """Turn arguments into configurations; those of `--init-from` stand where it is given, those of a teacher too.

    Raises:
        UsageError: a size was given that another model has already decided, or something for another encoder.
    """
    training = TrainingConfig(**chosen(arguments, TrainingConfig))
    model = _new_model(arguments) if arguments.init_from is None else _trained_model(arguments)
    compact = model.encoder.network == COMPACT
    _refuse_other_encoders(arguments, model.encoder.network)
    if arguments.fine_tune_epochs and not model.encoder.fine_tune_after:
        if model.encoder.network != EncoderConfig.network:
            raise UsageError(
                f"--fine-tune-epochs: name the layer of {model.encoder.network} to train after, with --fine-tune-after"
            )
        model = replace(model, encoder=replace(model.encoder, fine_tune_after=FINE_TUNE_AFTER))
    _refuse_what_does_nothing(arguments, training, compact)
    if compact:
        model, training = _compact(arguments, model, training)
    if arguments.init_from is not None:
        if arguments.learning_rate is None:
            training = replace(training, learning_rate=INIT_FROM_RATE)
        if arguments.min_count is None:
            training = replace(training, min_count=INIT_FROM_MIN_COUNT)
    return model, training


def _trained_model(arguments: argparse.Namespace) -> ModelConfig:
    model = read_config(arguments.init_from)
    _refuse_other_sizes(arguments, "init_from", (model.encoder, model.decoder, model.decoding))
    model = replace(model, decoder=replace(model.decoder, **chosen(arguments, DecoderConfig)))
    if arguments.fine_tune_after is not None:
        model = replace(model, encoder=replace(model.encoder, fine_tune_after=arguments.fine_tune_after))
    return model


def _new_model(arguments: argparse.Namespace) -> ModelConfig:
    name = arguments.network or EncoderConfig.network
    encoder = {
        "feature_layer": FEATURE_LAYERS.get(name, "last"),
        "image_size": IMAGE_SIZES.get(name, 224),
        **chosen(arguments, EncoderConfig),
    }
    return ModelConfig(
        EncoderConfig(**encoder),
        DecoderConfig(**chosen(arguments, DecoderConfig)),
        DecodingConfig(**chosen(arguments, DecodingConfig)),
    )


def _compact(
    arguments: argparse.Namespace, model: ModelConfig, training: TrainingConfig
) -> tuple[ModelConfig, TrainingConfig]:
    """Fit both to an encoder of our own: its defaults, and the decoder of its teacher."""
    if arguments.teacher and len(arguments.teacher) > 1:
        raise UsageError(
            f"--teacher: --encoder {COMPACT} takes one, whose encoder it imitates; found {len(arguments.teacher)}"
        )
    for option in ("profile", "features", "strategy"):
        if getattr(arguments, option):
            raise UsageError(f"--{option}: not for --encoder {COMPACT}; leave it out")
    if model.encoder.image_size % 16 or model.encoder.feature_layer != FEATURE_LAYERS[COMPACT]:
        raise UsageError(
            f"--encoder {COMPACT}: expected an --image-size divisible by 16, and no --feature-layer, found "
            f"{model.encoder.image_size} and {model.encoder.feature_layer!r}"
        )
    defaults = TAUGHT_TRAINING if arguments.teacher or arguments.init_from else COMPACT_TRAINING
    training = replace(training, **{**defaults, **chosen(arguments, TrainingConfig)})
    if arguments.teacher is not None:
        teacher = read_config(arguments.teacher[0])
        if arguments.init_from is None:
            _refuse_other_sizes(arguments, "teacher", (teacher.decoder, teacher.decoding))
            decoder = replace(teacher.decoder, **chosen(arguments, DecoderConfig))
            model = replace(model, decoder=decoder, decoding=teacher.decoding)
    return model, training


def _refuse_other_encoders(arguments: argparse.Namespace, network: str) -> None:
    """Raise UsageError when options were given that mean nothing to the encoder."""
    given = _given(arguments, LATER_OPTIONS if network == COMPACT else IMITATION_OPTIONS)
    if given:
        other = "encoders of keras.applications" if network == COMPACT else f"--encoder {COMPACT}"
        raise UsageError(f"{flags(given)}: only for {other}, not for {network}")


def _refuse_what_does_nothing(arguments: argparse.Namespace, training: TrainingConfig, compact: bool) -> None:
    """Raise UsageError when an option has no effect beside the others, or without one that is missing."""
    if arguments.features and training.views > 1:
        raise UsageError("--views: --features holds features of whole photos only; leave out one or the other")
    if arguments.teacher and not compact and not arguments.fine_tune_epochs:
        raise UsageError(f"--teacher: nothing learns from it without --fine-tune-epochs or --encoder {COMPACT}")
    of_teachers = (*TAUGHT_OPTIONS, "imitation_epochs", "imitation_rate", "imitation_weight")
    for needed, options, why in (
        ("fine_tune_epochs", FINE_TUNING_OPTIONS, "nothing is fine-tuned"),
        ("self_critical_epochs", SELF_CRITICAL_OPTIONS, "the model does not learn from its own captions"),
        ("teacher", (*of_teachers, "views") if compact else of_teachers, "there is no teacher"),
    ):
        given = [name for name in _given(arguments, options) if name != needed]
        if given and not getattr(arguments, needed):
            raise UsageError(f"{flags(given)}: {why} without {flags([needed])}")
    if not training.epochs:
        _refuse_what_needs_epochs(arguments, compact)


def _refuse_what_needs_epochs(arguments: argparse.Namespace, compact: bool) -> None:
    """Raise UsageError when an option has no effect since `--epochs 0` leaves out the stage that it is about."""
    if arguments.learning_rate is not None:
        rates = "--imitation-rate" if compact else "--fine-tune-rate and --self-critical-rate"
        raise UsageError(f"--learning-rate: no stage uses it with --epochs 0; other stages have {rates}")
    if arguments.strategy == "mirrored":
        raise UsageError("--strategy mirrored: no stage uses it with --epochs 0; other stages use one device")
    if arguments.fine_tune_epochs:
        if arguments.features:
            raise UsageError("--features: no stage uses them with --epochs 0; leave out one or the other")
        if arguments.views is not None:
            raise UsageError("--views: no stage uses them with --epochs 0; fine-tuning has --fine-tune-views")
    later = arguments.fine_tune_epochs or arguments.self_critical_epochs or arguments.teacher
    if not later and arguments.init_from is None:
        raise UsageError("--epochs 0: nothing would be learned; name a model to start from with --init-from")


def _given(arguments: argparse.Namespace, options: Sequence[str]) -> list[str]:
    return [name for name in options if getattr(arguments, name) is not None]


def _refuse_other_sizes(arguments: argparse.Namespace, option: str, parts: tuple[Any, ...]) -> None:
    """Raise UsageError when a size was given that the model named by an option has decided otherwise."""
    directory = arguments.init_from if option == "init_from" else arguments.teacher[0]
    for part in parts:
        for name, value in chosen(arguments, type(part)).items():
            settled = name != "fine_tune_after" or getattr(part, name)
            if name != "dropout" and settled and value != getattr(part, name):
                flag = "encoder" if name == "network" else name.replace("_", "-")
                raise UsageError(
                    f"--{flag} {value}: --{option.replace('_', '-')} {directory} has "
                    f"{getattr(part, name)}, and its weights fit nothing else; leave the argument out"
                )
