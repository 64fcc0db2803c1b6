"""The official split of Flickr8k, known by hashes of the file names.

Copies of Flickr8k go round with the captions but without the three split files. `flickr8k_split.json` holds
the CRC-32 of every file name of train, dev, and of the photos that are in no split, four little-endian bytes
each, in base64; train and dev in the order of the official files. Every other name of Flickr8k is test.
"""

import base64
import json
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

TEST_PHOTOS = 1000


def official_split(names: Iterable[str]) -> dict[str, list[str]] | None:
    """Return the names of train and dev in official order and of test sorted; None if they are not Flickr8k's.

    They are when nearly all known names (99%) are there, and at most as many others as the test split holds.
    """
    known = _known_hashes()
    by_hash = {_hash(name): name for name in set(names)}
    total = sum(map(len, known.values()))
    found = {split: [by_hash.pop(code) for code in codes if code in by_hash] for split, codes in known.items()}
    if sum(map(len, found.values())) < 0.99 * total or len(by_hash) > TEST_PHOTOS:
        return None
    return {"train": found["train"], "dev": found["dev"], "test": sorted(by_hash.values())}


def encode(names: Iterable[str]) -> str:
    """Return the hashes of `names` as `flickr8k_split.json` holds them."""
    return base64.b64encode(b"".join(struct.pack("<I", _hash(name)) for name in names)).decode()


def _hash(name: str) -> int:
    return zlib.crc32(PurePosixPath(name).name.encode(errors="surrogatepass"))


def _known_hashes() -> dict[str, list[int]]:
    stored = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
    unpacked = {split: struct.iter_unpack("<I", base64.b64decode(codes)) for split, codes in stored.items()}
    return {split: [code for (code,) in codes] for split, codes in unpacked.items()}
