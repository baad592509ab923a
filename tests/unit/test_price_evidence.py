"""Are lines priced in USD from what was seen, whatever the reporting currency is?"""

from __future__ import annotations

from decimal import Decimal

from arbot.domain.decisions import PriceSeen, Valued
from arbot.domain.ids import Asset
from arbot.ledger.history.evidence import STALE_NS, Evidence

NOW_NS = 1_790_000_000_000_000_000


def seen(asset: str, price: str, ccy: str = "USD", ts_ns: int = NOW_NS) -> PriceSeen:
    return PriceSeen(
        asset=Asset(asset), price=Decimal(price), ccy=Asset(ccy), source=f"book {asset}", quoted_ts_ns=ts_ns
    )


def evidence(*prices: PriceSeen) -> Evidence:
    told = Evidence()
    told.note((Valued(subject="s", prices=prices),))
    return told


def test_another_reporting_currency_is_turned_into_dollars():
    """Divide by what a dollar was worth, price the currency itself, and tell its rate."""
    pricing = evidence(seen("BTC", "80000", "EUR"), seen("USD", "0.8", "EUR")).price("s", ("BTC", "EUR"), NOW_NS)

    assert pricing.px == {"BTC": Decimal(100_000), "EUR": Decimal("1.25")}
    assert pricing.fx == {"EUR": Decimal("0.8")}
    assert pricing.missing == ()


def test_without_a_dollar_price_nothing_is_priced():
    """Assume no parity: what only has a price in euro is missing one in dollars."""
    assert evidence(seen("BTC", "80000", "EUR")).price("s", ("BTC", "EUR"), NOW_NS).missing == ("BTC", "EUR")


def test_the_first_price_holds_and_a_late_one_is_named():
    """Keep what was told first; a price of another hour is there and marked stale."""
    told = evidence(seen("BTC", "100", ts_ns=NOW_NS - STALE_NS - 1))
    told.note((Valued(subject="s", prices=(seen("BTC", "200"), seen("ETH", "5"))),))

    pricing = told.price("s", ("BTC", "ETH", "USD"), NOW_NS)

    assert pricing.px == {"BTC": Decimal(100), "ETH": Decimal(5)}
    assert (pricing.missing, pricing.stale) == ((), ("BTC",))
