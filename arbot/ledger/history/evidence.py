"""Prices of history lines, out of what the engine decided when the money moved (arbot.domain.decisions.Valued).

Rules of this file:
- The first price told for an asset of a subject holds; later records may only add what was missing.
- A line is priced in USD. In another reporting currency every price is divided by that of USD, and `fx` tells the rate;
  the quotient has 18 decimals, half even: what the exchange format keeps everywhere.
- A price quoted more than `STALE_NS` away from its line is kept and named: it is evidence of another moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from arbot.domain.decisions import Decision, PriceSeen, Valued
from arbot.domain.history import format_ts
from arbot.domain.units import ONE, WIDE, div, fmt

STALE_NS: Final = 3_600 * 1_000_000_000
USD: Final = "USD"
_DECIMALS: Final = Decimal("1e-18")


class Pricing(NamedTuple):
    """What a line says of prices. `missing` has none, `stale` one of another hour."""

    px: dict[str, Decimal]
    fx: dict[str, Decimal]
    px_src: dict[str, str]
    missing: tuple[str, ...]
    stale: tuple[str, ...]


class Evidence:
    """Prices by subject, as the journal tells them."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[str, PriceSeen]] = {}

    def note(self, decisions: Sequence[Decision]) -> None:
        """Keep what was valued in one step."""
        for decision in decisions:
            if type(decision) is Valued:
                told = self._seen.setdefault(decision.subject, {})
                for price in decision.prices:
                    told.setdefault(price.asset, price)

    def price(
        self, subject: str, assets: Iterable[str], ts_ns: int, traded: dict[str, Decimal] | None = None
    ) -> Pricing:
        """Return the prices of a line's assets. `traded` are those of the line's own trade, for what no book priced."""
        told = self._seen.get(subject, {})
        ccy = next((price.ccy for price in told.values()), USD)
        usd = ONE if ccy == USD else told[USD].price if USD in told else None
        out = Pricing({}, {}, {}, (), ())
        missing, stale = [], []
        for asset in dict.fromkeys(assets):
            if asset == USD:
                continue
            seen = told.get(asset)
            if usd is not None and asset == ccy:
                out.px[asset], out.px_src[asset] = _decimals(div(ONE, usd)), words(told[USD])
            elif usd is not None and seen is not None:
                out.px[asset] = seen.price if ccy == USD else div(seen.price, usd)
                out.px[asset] = _decimals(out.px[asset])
                out.px_src[asset] = words(seen)
                if abs(seen.quoted_ts_ns - ts_ns) > STALE_NS:
                    stale.append(asset)
            elif traded is not None and asset in traded:
                out.px[asset], out.px_src[asset] = traded[asset], "the price of the trade itself"
            else:
                missing.append(asset)
        if ccy != USD and usd is not None:
            out.fx[ccy] = _decimals(usd)
        return out._replace(missing=tuple(missing), stale=tuple(stale))


def words(seen: PriceSeen) -> str:
    """Return a price's evidence as the text that goes with a line: source, time, and the levels if one book gave it."""
    text = f"{seen.source} at {format_ts(seen.quoted_ts_ns)}"
    if seen.bid[0] or seen.ask[0]:
        text += f" (bid {fmt(seen.bid[1])} at {fmt(seen.bid[0])}, ask {fmt(seen.ask[1])} at {fmt(seen.ask[0])})"
    return text


def _decimals(price: Decimal) -> Decimal:
    exponent = price.as_tuple().exponent
    return WIDE.quantize(price, _DECIMALS) if isinstance(exponent, int) and exponent < -18 else price
