"""A model as a directory: `config.json`, and the files that its manifest names with their checksums.

| file | what it is |
|---|---|
| `config.json` | the format version, the kind of model, its settings, the manifest, and a checksum of itself |
| `vocabulary.json` | the words, or characters, behind the numbers |
| `decoder.npz` | the caption decoder's weights by name; in half precision where the encoder is compact |
| `encoder.npz` | of an encoder of `keras.applications`, the layers that were trained along |
| `roundings.npz` | how the kernels of these layers are rounded to int8 for prediction |
| `encoder.tflite` | the encoder as LiteRT runs it: of a compact one, which keeps its weights there, and of an export |
| `encoder.int8.tflite` | a compact encoder once more, rounded to int8 |
| `calibration.npz` | how sure a caption is by its score, and how the training photos vary |
| `ngrams.npz` | which n-grams people are likely to use of a photo |
| `weights.npz` | a character model's weights by name |

Nothing in it is executed: it is JSON, arrays whose sizes are compared before they get memory, and a network of LiteRT's
operations. `model_files.version_1` describes older directories in the same terms.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np

from captioner.config.model import COMPACT, CalibrationConfig, CharModelConfig, ConsensusConfig, ModelConfig
from captioner.config.serialization import DIGEST, check_digest, from_json, load_config, save_config
from captioner.errors import CaptionerError
from captioner.model_files import version_1
from captioner.model_files.calibration import Calibration, calibration_shapes
from captioner.model_files.decoder_weights import weight_shapes
from captioner.model_files.exports import refuse_export
from captioner.model_files.ngram_regression import NgramRegression, regression_shapes
from captioner.model_files.weights_file import read_weights, save_weights
from captioner.system.atomic import atomic_write
from captioner.system.checksums import checksum_file, known_checksum
from captioner.text import CharacterVocabulary, Vocabulary

CONFIG, VOCABULARY = "config.json", "vocabulary.json"
DECODER, TUNED, NETWORK, WEIGHTS = "decoder.npz", "encoder.npz", "encoder.tflite", "weights.npz"
INT8_NETWORK, ROUNDINGS = "encoder.int8.tflite", "roundings.npz"
CALIBRATION, NGRAMS = "calibration.npz", "ngrams.npz"
NEIGHBOURS = "neighbours.npz"  # what captions were chosen by before; `captioner calibrate` replaces it
FILES = (DECODER, TUNED, NETWORK, INT8_NETWORK, ROUNDINGS, CALIBRATION, NGRAMS, NEIGHBOURS, WEIGHTS)

CAPTIONER, CHAR_LM = "captioner", "char_lm"
CALLED = {CAPTIONER: "a captioning model", CHAR_LM: "a character language model"}

Settings = TypeVar("Settings", ModelConfig, CharModelConfig)
Words = TypeVar("Words", Vocabulary, CharacterVocabulary)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Files:
    """What `config.json` records of the other files in its directory, by its names; see `ModelDirectory`."""

    manifest: dict[str, str]
    tensors: dict[str, int] = field(default_factory=dict, metadata={"absent": {}})
    calibration: CalibrationConfig | None = field(default=None, metadata={"absent": None})
    consensus: ConsensusConfig | None = field(default=None, metadata={"absent": None})


@dataclass(frozen=True)
class ModelDirectory(Generic[Settings, Words]):
    """A model directory, as its configuration describes it.

    Attributes:
        path: where it lies.
        config: the model's settings.
        manifest: the files that belong to it, with BLAKE2b of each, 32 hexadecimal digits.
        tensors: of a compact model, for each weight of the Keras encoder by name the number of the tensor that holds it
            in `encoder.tflite`, or -1 for one of zeros that none does.
        version: of the format.
        doubt: confidence and familiarity of a captioning model; None where it has none.
        consensus: how it chooses captions by what people say of such photos; None where it does not.
    """

    kind: ClassVar[str]
    settings: ClassVar[Any]
    words: ClassVar[Any]
    example: ClassVar[str]

    path: Path
    config: Settings
    manifest: dict[str, str]
    tensors: dict[str, int]
    version: int
    doubt: CalibrationConfig | None = None
    consensus: ConsensusConfig | None = None

    @classmethod
    def read(cls, path: str | Path, quiet: bool = False) -> Self:
        """Read the configuration of a model directory; log how to convert one of version 1, unless `quiet`.

        Raises:
            CaptionerError: this is no model directory, one of another kind, or one that is damaged.
        """
        path = Path(path)
        where = path / CONFIG
        if not where.exists():
            refuse_export(path)
            raise CaptionerError(
                f"{path} is no model directory ({CONFIG} is missing); expected {CALLED[cls.kind]}, such as "
                f"{cls.example}, which train.py writes"
            )
        value, about = _load(path)
        kind, model = str(about.pop("kind", None)), about.pop("model", None)
        if kind != cls.kind and kind in CALLED:
            raise CaptionerError(f"{path} is {CALLED[kind]}; expected {CALLED[cls.kind]}, such as {cls.example}")
        if kind != cls.kind:
            raise CaptionerError(f"{where}: kind: expected {' or '.join(CALLED)}, found {kind[:40]!r}")
        config = from_json(cls.settings, model, f"{where}: model")
        manifest = about.get("manifest")
        if former := isinstance(manifest, dict) and NEIGHBOURS in manifest:
            about.pop("consensus", None)
        files = from_json(_Files, {name: about[name] for name in about.keys() - {"format_version", DIGEST}}, str(where))
        check_digest(where, value)
        if value["format_version"] == 1 and not quiet:
            _tell_of_upgrade(path)
        if former and not quiet:
            _tell_of_neighbours(path)
        version, known = value["format_version"], (files.calibration, files.consensus)
        return cls(path, config, files.manifest, files.tensors, version, *known)

    def vocabulary(self) -> Words:
        """Read the words, or characters.

        Raises:
            CaptionerError: they are missing, damaged, or those of another model.
        """
        vocabulary: Words = self.words.load(self.path / VOCABULARY)
        sizes: Any = getattr(self.config, "decoder", self.config)
        size = sizes.vocabulary_size
        if len(vocabulary) != size:
            raise CaptionerError(
                f"{self.path / VOCABULARY} has {len(vocabulary)} tokens, but {CONFIG} expects {size}; the files are "
                "from different models"
            )
        self.file(VOCABULARY)
        return vocabulary

    def arrays(self, name: str, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
        """Read the arrays that `shapes` names from a file.

        Raises:
            CaptionerError: it is missing, damaged, or not part of the model, or its arrays have other shapes.
        """
        if name not in self.manifest and name in version_1.FORMER:
            former, read_former = version_1.FORMER[name]
            if former in self.manifest:
                return read_former(self.file(former), shapes)
        return read_weights(self.file(name), shapes)

    def file(self, name: str, read: Callable[[Path], str] = known_checksum) -> Path:
        """Return the path of a file once its checksum, as `read` gives it, has been compared with the manifest.

        Raises:
            CaptionerError: it is missing, damaged, or not part of the model.
        """
        path = self.path / name
        if name not in self.manifest:
            raise CaptionerError(
                f"{path} is not part of the model: this is an export for another use; name the model directory that it "
                "was exported from"
            )
        try:
            found = read(path)
        except OSError as error:
            raise CaptionerError(f"cannot read {path}: {error.strerror}; copy or export the directory again") from error
        if found != self.manifest[name]:
            raise CaptionerError(
                f"{path} is damaged, or not the file that {CONFIG} was written with (its checksum differs); copy or "
                "export the directory again, or train again"
            )
        return path

    def content(self, name: str) -> bytes:
        """Read a file whose format has no checksum, so that all of it is checked each time; see `file`."""
        return self.file(name, checksum_file).read_bytes()

    def check(self) -> None:
        """Compare all files with the manifest.

        Raises:
            CaptionerError: one is missing or damaged.
        """
        for name in self.manifest:
            self.file(name)


@dataclass(frozen=True)
class CaptionerDirectory(ModelDirectory[ModelConfig, Vocabulary]):
    """The directory of a captioning model."""

    kind, settings, words, example = CAPTIONER, ModelConfig, Vocabulary, "saved_models/flickr8k"

    @property
    def is_compact(self) -> bool:
        """Whether the encoder is our own, so that all of its weights are here."""
        return self.config.encoder.network == COMPACT

    @property
    def is_ready(self) -> bool:
        """Whether the whole encoder is here, as a network for LiteRT."""
        return NETWORK in self.manifest

    @property
    def fastest_network(self) -> str:
        """The name of the encoder that photos are read with where nothing else is asked for."""
        return INT8_NETWORK if INT8_NETWORK in self.manifest else NETWORK

    @property
    def known(self) -> dict[str, Any]:
        """The settings of what the model knows beside its networks, as `describe` takes them."""
        return {"calibration": self.doubt, "consensus": self.consensus}

    @property
    def tuned_checksum(self) -> str:
        """The checksum of the encoder's layers that were trained along, empty where none were."""
        return self.manifest.get(TUNED) or self.manifest.get(version_1.TUNED, "")

    def decoder(self) -> dict[str, np.ndarray]:
        """Read the decoder's weights by name; see `arrays`."""
        return self.arrays(DECODER, weight_shapes(self.config.decoder))

    def calibration(self) -> Calibration | None:
        """Read confidence and familiarity; None where the model has none.

        Raises:
            CaptionerError: the file is missing or damaged.
        """
        if self.doubt is None:
            return None
        shapes = calibration_shapes(self.doubt, self.config.decoder.channels)
        return Calibration(self.doubt, self.arrays(CALIBRATION, shapes))

    def ngram_regression(self) -> NgramRegression | None:
        """Read which n-grams people are likely to use of a photo; None where the model does not know.

        Raises:
            CaptionerError: the file is missing or damaged.
        """
        if self.consensus is None or self.doubt is None:
            return None
        shapes = regression_shapes(self.consensus, self.config.decoder.channels)
        arrays = read_weights(self.file(NGRAMS), shapes, np.number)
        try:
            return NgramRegression(self.consensus, arrays)
        except ValueError as error:
            raise CaptionerError(f"{self.path / NGRAMS} is damaged ({error}); copy it again") from error

    def calibrate(self, calibration: Calibration, regression: NgramRegression | None = None) -> None:
        """Add what the model knows beside its networks, in the place of what it knew.

        Raises:
            OSError: the directory cannot be written to, or the disk is full.
        """
        parts: dict[str, Calibration | NgramRegression] = {CALIBRATION: calibration}
        parts |= {NGRAMS: regression} if regression else {}
        for name, part in parts.items():
            save_weights(self.path / name, part.arrays)
        names = [*(name for name in self.manifest if name not in (CALIBRATION, NGRAMS, NEIGHBOURS)), *parts]
        known = {"calibration": calibration.config, "consensus": regression and regression.config}
        describe(self.path, self.config, names, self.tensors, known)

    def check_features(self, shape: tuple[int, ...]) -> None:
        """Compare the features (L, D) that an encoder gives with those that the decoder was made for.

        Raises:
            CaptionerError: they differ.
        """
        expected = (self.config.decoder.locations, self.config.decoder.channels)
        if tuple(shape) != expected:
            raise CaptionerError(
                f"{self.path}: the decoder was made for features {expected}, but {self.config.encoder} gives "
                f"{tuple(shape)}; {CONFIG} was changed by hand, restore it from where it came"
            )


@dataclass(frozen=True)
class CharLMDirectory(ModelDirectory[CharModelConfig, CharacterVocabulary]):
    """The directory of a character language model."""

    kind, settings, words, example = CHAR_LM, CharModelConfig, CharacterVocabulary, "saved_models/char-lm"


def model_kind(path: Path) -> str:
    """Return the kind of model that a directory holds; empty where it holds none.

    Raises:
        CaptionerError: its configuration cannot be read.
    """
    return str(_load(path)[1].get("kind", "")) if (path / CONFIG).exists() else ""


def _load(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what `config.json` holds, and the same by the names of version 2."""
    value = load_config(path / CONFIG)
    return value, version_1.described(path, value) if value["format_version"] == 1 else dict(value)


def write_model(
    path: str | Path,
    config: ModelConfig | CharModelConfig,
    vocabulary: Vocabulary | CharacterVocabulary,
    files: Mapping[str, bytes | Mapping[str, np.ndarray]],
    tensors: Mapping[str, int] | None = None,
) -> None:
    """Write a model directory; each file is replaced whole, `config.json` last.

    Args:
        path: made if it is not there.
        config: the model's settings.
        vocabulary: the words, or characters, behind the numbers.
        files: what else belongs to it, by name: contents, or arrays by name.
        tensors: see `ModelDirectory`.

    Raises:
        OSError: the directory cannot be written to, or the disk is full.
    """
    path = Path(path)
    vocabulary.save(path / VOCABULARY)
    for name, content in files.items():
        if isinstance(content, bytes):
            with atomic_write(path / name) as temporary:
                temporary.write_bytes(content)
        else:
            save_weights(path / name, content)
    describe(path, config, [VOCABULARY, *files], tensors)


def describe(
    path: Path,
    config: ModelConfig | CharModelConfig,
    names: list[str],
    tensors: Mapping[str, int] | None = None,
    known: Mapping[str, Any] | None = None,
) -> None:
    """Write `config.json` for the files `names` that are there, and remove those of another model.

    Raises:
        OSError: a file is missing, or the directory cannot be written to.
    """
    kind = CAPTIONER if isinstance(config, ModelConfig) else CHAR_LM
    manifest = {name: checksum_file(path / name) for name in names}
    more = {"tensors": dict(tensors or {}), **(known or {})}
    parts = {name: part for name, part in more.items() if part}
    save_config(path / CONFIG, kind=kind, model=config, manifest=manifest, **parts)
    for name in {*FILES, *version_1.FILES} - set(names):
        (path / name).unlink(missing_ok=True)


@cache
def _tell_of_neighbours(path: Path) -> None:
    """Log once how to restore the choice by consensus of a model that has only the file of an earlier version."""
    advice = f"`python -m captioner calibrate --model {path}` lets it choose by consensus"
    log.warning(f"{path} takes the likeliest captions; {advice}", extra={"once": True})


@cache
def _tell_of_upgrade(path: Path) -> None:
    """Log how to convert a directory, once."""
    note = f"{path} has the older layout, which is read too; `python -m captioner upgrade {path}` converts it"
    log.warning(note, extra={"once": True})
