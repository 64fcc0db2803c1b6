"""The captions that a request asks for: options in the query of its address, or in fields of its form."""

import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from captioner.config.decoding import DecodingConfig, SamplingConfig, WordingConfig
from captioner.config.serialization import check_bounds
from captioner.config.setting import like, setting, settings_of
from captioner.errors import CaptionerError
from captioner.runtime.captioner import Captioner
from captioner.serve.limits import ApiError

MOST_CHARACTERS = 500
"""Characters that a request may begin captions with, or name words to exclude with."""


@dataclass(frozen=True)
class CaptionOptions:
    """The options of a request; those that are missing are the server's own."""

    num_captions: int | None = setting(None, "captions of the photo", ge=1, le=10)
    max_length: int | None = like(DecodingConfig, "max_length", None, le=100)
    begin: str | None = like(WordingConfig, "begin", None)
    exclude: tuple[str, ...] = like(WordingConfig, "exclude", ())
    temperature: float | None = like(SamplingConfig, "temperature", None)
    top_k: int | None = like(SamplingConfig, "top_k", None)
    top_p: float | None = like(SamplingConfig, "top_p", None)
    seed: int | None = like(SamplingConfig, "seed", None)

    def applied(self, captioner: Captioner) -> Captioner:
        """Return a captioner with these options; words that the server excludes stay excluded.

        Raises:
            ApiError: they cannot be fulfilled, such as an unknown word to begin with.
        """
        if self == CaptionOptions():
            return captioner
        sampling = {name: getattr(self, name) for name in settings_of(SamplingConfig)}
        sampling = {name: value for name, value in sampling.items() if value is not None}
        if sampling and "temperature" not in sampling:
            raise wrong_option(f"{next(iter(sampling))}: for captions that are drawn at random; give temperature too")
        wording = captioner.wording
        begin = wording.begin if self.begin is None else self.begin
        try:
            return captioner.with_settings(
                decoding=replace(captioner.decoding, max_length=self.max_length or captioner.decoding.max_length),
                num_captions=self.num_captions,
                wording=WordingConfig(begin, (*wording.exclude, *self.exclude)),
                sampling=SamplingConfig(**sampling) if sampling else None,
            )
        except CaptionerError as error:
            raise wrong_option(str(error)) from None


def read_options(given: Iterable[tuple[str, str]]) -> CaptionOptions:
    """Read options from the names and values of a query and a form; an empty value is none, other names are left out.

    Raises:
        ApiError: a value is of the wrong type, out of bounds, too long, or given twice.
    """
    known = settings_of(CaptionOptions)
    texts: dict[str, list[str]] = {}
    for name, value in given:
        if name in known and value:
            texts.setdefault(name, []).append(value)
    options: dict[str, Any] = {}
    for name, values in texts.items():
        if sum(map(len, values)) > MOST_CHARACTERS:
            raise wrong_option(f"{name}: expected at most {MOST_CHARACTERS} characters")
        if name == "exclude":
            options[name] = tuple(" ".join(values).replace(",", " ").split())
        elif len(values) > 1:
            raise wrong_option(f"{name}: given {len(values)} times, expected once")
        else:
            options[name] = _value(name, values[0])
    return CaptionOptions(**options)


def read_flag(query: Mapping[str, str], name: str) -> bool:
    """Return whether a query asks for something; it does not where the name is missing or its value is empty.

    Raises:
        ApiError: the value is neither yes nor no.
    """
    text = query.get(name, "")
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("", "0", "false", "no", "off"):
        return False
    raise wrong_option(f"{name}: expected true or false, found {text[:40]!r}")


def parameters() -> list[dict[str, Any]]:
    """Describe the options for OpenAPI."""
    return [
        {"name": about.name, "in": "query", "description": _sentence(about.metadata["help"]), **_schema(about.name)}
        for about in fields(CaptionOptions)
    ]


def properties() -> dict[str, Any]:
    """Describe the fields of a form for OpenAPI."""
    return {
        about.name: {**_schema(about.name)["schema"], "description": _sentence(about.metadata["help"])}
        for about in fields(CaptionOptions)
    }


def wrong_option(message: str) -> ApiError:
    """Say that an option cannot be used."""
    return ApiError(400, "wrong_option", message)


def _kind(name: str) -> type:
    return next(each for each in typing.get_args(typing.get_type_hints(CaptionOptions)[name]) if each is not type(None))


def _value(name: str, text: str) -> Any:
    kind = _kind(name)
    try:
        value = kind(text)
        check_bounds(settings_of(CaptionOptions)[name], value, name)
    except ValueError:
        raise wrong_option(f"{name}: expected {_NUMBERS[kind]}, found {text[:40]!r}") from None
    except CaptionerError as error:
        raise wrong_option(str(error)) from None
    return value


_NUMBERS = {int: "a whole number", float: "a number"}


def _schema(name: str) -> dict[str, Any]:
    about, kind = settings_of(CaptionOptions)[name].metadata, _kind(name)
    if kind is str:
        text = {"type": "string", "maxLength": MOST_CHARACTERS}
        return {"schema": text}
    bounds = {"minimum": about["ge"], "maximum": about["le"]}
    return {"schema": {"type": "integer" if kind is int else "number", **bounds}}


def _sentence(help: str) -> str:
    return f"{help[0].upper()}{help[1:]}."
