"""What TensorFlow Serving does with a SavedModel, as far as its rules bind an export: there is no server in the tests.

The rules are those of "RESTful API" in its documentation, and of its batching:

- `{"instances": [...]}`, rows: each row has every input of the signature, or is the value of the only one. Values of an
  input have the same shape in all rows, and are stacked. Defaults of a signature are not consulted.
- `{"inputs": ...}`, columns: the value of the only input, or an object with every input.
- `{"b64": "..."}` stands for bytes.
- Rows in, rows out: each output is parted along its first axis, in as many rows as came in. Strings are text, but those
  of outputs whose names end in `_bytes`, which come back as `{"b64": "..."}`.
- Requests that are joined in a batch are joined along the first axis of every input. So no input is a scalar.
"""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf


class RequestError(Exception):
    """What the server answers with status 400."""


class Server:
    """A SavedModel in a session, as the server holds it, behind the server's rules."""

    def __init__(self, folder: Path) -> None:
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        with self._session.graph.as_default():
            loaded = tf.compat.v1.saved_model.load(self._session, ["serve"], str(folder))
        self._signatures = loaded.signature_def

    def predict(self, body: str) -> dict[str, Any]:
        """Answer `POST /v1/models/MODEL:predict`."""
        signature, inputs, in_rows = self._parse(body)
        return _answer(self._run(signature, inputs), _count_rows(inputs) if in_rows else None)

    def predict_batched(self, *bodies: str) -> list[dict[str, Any]]:
        """Answer requests in rows, of the default signature, that the server joins in one batch."""
        parsed = [self._parse(body)[1] for body in bodies]
        counts = [_count_rows(inputs) for inputs in parsed]
        joined = {name: np.concatenate([inputs[name] for inputs in parsed]) for name in parsed[0]}
        outputs = self._run("serving_default", joined)
        assert {len(value) for value in outputs.values()} == {sum(counts)}, "rows in, rows out"
        ends = np.cumsum(counts)
        parts = [
            {name: value[end - count : end] for name, value in outputs.items()}
            for count, end in zip(counts, ends, strict=True)
        ]
        return [_answer(part, count) for part, count in zip(parts, counts, strict=True)]

    def _parse(self, body: str) -> tuple[str, dict[str, np.ndarray], bool]:
        request = json.loads(body)
        name = request.get("signature_name", "serving_default")
        kinds = {key: info.dtype for key, info in self._signatures[name].inputs.items()}
        if ("instances" in request) == ("inputs" in request):
            raise RequestError("expected one of 'inputs' and 'instances'")
        if "instances" in request:
            return name, _rows(request["instances"], kinds), True
        return name, _columns(request["inputs"], kinds), False

    def _run(self, name: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        signature = self._signatures[name]
        feed = {signature.inputs[key].name: value for key, value in inputs.items()}
        return self._session.run({key: info.name for key, info in signature.outputs.items()}, feed)


def _rows(instances: Any, kinds: dict[str, int]) -> dict[str, np.ndarray]:
    if not isinstance(instances, list) or not instances:
        raise RequestError("instances: expected a list with a row or more")
    if not _is_object(instances[0]):
        if len(kinds) > 1:
            raise RequestError("instances is a plain list, but there are several inputs")
        (only,) = kinds
        instances = [{only: row} for row in instances]
    for row in instances:
        if not _is_object(row) or set(row) != set(kinds):
            raise RequestError(f"a row must only have keys: {', '.join(sorted(kinds))}")
    columns = {name: [_tensor(row[name], kind) for row in instances] for name, kind in kinds.items()}
    if any(len({value.shape for value in values}) > 1 for values in columns.values()):
        raise RequestError("rows of different shapes")
    return {name: np.stack(values) for name, values in columns.items()}


def _columns(inputs: Any, kinds: dict[str, int]) -> dict[str, np.ndarray]:
    if not _is_object(inputs):
        if len(kinds) > 1:
            raise RequestError("inputs is a plain value, but there are several inputs")
        (only,) = kinds
        inputs = {only: inputs}
    if missing := sorted(set(kinds) - set(inputs)):
        raise RequestError(f"Missing named input: {missing[0]}")
    return {name: _tensor(inputs[name], kind) for name, kind in kinds.items()}


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and list(value) != ["b64"]


def _tensor(value: Any, kind: int) -> np.ndarray:
    dtype = tf.as_dtype(kind).as_numpy_dtype
    return np.array(_decoded(value, kind), object if kind == tf.string.as_datatype_enum else dtype)


def _decoded(value: Any, kind: int) -> Any:
    if isinstance(value, list):
        return [_decoded(each, kind) for each in value]
    if kind != tf.string.as_datatype_enum:
        return value
    if isinstance(value, dict):
        return base64.b64decode(value["b64"], validate=True)
    if not isinstance(value, str):
        raise RequestError(f"{value!r} is not of expected type: string")
    return value.encode()


def _count_rows(inputs: dict[str, np.ndarray]) -> int:
    if any(value.ndim == 0 for value in inputs.values()):
        raise RequestError("a scalar has no rows that could be batched")
    (count,) = {len(value) for value in inputs.values()}
    return count


def _answer(outputs: dict[str, np.ndarray], rows: int | None) -> dict[str, Any]:
    values = {name: _encoded(value.tolist(), name) for name, value in outputs.items()}
    if rows is None:
        return {"outputs": values if len(values) > 1 else next(iter(values.values()))}
    assert {len(value) for value in outputs.values()} == {rows}, "rows in, rows out"
    if len(values) == 1:
        return {"predictions": next(iter(values.values()))}
    return {"predictions": [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]}


def _encoded(value: Any, name: str) -> Any:
    if isinstance(value, list):
        return [_encoded(each, name) for each in value]
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()} if name.endswith("_bytes") else value.decode()
    return value
