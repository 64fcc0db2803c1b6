"""A process that reads tables: `python -m captioner.bulk.table_process`, see `captioner.bulk.tables`.

A table of a kilobyte may ask PyArrow for gigabytes, in its pages, its dictionaries or its footer, and nothing in the
file tells so beforehand. So tables are read here, within limits, and not in the process that has other work in hand.

Reads a request a line, JSON. Answers with lines of JSON, each followed by the bytes whose number is in `bytes`. The
last one has `end`, or `error`, which says what is wrong.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from math import inf
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from captioner.bulk.columns import holds_names, name_column, photo_column
from captioner.bulk.limits import (
    FOOTER_BYTES,
    GROUP_ROWS,
    NAME_BYTES,
    PHOTO_BYTES,
    TABLE_MEMORY,
    TABLE_SECONDS,
    UNPACKED_BYTES,
    UNPACKED_RATIO,
    UNPACKS_TO_MUCH,
    size,
)
from captioner.bulk.memory import limit_memory, peak_memory
from captioner.bulk.storage import REQUEST, Storage, reason
from captioner.errors import CaptionerError

TOO_LONG, TOO_LARGE = 86, 87
"""How the process ends where a table asks for too much."""

NAMES = 1024
"""Names that are read at once."""

Answer = tuple[dict[str, Any], Any]
"""What stands in the line, and the bytes that follow it, or None."""


class Tables:
    """The server of the requests. The last table stays open, since the next request is usually for it too."""

    def __init__(self) -> None:
        self._key: tuple[Any, ...] = ()
        self._file: BinaryIO | None = None
        self._table: Any = None
        self._size = 0

    def answer(self, request: dict[str, Any]) -> Iterator[Answer]:
        """Answer a request.

        Args:
            request: `options`, `base` and `place` of the table, `column` to read, "" for the likeliest; and `group`, or
                None for what there is.
        """
        table = self._open(request["options"], request["base"], request["place"])
        column = photo_column(table.schema_arrow, request["column"], request["place"])
        if request["group"] is None:
            of_names = holds_names(table.schema_arrow.field(column).type)
            rows = [table.metadata.row_group(group).num_rows for group in range(table.metadata.num_row_groups)]
            yield {"column": column, "of_names": of_names, "rows": rows}, None
            return
        rows = table.metadata.row_group(request["group"]).num_rows
        if holds_names(table.schema_arrow.field(column).type):
            yield from _names(table, column, request["group"])
        elif not 0 <= rows <= GROUP_ROWS:
            raise CaptionerError(f"a row group of {rows:,} rows, expected up to {GROUP_ROWS:,}")
        else:
            unpacked = 0
            for line, content in _photos(table, column, request["group"]):
                yield line, content
                unpacked += content.size if content is not None else 0
                if unpacked > max(UNPACKED_BYTES, UNPACKED_RATIO * self._size):
                    raise CaptionerError(UNPACKS_TO_MUCH)

    def _open(self, *key: str) -> pq.ParquetFile:
        if key != self._key:
            self.close()
            options, base, place = key
            self._file = Storage(options, base).open(place)
            self._size = self._file.seek(0, os.SEEK_END)
            _check_footer(self._file, self._size)
            self._table = pq.ParquetFile(self._file, buffer_size=REQUEST, pre_buffer=False)
            self._key = key
        return self._table

    def close(self) -> None:
        """Close the table that is open."""
        self._key, self._table = (), None
        if self._file is not None:
            self._file.close()


def _check_footer(file: BinaryIO, length: int) -> None:
    """Refuse a footer that would take too much memory: PyArrow does not say why it cannot read that."""
    file.seek(max(0, length - 8))
    found = int.from_bytes(file.read(4), "little")
    if FOOTER_BYTES < found <= length:
        raise CaptionerError(
            f"a footer of {size(found)}, expected up to {size(FOOTER_BYTES)}; write it with larger row groups"
        )


def _names(table: pq.ParquetFile, column: str, group: int) -> Iterator[Answer]:
    for batch in table.iter_batches(NAMES, row_groups=[group], columns=[column], use_threads=False):
        yield {"names": [_text(value) for value in batch.column(0)]}, None


def _photos(table: pq.ParquetFile, column: str, group: int) -> Iterator[Answer]:
    """Yield the photos of a row group, one at a time, so that memory stays bounded."""
    name_field = name_column(table.schema_arrow, column)
    columns = [column, *([name_field] if name_field else [])]
    for batch in table.iter_batches(1, row_groups=[group], columns=columns, use_threads=False):
        value = batch.column(batch.schema.get_field_index(column))[0]
        name = _text(batch.column(batch.schema.get_field_index(name_field))[0]) if name_field else None
        if pa.types.is_struct(value.type):
            index = value.type.get_field_index("path")
            has_path = value.is_valid and index >= 0 and holds_names(value.type.field(index).type)
            name = (_text(value["path"]) if has_path else None) or name
            value = value["bytes"] if value.is_valid else None
        content = value.as_buffer() if value is not None and value.is_valid else None
        if content is None:
            yield {"name": name, "missing": "there are no bytes"}, None
        elif content.size > PHOTO_BYTES:
            missing = f"the photo is larger than {size(PHOTO_BYTES)} ({size(content.size)})"
            yield {"name": name, "missing": missing}, None
        else:
            yield {"name": name}, content


def _text(value: pa.Scalar) -> str | None:
    """Return a text; None if there is none, and "" if it is too long for a name."""
    content = value.as_buffer() if value.is_valid else None
    if content is None or not content.size:
        return None
    return content.to_pybytes().decode("utf-8", "surrogateescape") if content.size <= NAME_BYTES else ""


def _watch(last: list[float], most: float) -> None:
    """End the process when a request takes too long, or when its peak memory exceeds so many bytes."""
    while True:
        time.sleep(0.1)
        if time.process_time() - last[0] > TABLE_SECONDS:
            os._exit(TOO_LONG)
        if peak_memory() > most:
            os._exit(TOO_LARGE)


def _write(file: BinaryIO, line: dict[str, Any], content: Any) -> None:
    file.write(json.dumps({**line, "bytes": content.size if content is not None else 0}).encode() + b"\n")
    if content is not None:
        file.write(memoryview(content))
    file.flush()


def serve(
    requests: BinaryIO, answers: BinaryIO, answer: Callable[[dict[str, Any]], Iterator[Answer]], most: float
) -> None:
    """Answer requests until there are no more; end the process when its peak memory exceeds so many bytes."""
    last = [time.process_time()]
    threading.Thread(target=_watch, args=(last, most), daemon=True).start()
    for request in requests:
        last[0], end = time.process_time(), dict[str, Any](end=True)
        try:
            for line, content in answer(json.loads(request)):
                _write(answers, line, content)
                last[0] = time.process_time()
        except BrokenPipeError:
            return
        except MemoryError:  # PyArrow's too
            end = {"error": f"it takes more than {size(TABLE_MEMORY)} to read; write it with smaller row groups"}
        except Exception as error:  # a damaged table makes PyArrow raise nearly anything
            end = {"error": reason(error)}
        _write(answers, end, None)


def main() -> None:
    """Serve the process that has started this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that has started this one, which ends it
    most = inf if limit_memory(TABLE_MEMORY) else TABLE_MEMORY
    pa.set_cpu_count(1)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whatever a library prints is no answer
    serve(sys.stdin.buffer, answers, Tables().answer, most)


if __name__ == "__main__":
    main()
