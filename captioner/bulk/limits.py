"""The memory and time that a stranger's file may take in a worker."""

PHOTO_BYTES = 200_000_000
"""The largest photo that is read into memory: from a shard, or from an object store."""

GROUP_BYTES = 32_000_000
"""Bytes of photos that are held at once, unless a single one is larger."""

NAME_BYTES = 32_768
"""The longest name of a photo, path or URL: no file system and no object store has longer ones."""

HEADER_BYTES = 1_000_000
"""The longest header of a member of a tar file: names, sparse maps and extended attributes together."""

UNPACKED_BYTES, UNPACKED_RATIO = 5_000_000_000, 100
"""A compressed tar file, or a row group, may unpack to that, or to so many times the file's size if that is more."""

XZ_BYTES = 128_000_000
"""Memory that an .xz stream may ask for; `xz -9` asks for 65 MB."""

GROUP_ROWS = 1_048_576
"""Rows that a row group of a table with photos may have; PyArrow's default for writing."""

FOOTER_BYTES = 32_000_000
"""The longest footer of a table, which describes its row groups; reading it takes a dozen times as much memory."""

TABLE_MEMORY = 800_000_000
"""Bytes of data that the process that reads tables may hold."""

TABLE_SECONDS = 30
"""Processor seconds that the process that reads tables may spend on its next answer."""


def size(count: int) -> str:
    """Return a number of bytes as people read it, such as "200 MB"."""
    return f"{count / 1e6:,.0f} MB" if count >= 1_000_000 else f"{count:,} bytes"


UNPACKS_TO_MUCH = f"it unpacks to more than {size(UNPACKED_BYTES)} and than {UNPACKED_RATIO} times its size"
