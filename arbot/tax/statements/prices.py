"""USD prices with their source: the file a person gives, and the rules that price a trade from itself.

Rules of this file:
- The price of a trade follows from the trade where one side is USD: cost / amount. Else the quote asset is looked up and
  the base follows from it, so both legs have one value; only when the quote has no price, the other way round.
- A price is looked up as the newest at or before the time of the row and at most PRICE_AGE_MAX_NS old (assumption: one
  day, so that a file of daily closes serves); its source and time are written beside it.
- A price that is missing is an open item, never a guess. The statement's own valuation comes last.
"""

from __future__ import annotations

from bisect import bisect_right
from decimal import Decimal
from pathlib import Path
from typing import Final, NamedTuple

from arbot.domain.errors import UserError
from arbot.domain.history import NS_PER_S, format_ts, parse_ts
from arbot.tax.statements.common import USD, Findings, asset_of, number_of, plain, ratio, table, times

COLUMNS: Final = ("time", "asset", "price", "source")
PRICE_AGE_MAX_NS: Final = 86_400 * NS_PER_S

Known = tuple[Decimal, str]
"""USD for one unit, and the source."""


class Priced(NamedTuple):
    """Prices of the assets of one line with their sources, and the assets that have none."""

    px: dict[str, Decimal]
    px_src: dict[str, str]
    missing: tuple[str, ...]


class Prices:
    """Prices of a file by asset and time. Without a file it knows none."""

    __slots__ = ("_known", "_times")

    def __init__(self, rows: list[tuple[int, str, Decimal, str]]) -> None:
        self._times: dict[str, list[int]] = {}
        self._known: dict[str, list[Known]] = {}
        for ts_ns, asset, price, source in sorted(rows, key=lambda row: (row[1], row[0])):
            self._times.setdefault(asset, []).append(ts_ns)
            self._known.setdefault(asset, []).append((price, f"{source} {format_ts(ts_ns)}"))

    def at(self, asset: str, ts_ns: int) -> Known | None:
        """Return the newest price of `asset` at or before `ts_ns` that is not too old."""
        known_ns = self._times.get(asset)
        if known_ns is None:
            return None
        place = bisect_right(known_ns, ts_ns) - 1
        if place < 0 or ts_ns - known_ns[place] > PRICE_AGE_MAX_NS:
            return None
        return self._known[asset][place]


NO_PRICES: Final = Prices([])


def read_prices(path: Path | None) -> Prices:
    """Return the prices of a file with the columns time, asset, price, source; times are UTC with Z. Raises: UserError."""
    if path is None:
        return NO_PRICES
    findings = Findings(path)
    columns, rows = table(path, findings)
    if set(columns) != set(COLUMNS):
        findings.mistake((), f"has the columns {', '.join(columns)}", f"the header must be {','.join(COLUMNS)}")
        raise UserError(*findings.mistakes)
    found: list[tuple[int, str, Decimal, str]] = []
    seen: dict[tuple[int, str], tuple[Decimal, int]] = {}
    for number, cells in rows:
        try:
            ts_ns, asset, price = parse_ts(cells["time"]), asset_of(cells["asset"]), number_of(cells["price"])
        except ValueError as error:
            findings.mistake(number, str(error), "write 2025-01-01T00:00:00Z,BTC,94000.5,where the price is from")
            continue
        if price <= 0 or not cells["source"]:
            findings.mistake(number, "needs a price above zero and a source", "say where the price was taken from")
            continue
        if seen.setdefault((ts_ns, asset), (price, number))[0] != price:
            first = seen[ts_ns, asset][1]
            findings.mistake((first, number), f"give two prices of {asset} at one time", "keep one of them")
            continue
        found.append((ts_ns, asset, price, cells["source"]))
    if findings.mistakes:
        raise UserError(*findings.mistakes)
    return Prices(list(dict.fromkeys(found)))


def price_trade(  # noqa: PLR0917 - the terms of one trade
    prices: Prices,
    ts_ns: int,
    base: str,
    amount: Decimal,
    quote: str,
    cost: Decimal,
    fee_ccy: str,
    own: dict[str, Known],
) -> Priced:
    """Return the prices of base, quote and fee asset. `own` are the statement's own valuations by asset."""
    px: dict[str, Decimal] = {}
    px_src: dict[str, str] = {}
    missing: list[str] = []

    def look_up(asset: str) -> Known | None:
        return prices.at(asset, ts_ns) or own.get(asset)

    def note(asset: str, price: Decimal, source: str) -> None:
        px[asset], px_src[asset] = price, source

    if quote == USD:
        note(base, ratio(cost, amount), "trade")
    elif base == USD:
        note(quote, ratio(amount, cost), "trade")
    elif known := look_up(quote):
        note(quote, *known)
        note(base, ratio(times(cost, known[0]), amount), f"trade, {quote} by {known[1]}")
    elif known := look_up(base):
        note(base, *known)
        note(quote, ratio(times(amount, known[0]), cost), f"trade, {base} by {known[1]}")
    else:
        missing.append(quote)
    if fee_ccy not in (base, quote, USD):
        if known := look_up(fee_ccy):
            note(fee_ccy, *known)
        else:
            missing.append(fee_ccy)
    return Priced(px, px_src, tuple(missing))


def price_asset(prices: Prices, ts_ns: int, asset: str, own: Known | None) -> Priced:
    """Return the price of the one asset of a line."""
    if asset == USD:
        return Priced({}, {}, ())
    known = prices.at(asset, ts_ns) or own
    if known is None:
        return Priced({}, {}, (asset,))
    return Priced({asset: known[0]}, {asset: known[1]}, ())


def own_valuation(amount: Decimal, amount_usd: Decimal | None, source: str) -> Known | None:
    """Return USD per unit from a row's own value in USD; None when it states none, or rounds it to nothing."""
    if amount_usd is None or amount == 0 or amount_usd == 0 or (amount < 0) != (amount_usd < 0):
        return None
    return plain(ratio(amount_usd, amount)), source


def name_missing(findings: Findings, rows: tuple[int, ...], ts_ns: int, assets: tuple[str, ...]) -> None:
    """Note every asset of a line that has no price."""
    for asset in assets:
        what = f"no USD price of {asset} at {format_ts(ts_ns)}"
        line = f"{format_ts(ts_ns)},{asset},<price>,<source>"
        findings.open("missing_price", rows, what, f"add the line {line} to a prices file and name it with --prices")
