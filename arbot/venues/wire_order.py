"""The last look at an order before it leaves: exact steps, minimums, and the very texts that go on the wire."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import NamedTuple

from arbot.domain.errors import ensure
from arbot.domain.instrument import Instrument
from arbot.domain.order import OrderIntent
from arbot.domain.units import fmt, is_multiple

_PLAIN_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")


class WireNumbers(NamedTuple):
    """Quantity and limit price as the venue will read them."""

    qty: str
    price: str


def wire_numbers(intent: OrderIntent, instrument: Instrument) -> WireNumbers:
    """Return the texts of quantity and price. Raises: InvariantBroken when the venue would not take them as they are."""
    facts = {"order": intent.client_order_id, "qty": intent.qty, "price": intent.limit_price}
    ensure(intent.instrument == instrument.id, "order for another instrument", **facts)
    ensure(intent.qty > 0, "order without quantity", **facts)
    ensure(intent.limit_price > 0, "order without price", **facts)
    ensure(is_multiple(intent.qty, instrument.qty_step), "quantity off its step", step=instrument.qty_step, **facts)
    ensure(is_multiple(intent.limit_price, instrument.tick_size), "price off tick", tick=instrument.tick_size, **facts)
    ensure(intent.qty >= instrument.qty_min, "quantity below minimum", minimum=instrument.qty_min, **facts)
    ensure(intent.notional >= instrument.notional_min, "order too small", minimum=instrument.notional_min, **facts)
    ensure(not instrument.qty_max or intent.qty <= instrument.qty_max, "order too large", **facts)
    numbers = WireNumbers(fmt(intent.qty), fmt(intent.limit_price))
    ensure(reads_as(numbers.qty, intent.qty) and reads_as(numbers.price, intent.limit_price), "bad number", **facts)
    return numbers


def reads_as(text: object, number: Decimal) -> bool:
    """Whether a text on the wire is a plain number, without sign or exponent, and exactly the one that is meant."""
    return isinstance(text, str) and _PLAIN_NUMBER.fullmatch(text) is not None and Decimal(text) == number
