"""The training of a compact encoder with its decoder, with the help of a teacher if there is one."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import keras
import numpy as np

from captioner.encoder_network import encoder_network
from captioner.errors import CaptionerError
from captioner.export.compact import save_compact
from captioner.model_files.directory import CaptionerDirectory
from captioner.models.captioner import CaptionModel
from captioner.models.compact import CHANNELS
from captioner.models.directory import LoadedModel
from captioner.models.encoder import weights_fingerprint
from captioner.models.folding import folded, rounded, unfold
from captioner.models.networks import load_networks
from captioner.models.photo_model import PhotoModel
from captioner.runtime.encoder import LiteRTEncoder
from captioner.system.checksums import checksum
from captioner.text import Vocabulary
from captioner.training.artifacts import CARD, write_epochs
from captioner.training.caption_run import CaptionRun
from captioner.training.card.caption_card import write_card
from captioner.training.checkpoint import Progress
from captioner.training.context import Context
from captioner.training.epoch_stages import JOINT
from captioner.training.evaluation import describe_captions, score_captions, tune_decoding
from captioner.training.fitting.roundings import model_roundings
from captioner.training.initialise import make_vocabulary, word_counts
from captioner.training.inputs.augment import ImageDataset, augment
from captioner.training.inputs.captions import fitted
from captioner.training.inputs.feature_extractor import photo_extractor
from captioner.training.inputs.split import log_data, read_pixel_split
from captioner.training.inputs.teacher_regions import TaughtImages, Teacher, read_teacher_regions
from captioner.training.inputs.views import Views
from captioner.training.lineage import parent_history, parent_metrics
from captioner.training.loop import Row, Stage
from captioner.training.normalized_mse import NormalizedMSE
from captioner.training.run import Training, TrainingRun
from captioner.training.stages.imitation import Imitation, ImitationData
from captioner.training.stages.joint import DistillationTargets, Joint
from captioner.training.versions import versions

STORED = 4 / 3
"""How many times as large as the encoder's input the training photos are kept: parts of them are still sharp."""

FAMILIAR = 128
"""Training photos by which a folded encoder is unfolded, to be trained on."""

SAMPLE = 500
"""Photos from which the variances of what the teacher sees are taken."""

FIRST_GUESS = 0.5
"""How far a pupil strays from the mean at first, in standard deviations of what the teacher sees."""

log = logging.getLogger(__name__)


class CompactTraining(Training):
    """Imitation of a teacher, if there is one, by the encoder, then joint training of both networks on the captions.

    Without a teacher both networks learn from the captions alone.

    Args:
        config: what to train.
    """

    earlier_stages: ClassVar[tuple[str, ...]] = ("imitation",)

    def __init__(self, config: CaptionRun) -> None:
        self.config = config.with_precision()
        self.output = config.output
        self.starts_trained = config.sources.init_from is not None
        self.parent: dict[str, Any] | None = None
        self.parent_progress = Progress()
        self._learned: dict[str, Any] = {}
        self._imitated: list[Row] = []

    def settings(self) -> dict[str, Any]:
        """Return the settings that decide the outcome in one dictionary, by the names that users know."""
        return self.config.settings() | self._learned

    def check(self) -> None:
        """Refuse a data set without a split."""
        self.config.dataset.split("train"), self.config.dataset.split("dev")

    def stages(self, run: TrainingRun) -> Iterator[tuple[str, Stage]]:
        """Yield the imitation, where there is a teacher, and the joint training."""
        config = self.config
        init_from = config.sources.init_from
        base = load_networks(init_from) if init_from else None
        if init_from:
            self.parent = parent_metrics(init_from)
            self.parent_progress = parent_history(init_from, self.parent, self.settings()["data"])
            self._imitated = (self.parent or {}).pop("imitation", [])
        saved, teacher = self._load_teacher(run)
        self._read(run, base[0] if base else saved, base[0].config.decoder.channels if base else CHANNELS)
        if saved:
            self._compare_words(saved.vocabulary)
        keras.utils.set_random_seed(config.training.seed)
        self.network = PhotoModel(self.model, dtype=config.training.precision)
        self.network.captioner.set_word_frequencies(self.word_counts)
        views = Views.draw(self._count("train"), config.training.views, config.training.seed) if teacher else None
        self.images = ImageDataset(self.context.train.features, config.model.encoder.image_size, views)
        if base:
            self._start_from(*base)
        taught, targets = TaughtImages(self.images), None
        if teacher and views:
            if not base:
                self.network.take_decoder(teacher.decoder.named_weights())
            data = self._imitation_data(teacher, views)
            if not base:
                begin_with_the_mean(self.network, data.mse)
            yield "imitation", Imitation(self.network, data, config.training, config.imitation)
            self._imitated = run.histories["imitation"].history
            taught = data.train
            targets = DistillationTargets(self._in_precision(teacher.decoder), data.mse, config.imitation)
        else:
            log.info("no --teacher: encoder and decoder learn from the captions alone")
        yield "", Joint(self.context, self.network, taught, config.imitation.captions_per_photo, targets)

    def _load_teacher(self, run: TrainingRun) -> tuple[LoadedModel | None, Teacher | None]:
        """Load the teacher, and note its weights.

        Raises:
            CaptionerError: it sees another grid than ours.
        """
        sources, model = self.config.sources, self.config.model
        if not sources.teachers:
            return None, None
        saved, encoder = load_networks(sources.teachers[0], sources.encoder_weights)
        ours = ((model.encoder.image_size // 16 - 1) ** 2, model.decoder.hidden_size)
        theirs = (saved.config.decoder.locations, saved.config.decoder.hidden_size)
        if ours != theirs:
            raise CaptionerError(
                f"--teacher {sources.teachers[0]}: sees {theirs[0]} regions of {theirs[1]} numbers, but this encoder "
                f"would give {ours[0]} of {ours[1]}; leave out --image-size and --hidden-size, or choose another "
                "teacher"
            )
        self._learned = {
            "encoder_weights": weights_fingerprint(encoder),
            "teacher_weights": weights_fingerprint(saved.network),
        }
        run.add_settings(**self._learned)
        network = encoder_network(CaptionerDirectory.read(sources.teachers[0]), sources.encoder_weights)
        layer = saved.config.encoder.feature_layer
        return saved, Teacher(LiteRTEncoder(network), checksum(network), layer, saved.network)

    def _read(self, run: TrainingRun, known: LoadedModel | None, channels: int) -> None:
        """Read the photos and captions, and make of them the words, the sizes, and what all stages share."""
        config, size = self.config, self.config.model.encoder.image_size
        train = read_pixel_split(config.dataset, "train", round(size * STORED))
        dev = read_pixel_split(config.dataset, "dev", size)
        self.sentences = train.sentences()
        vocabulary = make_vocabulary(known, self.sentences, config.training.min_count)
        decoder = replace(
            config.model.decoder, vocabulary_size=len(vocabulary), locations=(size // 16 - 1) ** 2, channels=channels
        )
        decoding = fitted(config.model.decoding, self.sentences)
        self.model = replace(config.model, decoder=decoder, decoding=decoding)
        self.word_counts = word_counts(vocabulary, self.sentences)
        log_data(train, dev, vocabulary, decoding)
        self.context = Context(vocabulary, train, dev, config.training, decoding, run.profile).with_data(train, dev)

    def _compare_words(self, theirs: Vocabulary) -> None:
        """Log how many words the teacher does not know.

        Raises:
            CaptionerError: words have other numbers for it.
        """
        ours, sources = self.context.vocabulary, self.config.sources
        if ours.tokens[: len(theirs)] != theirs.tokens:
            raise CaptionerError(
                f"--teacher {sources.teachers[0]}: expected words that --init-from {sources.init_from} begins with, "
                f"found {len(theirs)} others; choose two models with the same words, or leave out one"
            )
        if len(ours) > len(theirs):
            unknown = len(ours) - len(theirs)
            log.info("%d words that the teacher does not know are learned from the captions alone", unknown)

    def _count(self, name: str) -> int:
        return len(self.config.dataset.split(name))

    def _start_from(self, saved: LoadedModel, encoder: keras.Model) -> None:
        """Start from both networks of a compact model; words that it does not know keep their weights."""
        network = self.network
        network.take_decoder(saved.network.named_weights())
        network.captioner.decoder.place.set_weights(saved.network.decoder.place.get_weights())
        familiar = self.images.batch(np.asarray(self.context.train.rows[:FAMILIAR]), np.random.default_rng(0))
        unfold(encoder, network.encoder, augment(**familiar.arrays()))

    def _imitation_data(self, teacher: Teacher, views: Views) -> ImitationData:
        """Read what the teacher sees of the train and dev photos."""
        train, dev = self.context.train, self.context.dev
        whole = Views.draw(self._count("dev"), 1, 0)
        regions, dev_regions = (
            read_teacher_regions([example.image for example in self.config.dataset.split(name)], each, teacher)
            for name, each in (("train", views), ("dev", whole))
        )
        held_out = {"images": dev.features[dev.rows], "teacher_regions": dev_regions.of(dev.rows, 0)}
        mse = NormalizedMSE(regions.of(train.rows[:SAMPLE], 0), teacher.decoder)
        return ImitationData(TaughtImages(self.images, regions), np.asarray(train.rows), held_out, mse)

    def _in_precision(self, decoder: CaptionModel) -> CaptionModel:
        """Return a copy of the teacher's decoder that computes as the pupil's does in training."""
        copy = type(decoder).from_config({**decoder.get_config(), "dtype": self.config.training.precision})
        copy.set_weights(decoder.get_weights())
        return copy

    def progress(self, histories: Mapping[str, Progress]) -> Progress:
        """Return the epochs on captions; those of the imitation have other figures."""
        return histories.get("", Progress()).in_stage(JOINT)

    def write_epochs(self, progress: Progress) -> None:
        """Write table and curve of the epochs, with the curve of the imitation before them."""
        write_epochs(self.output, self.parent_progress.followed_by(progress), self._imitated)

    def save_draft(self, stage: Stage) -> None:
        """Write the model that the stage has trained so far, with the search settings of the configuration."""
        encoder, captioner = self._kept(stage.scored)
        save_compact(self.output, self.model, self.context.vocabulary, captioner, encoder)

    def _kept(self, network: PhotoModel) -> tuple[keras.Model, CaptionModel]:
        """Return encoder and decoder as they are kept and scored: without batch normalisation, in half precision."""
        network = network.in_float32()
        network.captioner.adjust_logits(self.word_counts, self.config.training.logit_adjustment)
        return folded(network.encoder), rounded(network.captioner)

    def finish(self, run: TrainingRun) -> dict[str, Any]:
        """Fold and round the networks, choose the search on dev, score, and write the model."""
        context, progress = self.context, self.progress(run.histories)
        encoder, captioner = self._kept(self.network)
        dev = photo_extractor(encoder)(context.dev)
        decoding, captions = tune_decoding(captioner, context.vocabulary, dev, context.decoding)
        model = replace(self.model, decoding=decoding)
        imitated = [run.histories[name] for name in self.earlier_stages if name in run.histories]
        metrics = {
            **score_captions(captions, dev, "dev", decoding),
            **describe_captions(captions, dev, self.sentences),
            "best_epoch": progress.best_epoch,
            "epochs": progress.epoch,
            "parameters": captioner.count_params(),
            "encoder_parameters": encoder.count_params(),
            "training_seconds": round(sum(each.seconds for each in [*imitated, progress])),
            "imitation": self._imitated,
            "settings": self.settings(),
            "trained_on": self.config.dataset.name,
            "versions": versions(),
            "before": self.parent,
            "epochs_before": self.parent_progress.epoch,
        }
        photos = [example.image for example in self.config.dataset.split("train")]
        save_compact(self.output, model, context.vocabulary, captioner, encoder, model_roundings(encoder, photos))
        self.write_epochs(progress)
        write_card(self.output / CARD, self.config.dataset.name, model, self.config.training, metrics)
        return metrics


def begin_with_the_mean(network: PhotoModel, mse: NormalizedMSE) -> None:
    """Initialise an untrained pupil close to the mean of the targets, which saves hundreds of steps."""
    norm = network.captioner.decoder.place_norm
    norm.beta.assign(mse.mean)
    norm.gamma.assign(mse.deviation * FIRST_GUESS)
