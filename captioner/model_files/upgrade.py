"""Convert a model directory of version 1 in place; it stays usable throughout."""

from pathlib import Path

from captioner.model_files import version_1
from captioner.model_files.directory import (
    CHAR_LM,
    DECODER,
    TUNED,
    CaptionerDirectory,
    CharLMDirectory,
    describe,
    model_kind,
)
from captioner.model_files.weights_file import save_weights
from captioner.system.locks import alone_in


def upgrade(path: Path) -> bool:
    """Write the files of version 2 beside those of version 1, then `config.json`, then remove what is no longer used.

    After an interruption, the directory is of one version or the other, and the next call resumes.

    Returns:
        whether there was anything to do.

    Raises:
        CaptionerError: this is no model directory, a file of it is damaged, or a training is writing there.
        OSError: the directory cannot be written to, or the disk is full.
    """
    model = (CharLMDirectory if model_kind(path) == CHAR_LM else CaptionerDirectory).read(path, quiet=True)
    left = [path / name for name in version_1.FILES if (path / name).exists()]
    with alone_in(path, "training"):
        if model.version == 1:
            model.check()
            model.vocabulary()
            kept = [name for name in model.manifest if name not in version_1.FILES]
            describe(path, model.config, [*kept, *_write_arrays(model)], model.tensors)
        for each in left:
            each.unlink(missing_ok=True)
    return model.version == 1 or bool(left)


def _write_arrays(model: CaptionerDirectory | CharLMDirectory) -> list[str]:
    """Write what HDF5 files hold as arrays, and return the names of the new files."""
    arrays = {}
    if isinstance(model, CaptionerDirectory) and version_1.DECODER in model.manifest:
        if DECODER not in model.manifest:
            arrays[DECODER] = model.decoder()
        if version_1.TUNED in model.manifest:
            arrays[TUNED] = version_1.read_tuned(model.file(version_1.TUNED))
    for name, some in arrays.items():
        save_weights(model.path / name, some)
    return list(arrays)
