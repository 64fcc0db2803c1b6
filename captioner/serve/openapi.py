"""The description of the HTTP interface that programs read, in OpenAPI 3.1."""

from typing import Any

from captioner import __version__
from captioner.model_files.calibration import GUESS, PROBABLY, SURE
from captioner.serve.limits import Limits
from captioner.serve.request_options import parameters, properties

JSON = dict[str, Any]


def openapi(limits: Limits) -> JSON:
    """Return the OpenAPI document.

    Args:
        limits: named in the descriptions.
    """
    refusals = _refusals(limits)
    caption = _caption(limits, refusals)
    always = {"421": _json(refusals["421"], "Error")}
    health = {"200": _json("The server answers.", "Health"), **always}
    described = {"200": {"description": "This document.", "content": {"application/json": {}}}, **always}
    metrics = {
        "200": {"description": "Prometheus's text format.", "content": {"text/plain": {"schema": {"type": "string"}}}},
        **always,
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Captioner",
            "version": __version__,
            "description": "Describes photos in a sentence. Every failure is answered with an `Error`.",
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "."}],  # beside this document, wherever a proxy has put it
        "paths": {
            "/caption": {"post": caption},
            "/caption/": {"post": {**caption, "operationId": "captionSlash", "summary": "The same as /caption."}},
            "/health": {"get": _get("health", "Tell whether the server answers, and what with.", health)},
            "/metrics": {"get": _get("metrics", "Count requests, refusals, seconds and the queue.", metrics)},
            "/openapi.json": {"get": _get("openapi", "Describe this interface.", described)},
        },
        "components": {"schemas": _schemas()},
    }


def _refusals(limits: Limits) -> dict[str, str]:
    """Return what each status of a failure means."""
    megabytes, megapixels = f"{limits.photo_bytes / 1e6:g}", f"{limits.pixels / 1e6:g}"
    return {
        "400": "The form cannot be read, there is no photo in the request, or an option cannot be used.",
        "403": "A page of another site sent the request.",
        "408": f"The upload took longer than {limits.upload:g} s, or stood still for {limits.silence:g} s.",
        "413": f"The file has more than {megabytes} MB, or the photo more than {megapixels} megapixels.",
        "421": "The Host header names another machine.",
        "422": "The file is not a photo that can be read.",
        "500": "A bug of the server.",
        "503": "Too many photos are waiting, or the server stops. Retry-After says when to try again.",
    }


def _caption(limits: Limits, refusals: dict[str, str]) -> JSON:
    """Return the description of `POST /caption`."""
    return {
        "operationId": "caption",
        "summary": "Describe a photo in a sentence.",
        "description": "The photo is kept nowhere.",
        "parameters": [
            _flag("attention", "Adds to each caption where the model looked before each word."),
            _flag("pictures", "Adds the photo as a JPEG, and for each word a picture of where the model looked."),
            *parameters(),
        ],
        "requestBody": {
            "required": True,
            "description": f"JPEG, PNG, GIF, WebP, AVIF, BMP or TIFF, {limits.photo_bytes / 1e6:g} MB at most: the "
            "file's bytes, or a form.",
            "content": {
                "application/octet-stream": {},
                "image/*": {},
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "description": "One file; its field may have any name. Options may be fields too.",
                        "properties": {
                            "photo": {"type": "string", "contentMediaType": "application/octet-stream"},
                            **properties(),
                        },
                    }
                },
            },
        },
        "responses": {
            "200": _json("The captions, the best first, or in the order in which they were drawn.", "Answer"),
            **{status: _json(description, "Error") for status, description in refusals.items()},
        },
    }


def _flag(name: str, description: str) -> JSON:
    schema = {"type": "string", "enum": ["true", "1", "false", "0"], "default": "false"}
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _get(name: str, summary: str, responses: JSON) -> JSON:
    return {"operationId": name, "summary": summary, "responses": responses}


def _json(description: str, schema: str) -> JSON:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": description, "content": content}


def _schemas() -> JSON:
    text, number, caption = {"type": "string"}, {"type": "number"}, _caption_fields()
    url = {**text, "description": "A data URL of a JPEG."}
    candidate = {**caption, "pictures": {"type": "array", "items": url, "description": "With `pictures`: one a word."}}
    candidates = {"type": "array", "items": {"$ref": "#/components/schemas/Candidate"}}
    answer = {
        **caption,
        "familiar": {
            "type": ["boolean", "null"],
            "description": "Whether the photo is like those that the model learned from; what it says of others is a "
            "guess, whatever the confidence. Null where the model cannot know.",
        },
        "doubtful": {
            "type": "boolean",
            "description": "Whether the photo is unfamiliar, or the caption less sure than nine of ten dev captions.",
        },
        "candidates": candidates,
        "photo": {**url, "description": "With `pictures`: the photo, upright."},
        "notes": {
            "type": "array",
            "items": text,
            "description": "Faults of a file that was captioned nevertheless, such as a JPEG without its end marker.",
        },
    }
    needed = ["caption", "score", "confidence", "certainty", "words", "probabilities"]
    health = {
        "status": {"const": "ok"},
        "model": {**text, "description": "The model's name."},
        "version": {**text, "description": "That of the software."},
        "max_megabytes": {**number, "description": "Of a file."},
        "max_megapixels": {**number, "description": "Of a photo."},
    }
    return {
        "Candidate": {"type": "object", "required": needed, "properties": candidate},
        "Answer": {"type": "object", "required": [*needed, "familiar", "doubtful", "candidates"], "properties": answer},
        "Health": {"type": "object", "required": list(health), "properties": health},
        "Error": {"type": "object", "required": ["error"], "properties": {"error": text}},
    }


def _caption_fields() -> JSON:
    """Return the fields that an answer and its candidates have in common."""
    text, number = {"type": "string"}, {"type": "number"}
    return {
        "caption": {**text, "description": "The sentence."},
        "score": {**number, "description": "Its log-probability, normalised by length; closer to 0 is more likely."},
        "confidence": {
            "type": ["number", "null"],
            "minimum": 0,
            "maximum": 1,
            "description": "The expected share of its content words that somebody who sees the photo would use too. "
            "It holds for familiar photos only. Null if the model is not calibrated.",
        },
        "certainty": {
            **text,
            "enum": [SURE, PROBABLY, GUESS, ""],
            "description": "The confidence in words; empty if there is none.",
        },
        "words": {"type": "array", "items": text},
        "probabilities": {
            "type": "array",
            "items": {**number, "minimum": 0, "maximum": 1},
            "description": "One for each word: how likely it was after the words before it.",
        },
        "attention": {
            "type": "array",
            "items": {"type": "array", "items": number},
            "description": "With `attention`: a row of weights for each word, one weight for each region of the photo.",
        },
    }
