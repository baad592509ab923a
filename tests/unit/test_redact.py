"""Secrets do not show in text, whatever way they got there."""

import base64
import json
from urllib.parse import quote, quote_plus

import pytest

from arbot.domain.redact import redactor

SECRET = "AAEC/wQF+gcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUm=="
PEM = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIAAAcanarycanarycanary0123456789abcdefg\noAoGCCqGSM49\n-----END EC PRIVATE KEY-----\n"
redact = redactor([SECRET, PEM, "organizations/canary/apiKeys/1"])


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        json.dumps(SECRET),
        json.dumps(SECRET).replace("/", "\\/"),
        base64.b64encode(SECRET.encode()).decode(),
        base64.b64encode(b"k=" + SECRET.encode()).decode(),
        base64.b64encode(b"k:" + SECRET.encode() + b"!").decode(),
        base64.b64encode(b"key" + SECRET.encode() + b"!!").decode(),
        PEM,
        json.dumps({"secret": PEM}),
        repr(PEM),
        quote(PEM, safe=""),
        "organizations/canary/apiKeys/1",
        quote("organizations/canary/apiKeys/1", safe=""),
    ],
)
def test_no_encoding_of_a_secret_survives(form):
    """Raw, URL-, JSON- and base64-encoded secrets are blotted out, and the words around them stay."""
    shown = redact(f"before {form} after")
    assert "before" in shown
    assert "after" in shown
    assert "canary" not in shown
    assert SECRET[:12] not in shown
    assert base64.b64encode(SECRET.encode()).decode()[8:40] not in shown


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJjZHAifQ.c2lnbmF0dXJl",
        "{'API-Sign': 'c2lnbmF0dXJl', 'Content-Type': 'x'}",
        'api-sign="c2lnbmF0dXJl"',
        "X-Auth-Signature: c2lnbmF0dXJl",
        "token=eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJjZHAifQ.c2lnbmF0dXJl",
    ],
)
def test_derived_credentials_are_known_by_their_shape(text):
    """Signatures and tokens are not in the list of secrets, yet they do not show."""
    assert "c2lnbmF0dXJl" not in redact(text)


def test_any_private_key_block_is_blotted_out():
    """A PEM key that nobody told us of is caught by its frame, even when the text is cut short."""
    assert redact("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA") == "***"


def test_ordinary_text_is_left_alone():
    """Redaction changes nothing in a line without secrets."""
    line = "order ab0001000001000 accepted at 65010.10 by kraken as OQ7YTR-4KD2A-XP55LM"
    assert redact(line) == line


def test_short_texts_are_not_taken_for_secrets():
    """A secret of a few letters would blot out half of every log."""
    assert redactor(["ab", ""])("about ab") == "about ab"
