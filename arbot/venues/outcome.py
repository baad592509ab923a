"""What a venue's answer to an order means. Only a parsed, allow-listed answer is a verdict; all else is unknown.

The exception class a client library raises says nothing about whether the venue has the order, so classification
works on the status and the bytes of the body alone (facts: venues' documentation and drives of the clients, 2026-11).
"""

from __future__ import annotations

from typing import Any

import msgspec

from arbot.domain.events import Event, OrderAccepted, OrderRejected, RejectCode, RequestOutcomeUnknown
from arbot.domain.ids import ClientOrderId, VenueOrderId

DETAIL_MAX = 300  # characters of a venue's words kept in an event


class Accepted(msgspec.Struct, frozen=True):
    """The venue named the order."""

    venue_order_id: str


class Rejected(msgspec.Struct, frozen=True):
    """The venue, or we before sending, said that there is no such order."""

    code: RejectCode
    detail: str


class Unknown(msgspec.Struct, frozen=True):
    """The order may exist."""

    detail: str


Verdict = Accepted | Rejected | Unknown


def submit_event(client_order_id: ClientOrderId, verdict: Verdict) -> Event:
    """Return the event that tells the engine about a verdict on a submit."""
    match verdict:
        case Accepted(venue_order_id):
            return OrderAccepted(client_order_id=client_order_id, venue_order_id=VenueOrderId(venue_order_id))
        case Rejected(code, detail):
            return OrderRejected(client_order_id=client_order_id, code=code, detail=detail[:DETAIL_MAX])
        case Unknown(detail):
            return RequestOutcomeUnknown(client_order_id=client_order_id, request="submit", detail=detail[:DETAIL_MAX])


def parse_object(body: bytes) -> dict[str, Any] | None:
    """Return the JSON object in `body`, numbers with a fraction as their text, or None when it is anything else."""
    try:
        found = decode_json(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def decode_json(body: bytes) -> Any:
    """Return parsed JSON with every non-integer number kept as text, so that no float arises. Raises: ValueError."""
    try:
        return _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"not JSON: {body[:80]!r}") from error


def excerpt(status: int, body: bytes) -> str:
    """Return a short, single-line account of an answer for a detail field."""
    words = " ".join(body[:DETAIL_MAX].decode(errors="replace").split())
    return f"HTTP {status}: {words}" if words else f"HTTP {status}, empty body"


_DECODER = msgspec.json.Decoder(float_hook=str)
