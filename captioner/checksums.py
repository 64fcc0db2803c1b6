"""What a configuration knows of the files beside it, since none of their formats notices a flipped bit."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from captioner.config_io import holds_config, load_config
from captioner.errors import CaptionerError
from captioner.files import open_regular
from captioner.setting import setting


@dataclass(frozen=True)
class Checksums:
    """What a configuration knows of the files beside it, since HDF5 itself does not notice a flipped bit.

    Attributes:
        weights: BLAKE2b of the weights file, 32 hexadecimal digits.
        encoder: that of the file with the encoder's layers that were trained along; empty: there is none.
    """

    weights: str
    encoder: str = setting("", absent="")


@dataclass(frozen=True)
class FileChecksum:
    """What a configuration knows of another file beside it.

    Attributes:
        checksum: BLAKE2b of the file, 32 hexadecimal digits.
    """

    checksum: str


@dataclass(frozen=True)
class CompactFiles:
    """What a configuration knows of the files of a model whose encoder is compact; BLAKE2b, 32 hexadecimal digits.

    Attributes:
        encoder: of the LiteRT network, which also is where the encoder's weights are kept.
        decoder: of the decoder's arrays.
        tensors: for each weight of the Keras encoder, by name, the number of the tensor that holds it in that network,
            or -1 for one of zeros that none does.
    """

    encoder: str
    decoder: str
    tensors: dict[str, int]


@dataclass(frozen=True)
class BundleChecksums:
    """What a ready bundle in a model directory is made of; BLAKE2b, 32 hexadecimal digits each.

    Attributes:
        encoder: of the encoder's network.
        decoder: of the decoder's arrays.
        weights: of the weights file that the arrays were made of, as `Checksums` has it. A directory whose model has
            been trained anew has another one.
    """

    encoder: str
    decoder: str
    weights: str


def checksum(content: bytes) -> str:
    """Return BLAKE2b of a file's content, 32 hexadecimal digits."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def checksum_file(path: Path) -> str:
    """Return BLAKE2b of a file of any size, 32 hexadecimal digits.

    Raises:
        OSError: it is missing or cannot be read.
    """
    with open_regular(path) as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def read_checked(path: Path, expected: str, known_to: str) -> bytes:
    """Read a file whose checksum the file `known_to` beside it has.

    Raises:
        CaptionerError: it is missing, or another one than that.
    """
    try:
        with open_regular(path) as file:
            content = file.read()
    except OSError as error:
        raise CaptionerError(f"cannot read {path}: {error.strerror}; copy or export the directory again") from error
    if checksum(content) != expected:
        raise CaptionerError(
            f"{path} is damaged, or not the one that {known_to} was written with (its checksum differs); copy or "
            "export the directory again"
        )
    return content


def checksum_vocabulary(path: Path) -> FileChecksum:
    """Read a vocabulary file and return what `config.json` keeps of it.

    Raises:
        OSError: the file is missing or cannot be read.
    """
    return FileChecksum(checksum_file(path))


def check_vocabulary(path: Path, vocabulary: Path) -> None:
    """Compare a vocabulary file with the checksum that the configuration at `path` keeps of it, if it does.

    Raises:
        CaptionerError: the two do not belong together, or one of them cannot be read.
    """
    if not holds_config(path, "vocabulary"):  # written before there was one
        return
    try:
        found = checksum_vocabulary(vocabulary)
    except OSError as error:
        raise CaptionerError(f"cannot read the vocabulary {vocabulary}: {error.strerror}") from error
    if load_config(path, "vocabulary", FileChecksum) != found:
        raise CaptionerError(
            f"the vocabulary {vocabulary} is not the one that {path.name} was written with (its checksum differs): it "
            "is damaged or from another model; copy the directory again, or train again"
        )


def checksum_weights(weights: Path, encoder: Path | None = None) -> Checksums:
    """Read a weights file, and one of the encoder's layers if there is, and return what `config.json` keeps of them.

    Raises:
        CaptionerError: a file is missing or cannot be read.
    """
    return Checksums(_of_weights(weights), _of_weights(encoder) if encoder else "")


def _of_weights(weights: Path) -> str:
    try:
        return checksum_file(weights)
    except OSError as error:
        raise CaptionerError(
            f"cannot read the weights {weights}: {error.strerror}; copy the directory again, or train again"
        ) from error


def check_weights(path: Path, weights: Path, encoder: Path | None = None) -> None:
    """Compare a weights file, and that of the encoder's layers, with what the configuration at `path` keeps of them.

    Raises:
        CaptionerError: they do not belong together, or one of them cannot be read.
    """
    expected = load_config(path, "checksums", Checksums)
    for file, known in ((weights, expected.weights), (encoder, expected.encoder)):
        if file is not None and _of_weights(file) != known:
            raise CaptionerError(
                f"the weights {file} are not those that {path.name} was written with (their checksum differs): "
                "they are damaged or from another model; copy the directory again, or train again"
            )
