"""Approved intents made by hand, for tests of what comes after the engine."""

from decimal import Decimal

from arbot.domain.commands import CancelOrder, QueryOrder
from arbot.domain.ids import ClientOrderId, OrderName, arb_id, client_order_id, instrument_id
from arbot.domain.order import Approved, OrderIntent, Purpose, Side, TimeInForce

NAME = client_order_id(OrderName(1, 1, 0, 0))
S = 1_000_000_000


def approved(venue, now_ns, name=NAME, symbol="BTC/USD", **changes):
    """Return an approved buy of 0.5 BTC at 65010.3, with changes."""
    base, quote = symbol.split("/")
    fields = {
        "client_order_id": name,
        "arb_id": arb_id(1, 1),
        "purpose": Purpose.LEG,
        "venue": venue,
        "instrument": instrument_id(symbol, venue),
        "symbol": symbol,
        "base": base,
        "quote": quote,
        "side": Side.BUY,
        "qty": Decimal("0.50"),
        "limit_price": Decimal("65010.3"),
        "tif": TimeInForce.IOC,
        "fee_rate": Decimal("0.004"),
        "decided_ts_ns": now_ns,
        "deadline_ns": now_ns + 3 * S,
    }
    return Approved(OrderIntent(**(fields | changes)), ("test",))


def query(venue, now_ns, name=NAME, venue_order_id=None, symbol="BTC/USD"):
    """Return the question after an order sent a moment ago."""
    return QueryOrder(
        client_order_id=ClientOrderId(name),
        venue=venue,
        instrument=instrument_id(symbol, venue),
        venue_order_id=venue_order_id,
        since_ns=now_ns - S,
    )


def cancel(venue, name=NAME, venue_order_id=None, symbol="BTC/USD"):
    """Return the wish to cancel an order."""
    return CancelOrder(
        client_order_id=ClientOrderId(name),
        venue=venue,
        instrument=instrument_id(symbol, venue),
        venue_order_id=venue_order_id,
    )
