"""One training from data set to model directory."""

import dataclasses
import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from captioner.config import FineTuningConfig, ModelConfig, SelfCriticalConfig, TrainingConfig
from captioner.data.dataset import CaptionDataset
from captioner.data.feature_parts import FeatureParts
from captioner.errors import CaptionerError
from captioner.files import replacing, write_json
from captioner.models.captioner import CaptionModel
from captioner.models.directory import SavedModel, save_model
from captioner.models.encoder import build_encoder, last_layers, weights_fingerprint
from captioner.models.networks import load_networks
from captioner.models.tuned_model import TunedModel
from captioner.plots import draw_training_curve
from captioner.text import SPECIAL_TOKENS, Vocabulary
from captioner.training.before import HISTORY, epochs_before, told_of
from captioner.training.captions import fitted, report_cut
from captioner.training.card import write_card
from captioner.training.checkpoint import METRICS, Progress, open_run
from captioner.training.evaluation import describe_captions, score_captions, tune_decoding
from captioner.training.fine_tuning import fine_tune, grid_reader, read_grids
from captioner.training.fit import fit
from captioner.training.precision import choose_precision, in_float32
from captioner.training.profile import Profile
from captioner.training.self_critical import fit_self_critically
from captioner.training.split import Split, read_split
from captioner.training.strategy import choose_strategy
from captioner.training.teachers import load_teacher, refuse_other_photos

WHOLE_VIEWS = 2
"""The whole photo and its mirror image, which come first."""

CURVE, CARD = "training.png", "README.md"


@dataclass(frozen=True)
class Run:
    """What to train, on what, and where to.

    Attributes:
        dataset: photos and captions, with a train and a dev split.
        model: encoder layer, decoder sizes, longest caption; the sizes that follow from the data are filled in.
        training: epochs, rates, seed.
        output: the model directory to write.
        fine_tuning: what follows the cross-entropy on frozen features.
        self_critical: what follows that.
        encoder_weights: a Keras weights file, or "imagenet".
        init_from: a model directory to start from; its sizes, vocabulary and weights are taken over.
        features: what `bulk --features` wrote; without it they are made here.
        strategy: see `captioner.training.strategy.choose_strategy`.
        teachers: directories of trained models, whose words the fine-tuning learns from beside people's.
    """

    dataset: CaptionDataset
    model: ModelConfig
    training: TrainingConfig
    output: Path
    fine_tuning: FineTuningConfig = field(default_factory=FineTuningConfig)
    self_critical: SelfCriticalConfig = field(default_factory=SelfCriticalConfig)
    encoder_weights: str = "imagenet"
    init_from: Path | None = None
    features: Path | None = None
    strategy: str = "auto"
    teachers: tuple[Path, ...] = ()

    def settings(self) -> dict[str, Any]:
        """Return what decides the outcome, flat, by the names that users know."""
        own = dataclasses.asdict(self.fine_tuning) | dataclasses.asdict(self.self_critical)
        own["features"] = self.features and str(self.features)
        own["teachers"] = [str(each) for each in self.teachers]
        return flat_settings(self.dataset, self.model, self.training, self.init_from, **own)


def train_captioner(
    run: Run, *, resume: bool, report: Callable[[str], None], profile: Profile | None = None
) -> dict[str, Any]:
    """Train a captioning model and write its directory; go on with a run that was stopped.

    Args:
        run: what to train.
        resume: whether to continue what lies in `run.output`; otherwise it is started over.
        report: takes lines for people.
        profile: takes the time of each epoch.

    Returns:
        the metrics on the dev split, as written to metrics.json.

    Raises:
        UsageError: `run.output` holds a run with other settings.
        CaptionerError: no photo, weights or room on the disk.
    """
    run = replace(run, training=replace(run.training, precision=choose_precision(run.training.precision)))
    checkpoint, metrics = open_run(run.output, run.settings(), resume=resume, report=report)
    if metrics is not None:
        return metrics
    second, third = checkpoint.stage("fine_tuning"), checkpoint.stage("self_critical")
    profile = profile or Profile()
    began = time.monotonic()
    strategy = choose_strategy(run.strategy)
    run.dataset.split("train"), run.dataset.split("dev")
    for each in run.teachers:
        refuse_other_photos(each, run.model.encoder)
    checkpoint.directory.mkdir(parents=True, exist_ok=True)  # where it cannot be written to, say so before the work
    base, encoder = (
        load_networks(run.init_from, run.encoder_weights)
        if run.init_from
        else (None, build_encoder(run.model.encoder, run.encoder_weights))
    )
    before, earlier = None, Progress()
    if run.init_from:
        before = told_of(run.init_from)
        earlier = epochs_before(run.init_from, before, run.settings()["data"])
    behind = run.model.encoder.fine_tune_after
    tuned = last_layers(encoder, behind) if behind else None
    checkpoint.settings["encoder_weights"] = weights_fingerprint(encoder)
    fine_tuned = tuned is not None and run.fine_tuning.fine_tune_epochs > 0
    if fine_tuned and not run.training.epochs:  # then nothing learns from what the whole encoder sees
        train, dev = _read_before(run, report)
    else:
        parts = FeatureParts(run.features) if run.features else None
        train = read_split(run.dataset, "train", encoder, run.model.encoder, report, run.training.views, parts)
        dev = read_split(run.dataset, "dev", encoder, run.model.encoder, report, parts=parts)
    sentences = [words for captions in train.captions for words in captions]
    vocabulary = make_vocabulary(base, sentences, run.training.min_count)
    config = replace(
        run.model,
        decoder=replace(
            run.model.decoder,
            vocabulary_size=len(vocabulary),
            locations=encoder.output_shape[1],
            channels=encoder.output_shape[2],
        ),
        decoding=fitted(run.model.decoding, sentences),
    )
    report_cut(sentences, config.decoding.max_length, report)
    report(
        f"{len(train.rows)} photos and {len(sentences)} captions to train on, {len(dev.rows)} photos to score on, "
        f"{len(vocabulary)} words"
    )
    teachers = [load_teacher(each, run.encoder_weights, behind, vocabulary) for each in run.teachers]
    if teachers:
        checkpoint.settings["teacher_weights"] = [weights_fingerprint(each) for each in teachers]
    keras.utils.set_random_seed(run.training.seed)
    with strategy.scope():
        network = CaptionModel(config.decoder, dtype=run.training.precision)
    network.set_word_frequencies(word_counts(vocabulary, sentences))
    if base:
        take_over(network, base)
    progress = Progress()
    if run.training.epochs:
        progress = fit(
            network, vocabulary, train, dev, run.training, config.decoding, checkpoint, report, profile, strategy
        )
    if strategy.num_replicas_in_sync > 1:  # the stages after this one have one device
        weights, network = network.get_weights(), CaptionModel(config.decoder, dtype=run.training.precision)
        network.set_weights(weights)
    if tuned is not None and fine_tuned:
        if run.training.epochs:
            train, dev = _read_before(run, report)
        joined = TunedModel.of(config, tuned, network, dtype=run.training.precision)
        report(f"fine-tuning the encoder behind {behind}")
        joint = fine_tune(
            joined,
            vocabulary,
            train,
            dev,
            run.training,
            run.fine_tuning,
            config.decoding,
            second,
            report,
            profile,
            teachers,
        )
        progress = progress.followed_by(joint)
        network = joined.captioner
        tuned.set_weights(joined.layers_behind.get_weights())
        reader = grid_reader(tuned)
        dev = read_grids(reader, dev, 1)
        if run.self_critical.self_critical_epochs:
            train = read_grids(reader, train, min(WHOLE_VIEWS, train.views))
    if run.self_critical.self_critical_epochs:
        report("learning from captions of its own")
        own = fit_self_critically(
            network, vocabulary, train, dev, run.training, run.self_critical, config.decoding, third, report, profile
        )
        progress = progress.followed_by(own)
    network = in_float32(network)
    network.adjust_logits(word_counts(vocabulary, sentences), run.training.logit_adjustment)
    report("choosing beam width and length penalty on dev")
    decoding, captions = tune_decoding(network, vocabulary, dev, config.decoding)
    config = replace(config, decoding=decoding)
    metrics = {
        **score_captions(captions, dev, "dev", decoding),
        **describe_captions(captions, dev, sentences),
        "best_epoch": progress.best_epoch,
        "epochs": progress.epoch,
        "parameters": network.count_params(),
        "tuned_parameters": tuned.count_params() if tuned is not None else 0,
        "training_seconds": round(sum(row["seconds"] for row in progress.history)),
        "settings": run.settings(),
        "before": before,
        "epochs_before": earlier.epoch,
    }
    save_model(run.output, config, vocabulary, network, tuned)
    write_story(run.output, run.dataset, config, run.training, earlier.followed_by(progress), metrics)
    checkpoint.remove()
    report(f"{run.output} is finished after {(time.monotonic() - began) / 60:.0f} minutes")
    return metrics


def _read_before(run: Run, report: Callable[[str], None]) -> tuple[Split, Split]:
    """Read what the layers before those that are fine-tuned see of the train and dev splits."""
    frozen = replace(run.model.encoder, feature_layer=run.model.encoder.fine_tune_after, fine_tune_after="")
    encoder = build_encoder(frozen, run.encoder_weights)
    train = read_split(run.dataset, "train", encoder, frozen, report, run.fine_tuning.fine_tune_views)
    return train, read_split(run.dataset, "dev", encoder, frozen, report)


def flat_settings(
    dataset: CaptionDataset, model: ModelConfig, training: TrainingConfig, init_from: Path | None, **more: Any
) -> dict[str, Any]:
    """Return what decides the outcome of a training, flat, by the names that users know."""
    from_data = ("vocabulary_size", "locations", "channels")
    sizes = dataclasses.asdict(model.decoder)
    return {
        **dataclasses.asdict(model.encoder),
        **{name: value for name, value in sizes.items() if name not in from_data},
        "max_length": model.decoding.max_length,
        **dataclasses.asdict(training),
        "data": digest(dataset),
        "init_from": str(init_from) if init_from else None,
        **more,
    }


def make_vocabulary(base: SavedModel | None, sentences: Sequence[Sequence[str]], min_count: int) -> Vocabulary:
    """Return the words to learn: those of the model that the training starts from, if any, and those of the captions.

    Raises:
        CaptionerError: there are none.
    """
    vocabulary = (base.vocabulary if base else Vocabulary.build([])).extended(sentences, min_count)
    if len(vocabulary) == len(SPECIAL_TOKENS):
        raise CaptionerError(
            f"no word stands {min_count} times in the {len(sentences)} training captions; lower --min-count"
        )
    return vocabulary


def write_story(
    output: Path,
    dataset: CaptionDataset,
    config: ModelConfig,
    training: TrainingConfig,
    progress: Progress,
    metrics: dict[str, Any],
) -> None:
    """Write how a model came about: the epochs, the card, and last the metrics, which say that the run is finished."""
    if metrics["epochs"]:
        write_history(output, progress)
    write_card(output / CARD, dataset.name, config, training, metrics)
    write_json(output / METRICS, metrics)


def take_over(network: CaptionModel, base: SavedModel) -> None:
    """Copy the weights of `base` into a network that knows all its words and perhaps more, whose weights stay.

    Raises:
        CaptionerError: the two read different features.
    """
    for ours, theirs in zip(network.weights, base.network.weights, strict=True):
        values, given = keras.ops.convert_to_numpy(ours).copy(), keras.ops.convert_to_numpy(theirs)
        if any(new < old for new, old in zip(values.shape, given.shape, strict=True)):
            raise CaptionerError(
                f"--init-from: {ours.path} is {given.shape} there and {values.shape} here; "
                "give the same --feature-layer"
            )
        values[tuple(slice(size) for size in given.shape)] = given
        ours.assign(values)


def word_counts(vocabulary: Vocabulary, sentences: Sequence[Sequence[str]]) -> np.ndarray:
    """Count the words of sentences by their numbers, (V,)."""
    counts = Counter(number for words in sentences for number in vocabulary.encode(words, len(words) + 1))
    return np.array([counts[number] for number in range(len(vocabulary))], float)


def digest(dataset: CaptionDataset) -> str:
    """Name what is trained and chosen on: photos and captions of the train and dev splits."""
    content = {
        name: [(example.image.name, example.captions) for example in examples]
        for name, examples in dataset.splits.items()
        if name != "test"
    }
    return hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=8).hexdigest()


def write_history(output: Path, progress: Progress) -> None:
    """Write the epochs' figures as a table and as a picture."""
    import pandas as pd

    with replacing(output / HISTORY) as beside:
        pd.DataFrame(progress.history).to_csv(beside, index=False, float_format="%.6g")
    draw_training_curve(output / CURVE, progress.history, progress.best_epoch)
