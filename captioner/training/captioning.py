"""The training of a decoder on a network of `keras.applications`, whose last layers may learn along."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import keras

from captioner.data.feature_parts import FeatureParts
from captioner.model_files.convolution import Rounding
from captioner.model_files.roundings import load_roundings
from captioner.models.captioner import CaptionModel
from captioner.models.directory import save_model
from captioner.models.encoder import build_encoder, last_layers, weights_fingerprint
from captioner.models.networks import load_networks
from captioner.models.tuned_model import TunedModel
from captioner.runtime.prepared_encoder import ROUNDINGS, has_template
from captioner.training.artifacts import CARD, write_epochs
from captioner.training.caption_run import CaptionRun
from captioner.training.card.caption_card import write_card
from captioner.training.checkpoint import Progress
from captioner.training.context import Context
from captioner.training.devices import choose_strategy
from captioner.training.epoch_stages import CROSS_ENTROPY, FINE_TUNING, SELF_CRITICAL
from captioner.training.evaluation import describe_captions, score_captions, tune_decoding
from captioner.training.fitting.roundings import model_roundings
from captioner.training.initialise import init_from, make_vocabulary, word_counts
from captioner.training.inputs.captions import fitted
from captioner.training.inputs.distillation import load_teacher, refuse_other_encoder
from captioner.training.inputs.feature_extractor import grid_extractor
from captioner.training.inputs.split import Split, log_data, read_split
from captioner.training.lineage import parent_history, parent_metrics
from captioner.training.loop import Stage
from captioner.training.precision import in_float32
from captioner.training.run import Training, TrainingRun
from captioner.training.stages.cross_entropy import CrossEntropy
from captioner.training.stages.fine_tuning import FineTuning
from captioner.training.stages.self_critical import SelfCritical
from captioner.training.versions import versions

WHOLE_VIEWS = 2
"""The whole photo and its mirror image, which come first."""

log = logging.getLogger(__name__)


class CaptionTraining(Training):
    """Cross-entropy on frozen features, then fine-tuning, then self-critical training, as far as they have epochs.

    Args:
        config: what to train.
    """

    later_stages: ClassVar[tuple[str, ...]] = (FINE_TUNING, SELF_CRITICAL)

    def __init__(self, config: CaptionRun) -> None:
        self.config = config.with_precision()
        self.output = config.output
        self.starts_trained = config.sources.init_from is not None
        self.parent: dict[str, Any] | None = None
        self.parent_progress = Progress()
        self.tuned: keras.Model | None = None
        self.context: Context
        self.network: CaptionModel

    def settings(self) -> dict[str, Any]:
        """Return the settings that decide the outcome in one dictionary, by the names that users know."""
        return self.config.settings()

    def check(self) -> None:
        """Refuse devices that are not there, a data set without a split, and teachers that read other photos."""
        config = self.config
        self.strategy = choose_strategy(config.strategy)
        config.dataset.split("train"), config.dataset.split("dev")
        for each in config.sources.teachers:
            refuse_other_encoder(each, config.model.encoder)

    def stages(self, run: TrainingRun) -> Iterator[tuple[str, Stage]]:
        """Yield the stages that have epochs."""
        config, after, strategy = self.config, self.config.model.encoder.fine_tune_after, self.strategy
        self._load_encoder(run)
        fine_tuned = bool(after) and config.fine_tuning.fine_tune_epochs > 0
        rewarded = bool(after) and config.self_critical.trains_encoder
        # Without epochs on features nothing reads what the whole encoder gives
        grids = (fine_tuned or rewarded) and not config.training.epochs
        train, dev = self._read_grids() if grids else self._read_features()
        self._make_context(run, train, dev)
        teachers = self._load_teachers(run)
        keras.utils.set_random_seed(config.training.seed)
        with strategy.scope():
            self.network = self._new_network()
        self.network.set_word_frequencies(self.word_counts)
        if self.base:
            init_from(self.network, self.base)
        if config.training.epochs:
            yield "", CrossEntropy(self.context, self.network, strategy)
        if strategy.num_replicas_in_sync > 1:  # the later stages have one device
            weights, self.network = self.network.get_weights(), self._new_network()
            self.network.set_weights(weights)
        if self.tuned is not None and (fine_tuned or rewarded):
            if config.training.epochs:
                self.context = self.context.with_data(*self._read_grids())
            joined = TunedModel.of(self.model, self.tuned, self.network, dtype=config.training.precision)
            if fine_tuned:
                log.info("fine-tuning the encoder behind %s", after)
                yield FINE_TUNING, FineTuning(self.context, joined, config.fine_tuning, teachers)
            if rewarded:
                log.info("learning from captions of its own, and the encoder behind %s too", after)
                yield SELF_CRITICAL, SelfCritical(self.context, joined, config.self_critical)
            self.tuned.set_weights(joined.layers_behind.get_weights())
            self.network, self.context = joined.captioner, self._tuned_context(self.tuned)
        if config.self_critical.self_critical_epochs and not rewarded:
            log.info("learning from captions of its own")
            yield SELF_CRITICAL, SelfCritical(self.context, self.network, config.self_critical)

    def _load_encoder(self, run: TrainingRun) -> None:
        """Load the encoder, and the model that the training starts from."""
        sources, encoder = self.config.sources, self.config.model.encoder
        self.base = None
        if sources.init_from:
            self.base, self.encoder = load_networks(sources.init_from, sources.encoder_weights)
            self.parent = parent_metrics(sources.init_from)
            self.parent_progress = parent_history(sources.init_from, self.parent, self.settings()["data"])
        else:
            self.encoder = build_encoder(encoder, sources.encoder_weights)
        self.tuned = last_layers(self.encoder, encoder.fine_tune_after) if encoder.fine_tune_after else None
        run.add_settings(encoder_weights=weights_fingerprint(self.encoder))

    def _read_features(self) -> tuple[Split, Split]:
        """Read what the encoder sees of the train and dev splits."""
        config, encoder = self.config, self.config.model.encoder
        parts = FeatureParts(config.sources.features) if config.sources.features else None
        train = read_split(config.dataset, "train", self.encoder, encoder, config.training.views, parts)
        return train, read_split(config.dataset, "dev", self.encoder, encoder, parts=parts)

    def _read_grids(self) -> tuple[Split, Split]:
        """Read what the layers before those that are fine-tuned see of the train and dev splits."""
        config, tuning = self.config, self.config.fine_tuning
        views = tuning.fine_tune_views if tuning.fine_tune_epochs else config.training.views
        frozen = replace(config.model.encoder, feature_layer=config.model.encoder.fine_tune_after, fine_tune_after="")
        encoder = build_encoder(frozen, config.sources.encoder_weights)
        train = read_split(config.dataset, "train", encoder, frozen, views)
        return train, read_split(config.dataset, "dev", encoder, frozen)

    def _make_context(self, run: TrainingRun, train: Split, dev: Split) -> None:
        """Build the vocabulary, and with it what all stages share and the sizes of the model."""
        config, self.sentences = self.config, train.sentences()
        vocabulary = make_vocabulary(self.base, self.sentences, config.training.min_count)
        _, locations, channels = self.encoder.output_shape
        decoder = replace(config.model.decoder, vocabulary_size=len(vocabulary), locations=locations, channels=channels)
        decoding = fitted(config.model.decoding, self.sentences)
        self.model = replace(config.model, decoder=decoder, decoding=decoding)
        self.word_counts = word_counts(vocabulary, self.sentences)
        log_data(train, dev, vocabulary, decoding)
        self.context = Context(vocabulary, train, dev, config.training, decoding, run.profile).with_data(train, dev)

    def _load_teachers(self, run: TrainingRun) -> list[TunedModel]:
        sources, after = self.config.sources, self.config.model.encoder.fine_tune_after
        vocabulary = self.context.vocabulary
        teachers = [load_teacher(each, sources.encoder_weights, after, vocabulary) for each in sources.teachers]
        if teachers:
            run.add_settings(teacher_weights=[weights_fingerprint(each) for each in teachers])
        return teachers

    def _new_network(self) -> CaptionModel:
        return CaptionModel(self.model.decoder, dtype=self.config.training.precision)

    def _tuned_context(self, tuned: keras.Model) -> Context:
        """Read the features that the fine-tuned layers give."""
        extract, train = grid_extractor(tuned), self.context.train
        rewards = self.config.self_critical
        if rewards.self_critical_epochs and not rewards.trains_encoder:
            train = extract(train, min(WHOLE_VIEWS, train.views))
        return self.context.with_data(train, extract(self.context.dev))

    def progress(self, histories: Mapping[str, Progress]) -> Progress:
        """Return the epochs of all stages as one history."""
        progress = Progress()
        for name, history in histories.items():
            progress = progress.followed_by(history.in_stage(name or CROSS_ENTROPY))
        return progress

    def write_epochs(self, progress: Progress) -> None:
        """Write table and curve of the epochs, after those of the model that the training started from."""
        write_epochs(self.output, self.parent_progress.followed_by(progress))

    def save_draft(self, stage: Stage) -> None:
        """Write the model that the stage has trained so far, with the search settings of the configuration."""
        scored, model, tuned = stage.scored, self.model, self.tuned
        if isinstance(scored, TunedModel):
            assert tuned is not None
            tuned.set_weights(scored.layers_behind.get_weights())
            scored = scored.captioner
        elif isinstance(stage, CrossEntropy) and not self._begins_tuned:  # what will be fine-tuned is frozen still
            model, tuned = replace(model, encoder=replace(model.encoder, fine_tune_after="")), None
        save_model(self.output, model, self.context.vocabulary, self._adjusted(scored), tuned)

    @property
    def _begins_tuned(self) -> bool:
        return self.base is not None and bool(self.base.config.encoder.fine_tune_after)

    def _roundings(self) -> dict[str, Rounding]:
        """Find how the tuned layers are rounded to int8 for prediction, where it is known of the others."""
        if self.tuned is None or not has_template(self.model.encoder):
            return {}
        photos = [example.image for example in self.config.dataset.split("train")]
        return model_roundings(self.encoder, photos, load_roundings(ROUNDINGS))

    def _adjusted(self, network: CaptionModel) -> CaptionModel:
        """Return a network in float32 with its logits adjusted, as models are kept."""
        network = in_float32(network)
        network.adjust_logits(self.word_counts, self.config.training.logit_adjustment)
        return network

    def finish(self, run: TrainingRun) -> dict[str, Any]:
        """Adjust the logits, choose the search on dev, score, and write the model."""
        network, context = self._adjusted(self.network), self.context
        decoding, captions = tune_decoding(network, context.vocabulary, context.dev, context.decoding)
        model = replace(self.model, decoding=decoding)
        progress = self.progress(run.histories)
        metrics = {
            **score_captions(captions, context.dev, "dev", decoding),
            **describe_captions(captions, context.dev, self.sentences),
            "best_epoch": progress.best_epoch,
            "epochs": progress.epoch,
            "parameters": network.count_params(),
            "tuned_parameters": self.tuned.count_params() if self.tuned is not None else 0,
            "training_seconds": round(progress.seconds),
            "settings": self.settings(),
            "trained_on": self.config.dataset.name,
            "versions": versions(),
            "before": self.parent,
            "epochs_before": self.parent_progress.epoch,
        }
        save_model(self.output, model, context.vocabulary, network, self.tuned, self._roundings())
        if progress.history:
            self.write_epochs(progress)
        write_card(self.output / CARD, self.config.dataset.name, model, self.config.training, metrics)
        return metrics
