"""Which column of a table holds the photos."""

from collections import Counter

import pyarrow as pa

from captioner.errors import CaptionerError

USUAL = (
    "image",
    "bytes",
    "jpg",
    "jpeg",
    "png",
    "webp",
    "content",
    "path",
    "image_path",
    "file_path",
    "filename",
    "file",
)
"""Columns that are likely to hold the photos, likeliest first."""

BESIDE = ("path", "key", "__key__")
"""Columns that are likely to hold the names of photos whose bytes stand in another one."""

_LISTED_COLUMNS = 20
"""Columns that a message lists at most."""

_LONGEST_LABEL = 80
"""Characters of a column's name and type in a message at most."""


def photo_column(schema: pa.Schema, wanted: str, place: str) -> str:
    """Choose the column that holds photos, bytes or names.

    Args:
        schema: of the table.
        wanted: what the user named, or "" for the likeliest: one of `USUAL`, or the only one that could be.
        place: the table, for the message.

    Raises:
        CaptionerError: there is none, or there are several of that name.
    """
    counts = Counter(schema.names)
    able = list(dict.fromkeys(field.name for field in schema if holds_names(field.type) or holds_bytes(field.type)))
    usual = [name for name in USUAL if name in able]
    chosen = [name for name in able if name == wanted] if wanted else usual[:1] or able
    if len(chosen) == 1 and counts[chosen[0]] > 1:
        raise CaptionerError(
            f"{place}: expected one column {chosen[0]!r}, found {counts[chosen[0]]} of that name; rename them"
        )
    if len(chosen) != 1:
        found = [f"{field.name} ({field.type})" for field in list(schema)[:_LISTED_COLUMNS]]
        found = [each if len(each) <= _LONGEST_LABEL else f"{each[:_LONGEST_LABEL]}..." for each in found]
        more = f" and {len(schema) - _LISTED_COLUMNS} more" if len(schema) > _LISTED_COLUMNS else ""
        raise CaptionerError(
            f"{place}: expected {f'a column {wanted!r}' if wanted else 'a column'} with the bytes or the paths of "
            f"photos, found {', '.join(found) or 'none'}{more}; name one with --column"
        )
    return chosen[0]


def name_column(schema: pa.Schema, photos: str) -> str:
    """Return the column with the names of the photos whose bytes are in another column; "" if there is none."""
    counts = Counter(schema.names)
    fitting = (name for name in BESIDE if name != photos and counts[name] == 1)
    return next((name for name in fitting if holds_names(schema.field(name).type)), "")


def holds_names(kind: pa.DataType) -> bool:
    """Return whether values of this type are text."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def holds_bytes(kind: pa.DataType) -> bool:
    """Return whether values of this type are the bytes of files, or records with `bytes`, as in Hugging Face."""
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and holds_bytes(kind.field("bytes").type)
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
