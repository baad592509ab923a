"""Records as bytes and back: one canonical JSON text per record, and the hash that chains them.

Rules of this file:
- The same record always gives the same text: fields in declared order, numbers in plain notation without trailing
  zeros ("1000", "0.5"), no white space. Hashes are taken over this text.
- Reading is strict about what is there and mild about what is not: a body with a field this version does not know is
  refused, a field appended since takes its default.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from arbot.domain.errors import InvariantBroken, ensure
from arbot.domain.units import fmt

GENESIS = "0" * 64
"""What stands where the first record's predecessor would be."""

_ENCODER = msgspec.json.Encoder()
_LEAVES = frozenset({str, int, bool, type(None)})

T = TypeVar("T")


class BodyRefused(InvariantBroken):
    """A stored body is not what this version of arbot writes: damaged, edited, or from a later version."""


def encode(value: msgspec.Struct) -> str:
    """Return the canonical JSON of a record, or of any struct made of domain types. Raises: InvariantBroken on NaN."""
    return _ENCODER.encode(_builtins(value)).decode()


def decode(body: str, wanted: type[T]) -> T:
    """Return the struct a body was made of. Raises: BodyRefused when anything in the body would be lost."""
    try:
        value = msgspec.json.decode(body, type=wanted)
        again = _builtins(value)
        if _ENCODER.encode(again) == body.encode():
            return value  # byte for byte what this version writes: nothing can be lost
        is_whole = _is_kept(msgspec.json.decode(body), again)
    except (msgspec.DecodeError, InvariantBroken, UnicodeError) as error:
        raise BodyRefused(f"not a {wanted.__name__}: {error}") from error
    if not is_whole:
        raise BodyRefused(f"a {wanted.__name__} with unknown fields or numbers in another notation")
    return value


def link(previous: str, seq: int, epoch: int, body: str) -> str:
    """Return the hash of a journal row: SHA-256 over its predecessor's hash, its place, its epoch and its body."""
    return hashlib.sha256(f"{previous}|{seq}|{epoch}|{body}".encode()).hexdigest()


def _builtins(value: object) -> Any:
    return _plain(msgspec.to_builtins(value, builtin_types=(Decimal,)))


def _plain(node: Any) -> Any:
    """Write every number below a fresh tree of builtins in canonical notation. On the commit path, hence the plain ifs."""
    kind = type(node)
    if kind is dict:
        for key, child in node.items():
            if type(child) not in _LEAVES:
                node[key] = _plain(child)
        return node
    if kind is Decimal:
        ensure(node.is_finite(), "a number that is none in a record", number=node)
        return fmt(node)
    if kind is list or kind is tuple:
        if _LEAVES.issuperset(map(type, node)):
            return list(node)  # of some hundred imported lines, in one step
        return [child if type(child) in _LEAVES else _plain(child) for child in node]
    return node


def _is_kept(raw: Any, again: Any) -> bool:
    """Return whether everything in `raw` is in `again` unchanged; `again` may have more fields (defaults)."""
    if isinstance(raw, dict):
        return isinstance(again, dict) and all(key in again and _is_kept(raw[key], again[key]) for key in raw)
    if isinstance(raw, list):
        if raw == again and set(map(type, raw)) == {str}:
            return True  # some hundred imported lines, in one step
        return (
            isinstance(again, list)
            and len(raw) == len(again)
            and all(_is_kept(one, other) for one, other in zip(raw, again, strict=True))
        )
    return type(raw) is type(again) and bool(raw == again)
