"""Identifiers, and the one scheme by which our orders are named.

A client order id is `ab` + epoch(4) + arb(6) + leg(1) + try(2), in base 36, 15 ASCII characters: it fits Kraken's 18,
is derived from what it names, and is never reused, because the epoch rises at every start of the daemon.
"""

from __future__ import annotations

from typing import NamedTuple, NewType

from arbot.domain.errors import ensure

VenueId = NewType("VenueId", str)
Asset = NewType("Asset", str)
InstrumentId = NewType("InstrumentId", str)  # "BTC/USD@kraken"
RunId = NewType("RunId", str)
ArbId = NewType("ArbId", str)  # "<epoch>-<number>", both decimal
ClientOrderId = NewType("ClientOrderId", str)
VenueOrderId = NewType("VenueOrderId", str)
TradeId = NewType("TradeId", str)  # unique per venue and order

CLIENT_ORDER_ID_PREFIX = "ab"
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_WIDTHS = (4, 6, 1, 2)


class OrderName(NamedTuple):
    """What a client order id says: run epoch, arb number within it, leg number, try number."""

    epoch: int
    arb: int
    leg: int
    attempt: int


def instrument_id(symbol: str, venue: str) -> InstrumentId:
    """Return the id of a symbol on a venue: ("BTC/USD", "kraken") -> "BTC/USD@kraken"."""
    return InstrumentId(f"{symbol}@{venue}")


def venue_of(instrument: InstrumentId) -> VenueId:
    """Return the venue in an instrument's name, which outlives the listing: "BTC/USD@kraken" -> "kraken"."""
    return VenueId(instrument.rpartition("@")[2])


def arb_id(epoch: int, number: int) -> ArbId:
    """Return the id of the `number`th arb of a run."""
    return ArbId(f"{epoch}-{number}")


def client_order_id(name: OrderName) -> ClientOrderId:
    """Return the text under which venues know this order. Raises: InvariantBroken when a part outgrows its width."""
    return ClientOrderId(
        CLIENT_ORDER_ID_PREFIX + "".join(_base36(part, width) for part, width in zip(name, _WIDTHS, strict=True))
    )


def parse_client_order_id(text: str) -> OrderName | None:
    """Return what one of our ids says, or None when the text is not one of ours."""
    if len(text) != len(CLIENT_ORDER_ID_PREFIX) + sum(_WIDTHS) or not text.startswith(CLIENT_ORDER_ID_PREFIX):
        return None
    parts, start = [], len(CLIENT_ORDER_ID_PREFIX)
    for width in _WIDTHS:
        digits = text[start : start + width]
        if any(digit not in _DIGITS for digit in digits):
            return None
        parts.append(int(digits, 36))
        start += width
    return OrderName(*parts)


def _base36(number: int, width: int) -> str:
    ensure(0 <= number < 36**width, "order name part out of range", number=number, width=width)
    digits = ""
    for _ in range(width):
        number, remainder = divmod(number, 36)
        digits = _DIGITS[remainder] + digits
    return digits
