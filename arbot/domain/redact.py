"""Blotting secrets out of text by their values, so that a leak inside a message or a third party's log line is caught too.

A filter on key names alone misses secrets in values. Here every known secret is looked for raw, URL-, base64- and
JSON-encoded, and credentials we cannot know in advance (JWTs, signatures) by their shape.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable
from urllib.parse import quote, quote_plus

MASK = "***"
LENGTH_MIN = 6  # shorter texts are no secrets and would blot out ordinary words

_SHAPES = (
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?:.|\n)*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)?",
)
_HEADERS = "api-key|api-sign|authorization|cb-access-key|cb-access-sign|x-auth|x-auth-signature"
_HEADER = re.compile(rf"(?i)(?P<name>\b(?:{_HEADERS})\b[\"']?\s*[:=]\s*)(?P<value>\"[^\"]*\"|'[^']*'|[^,;\r\n}}]+)")


def redactor(secrets: Iterable[str]) -> Callable[[str], str]:
    """Return a function that replaces every secret in a text, in any of its encodings, by MASK."""
    forms = {form for secret in secrets for form in _forms(secret) if len(form) >= LENGTH_MIN}
    known = [re.escape(form) for form in sorted(forms, key=len, reverse=True)]
    pattern = re.compile("|".join([*known, *_SHAPES]))

    def redact(text: str) -> str:
        return _HEADER.sub(rf"\g<name>{MASK}", pattern.sub(MASK, text))

    return redact


def _forms(secret: str) -> Iterable[str]:
    yield secret
    yield quote(secret, safe="")
    yield quote(secret)
    yield quote_plus(secret)
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret).replace("/", "\\/")[1:-1]
    yield repr(secret)[1:-1]
    # The base64 of a longer text that contains the secret shows it at one of three alignments. Of each, the characters
    # that depend on the secret alone are looked for.
    raw = secret.encode()
    for skipped in range(3):
        encoded = base64.b64encode(bytes(skipped) + raw).decode().rstrip("=")
        first, last = (0, 2, 3)[skipped], len(encoded) - (0 if (skipped + len(raw)) % 3 == 0 else 1)
        yield encoded[first:last]
        yield encoded[first:last].replace("+", "-").replace("/", "_")
    for line in secret.splitlines():  # a PEM key may be logged line by line
        if len(line) >= 16 and "-----" not in line:
            yield line
