"""The configurations of a model and its training, made from the settings of a run and checked."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from captioner.config.decoding import DecodingConfig
from captioner.config.groups import (
    CAPTION,
    CHAR_LM,
    COMPACT_ALONE,
    COMPACT_ENCODER,
    COMPACT_TAUGHT,
    FINE_TUNING,
    INIT_FROM,
    SELF_CRITICAL,
)
from captioner.config.model import COMPACT, CharModelConfig, DecoderConfig, EncoderConfig, ModelConfig
from captioner.config.options import flags, given
from captioner.config.recipe import RunSettings, unmet_need
from captioner.config.setting import settings_of
from captioner.config.training import CharTrainingConfig, TrainingConfig, task_settings
from captioner.errors import CaptionerError, UsageError
from captioner.model_files.directory import CaptionerDirectory
from captioner.model_files.shipped import model_directory

FINE_TUNE_AFTER = "mixed6"
"""The layer of InceptionV3 behind which fine-tuning begins: what comes then is 4 million parameters of 11."""

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

FEWEST_STEPS, SMALLEST_BATCH = 24, 4
"""Steps that an epoch has where nobody gave the batch size, unless a batch were smaller than this."""

Models = Mapping[Path, ModelConfig]
"""What models will be that no training has written yet, by their directories."""


def check_runs(runs: list[RunSettings]) -> None:
    """Check the settings of all runs before the first of them begins.

    Raises:
        UsageError: settings contradict each other, or one has no effect.
        CaptionerError: a model to start from, or a teacher, is neither there nor written by an earlier run.
    """
    models: dict[Path, ModelConfig] = {}
    for run in runs:
        try:
            refuse_other_task(run)
            if run.task == CHAR_LM:
                for kind in (CharModelConfig, CharTrainingConfig):
                    given(run.values, kind)
            else:
                for teacher in run.teachers:
                    _read_model(teacher, models)
                model, _ = configure(run, models)
                if output := run.path("output"):
                    models[output] = model
        except CaptionerError as error:
            if not run.where:
                raise
            raise type(error)(f"{run.where}: {error}") from error


def with_models(run: RunSettings) -> RunSettings:
    """Return the run with the names of shipped models, to start from or to teach, replaced by their directories."""
    values = dict(run.values)
    if values.get("init_from"):
        values["init_from"] = str(model_directory(values["init_from"]))
    if values.get("teachers"):
        values["teachers"] = tuple(str(model_directory(each)) for each in values["teachers"])
    return replace(run, values=values)


def refuse_other_task(run: RunSettings) -> None:
    """Raise UsageError when settings were given that mean nothing to the task."""
    other = CHAR_LM if run.task == CAPTION else CAPTION
    foreign = [name for name in task_settings(other) if name in run.values and name not in task_settings(run.task)]
    if foreign:
        raise UsageError(
            f"{flags(foreign)}: only for --task {other}, not for --task {run.task}; leave out one or the other"
        )


def configure(run: RunSettings, models: Models | None = None) -> tuple[ModelConfig, TrainingConfig]:
    """Turn settings into configurations; those of `--init-from` stand where it is given, those of a teacher too.

    Args:
        run: the settings.
        models: of the directories that are not there yet.

    Raises:
        UsageError: a size was given that another model has already decided, or something for another encoder.
    """
    models = models or {}
    values, base = run.values, run.path("init_from")
    model = _trained_model(run, base, models) if base else _new_model(values)
    compact = model.encoder.network == COMPACT
    _refuse_other_encoders(run, model.encoder.network)
    if values.get("fine_tune_epochs") and not model.encoder.fine_tune_after:
        if model.encoder.network != EncoderConfig.network:
            raise UsageError(
                f"--fine-tune-epochs: name the layer of {model.encoder.network} to train after, with --fine-tune-after"
            )
        model = replace(model, encoder=replace(model.encoder, fine_tune_after=FINE_TUNE_AFTER))
    _refuse_idle(run, compact)
    if values.get("self_critical_encoder_rate") and not model.encoder.fine_tune_after:
        raise UsageError(
            f"--self-critical-encoder-rate: this {model.encoder.network} has no fine-tuned layers to train; give "
            "--fine-tune-epochs too, start from a model that was fine-tuned, or leave it out"
        )
    if compact:
        model = _compact_model(run, model, models)
    return model, _training(values, compact)


def _training(values: Mapping[str, Any], compact: bool) -> TrainingConfig:
    """Return the training's configuration; its defaults depend on the encoder, and on what the run starts from."""
    base = values.get("init_from")
    encoder = (COMPACT_TAUGHT if values.get("teachers") or base else COMPACT_ALONE) if compact else None
    defaults = {
        name: about.metadata["otherwise"][case]
        for case in (encoder, INIT_FROM if base else None)
        for name, about in settings_of(TrainingConfig).items()
        if case in about.metadata.get("otherwise", {})
    }
    return TrainingConfig(**defaults | given(values, TrainingConfig))


def with_batch_size(training: TrainingConfig, run: RunSettings, photos: int) -> TrainingConfig:
    """Return a training with smaller batches where there are few photos to train on, and nobody gave the size.

    With a few large batches an epoch, the weights would hardly move.
    """
    if "batch_size" in run.values:
        return training
    return replace(training, batch_size=min(training.batch_size, max(SMALLEST_BATCH, photos // FEWEST_STEPS)))


def _read_model(directory: Path, models: Models) -> ModelConfig:
    return models[directory] if directory in models else CaptionerDirectory.read(directory).config


def _trained_model(run: RunSettings, base: Path, models: Models) -> ModelConfig:
    model = _read_model(base, models)
    _refuse_other_sizes(run, f"--init-from {base}", (model.encoder, model.decoder))
    model = replace(
        model,
        decoder=replace(model.decoder, **given(run.values, DecoderConfig)),
        decoding=replace(model.decoding, **given(run.values, DecodingConfig)),
    )
    if run.values.get("fine_tune_after"):
        model = replace(model, encoder=replace(model.encoder, fine_tune_after=run.values["fine_tune_after"]))
    return model


def _new_model(values: Mapping[str, Any]) -> ModelConfig:
    name = values.get("network", EncoderConfig.network)
    encoder = {
        "feature_layer": FEATURE_LAYERS.get(name, "last"),
        "image_size": IMAGE_SIZES.get(name, 224),
        **given(values, EncoderConfig),
    }
    return ModelConfig(
        EncoderConfig(**encoder),
        DecoderConfig(**given(values, DecoderConfig)),
        DecodingConfig(**given(values, DecodingConfig)),
    )


def _compact_model(run: RunSettings, model: ModelConfig, models: Models) -> ModelConfig:
    """Fit a model to the compact encoder; unless it starts from another model, it has its teacher's decoder."""
    if len(run.teachers) > 1:
        raise UsageError(
            f"--teacher: --encoder {COMPACT} takes one, whose encoder it imitates; found {len(run.teachers)}"
        )
    for option in ("features", "strategy"):
        if run.values.get(option):
            raise UsageError(f"--{option}: not for --encoder {COMPACT}; leave it out")
    if model.encoder.image_size % 16 or model.encoder.feature_layer != FEATURE_LAYERS[COMPACT]:
        raise UsageError(
            f"--encoder {COMPACT}: expected an --image-size divisible by 16, and no --feature-layer, found "
            f"{model.encoder.image_size} and {model.encoder.feature_layer!r}"
        )
    if not run.teachers or run.path("init_from"):
        return model
    teacher = _read_model(run.teachers[0], models)
    _refuse_other_sizes(run, f"--teacher {run.teachers[0]}", (teacher.decoder,))
    decoder = replace(teacher.decoder, **given(run.values, DecoderConfig))
    return replace(model, decoder=decoder, decoding=replace(teacher.decoding, **given(run.values, DecodingConfig)))


def _refuse_other_encoders(run: RunSettings, network: str) -> None:
    """Raise UsageError when settings were given that mean nothing to the encoder."""
    foreign = (FINE_TUNING, SELF_CRITICAL) if network == COMPACT else (COMPACT_ENCODER,)
    named = {name for name, value in run.values.items() if value or name in run.given}
    names = [
        name for name, about in task_settings(CAPTION).items() if name in named and about.metadata["group"] in foreign
    ]
    if names:
        other = "encoders of keras.applications" if network == COMPACT else f"--encoder {COMPACT}"
        raise UsageError(f"{flags(names)}: only for {other}, not for {network}")


def _refuse_idle(run: RunSettings, compact: bool) -> None:
    """Raise UsageError when a setting has no effect beside the others, or without one that is missing."""
    values = run.values
    needs = {name: unmet_need(name, values) for name in task_settings(CAPTION) if name in run.given}
    for need in filter(None, needs.values()):
        how = f"with {flags([need])} 0" if values.get(need) == 0 else f"without {flags([need])}"
        idle = flags(name for name in needs if needs[name] == need)
        raise UsageError(f"{idle}: no effect {how}; leave out one or the other")
    if values.get("features") and values.get("views", TrainingConfig.views) > 1:
        raise UsageError("--views: --features holds features of whole photos only; leave out one or the other")
    if "views" in run.given and compact and not run.teachers:
        raise UsageError("--views: no effect on a compact encoder without --teacher; leave it out")
    if "teachers" in run.given and not compact and not values.get("fine_tune_epochs"):
        raise UsageError(f"--teacher: nothing learns from it without --fine-tune-epochs or --encoder {COMPACT}")
    if values.get("epochs") == 0:
        _refuse_without_epochs(run)


def _refuse_without_epochs(run: RunSettings) -> None:
    """Raise UsageError when a setting has no effect since `--epochs 0` leaves out the stage that it is about."""
    values = run.values
    if "strategy" in run.given and values["strategy"] == "mirrored":
        raise UsageError("--strategy mirrored: no stage uses it with --epochs 0; other stages use one device")
    for name in ("features", "views"):
        if name in run.given and values.get("fine_tune_epochs"):
            raise UsageError(
                f"--{name}: no effect with --epochs 0; fine-tuning reads the photos itself, in --fine-tune-views"
            )
    learns = ("fine_tune_epochs", "self_critical_epochs", "teachers", "init_from")
    if not any(values.get(name) for name in learns):
        raise UsageError("--epochs 0: nothing would be learned; name a model to start from with --init-from")


def _refuse_other_sizes(run: RunSettings, source: str, parts: tuple[Any, ...]) -> None:
    """Raise UsageError when a size was given that the model `source` has decided otherwise."""
    for part in parts:
        for name, value in given(run.values, type(part)).items():
            settled = name != "fine_tune_after" or getattr(part, name)
            if name != "dropout" and settled and value != getattr(part, name):
                raise UsageError(
                    f"{flags([name])} {value}: {source} has {getattr(part, name)}, and its weights fit nothing else; "
                    "leave the argument out"
                )
