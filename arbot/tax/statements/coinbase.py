"""Coinbase's fills export (Advanced, and Pro before it) as history: one row is one fill.

Rules of this file:
- Columns, seen in public parsers and samples of 2019 to 2026 (rotki's tests of the fills report, 2020; the exports of 2019
  quoted in public importers): `portfolio, trade id, product, side, created at, size, size unit, price, fee, total,
  price/fee/total unit`. Assumption: the older export without `portfolio` is the same otherwise.
- `total` is what moved in the quote asset, fee included: negative for BUY, positive for SELL. The cost that is booked is
  `total` without the fee; it must equal size x price to the last digit `total` is written with.
- Trade ids that are numbers count per product, so the line is named for both; other ids are unique.
- `fee` and `total` are in the quote asset. Times are UTC with Z.
- The export holds fills only: deposits, withdrawals and conversions are in other statements of the venue.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Final

from arbot.domain.errors import UserError
from arbot.domain.history import FillLine, HistoryLine, format_ts, parse_ts
from arbot.domain.units import ZERO, fmt
from arbot.ledger.history.codes import DUPLICATE_ID, coded
from arbot.tax.statements.common import (
    Findings,
    Options,
    Statement,
    account_of,
    asset_of,
    demand_no_offset,
    digits_after_point,
    excerpt,
    number_of,
    table,
    times,
    total,
)
from arbot.tax.statements.prices import Prices, name_missing, price_trade, read_prices
from arbot.tax.statements.settling import Settling, read_settling

ACCOUNT: Final = "coinbase"
_WITHOUT_PORTFOLIO: Final = (
    "trade id", "product", "side", "created at", "size", "size unit", "price", "fee", "total", "price/fee/total unit",
)  # fmt: skip
COLUMN_SETS: Final = (_WITHOUT_PORTFOLIO, ("portfolio", *_WITHOUT_PORTFOLIO))
"""Every header the export has had, oldest first."""

MAIN_PORTFOLIO: Final = "default"
_REMEDY: Final = "export the fills again and do not save them from a spreadsheet"


def read(path: Path, options: Options) -> Statement:
    """Return what a fills export says. Raises: UserError when the file is no fills export at all."""
    findings = Findings(path)
    account = account_of(options.account or ACCOUNT)
    if options.timezone != "UTC":
        findings.mistake((), f"time zone {options.timezone}", "leave --timezone out: the export's times are UTC")
    settling, prices = read_settling(options.map_path), read_prices(options.prices_path)
    columns, rows = table(path, findings)
    if not is_fills(columns):
        unknown = [name for name in columns if name not in COLUMN_SETS[-1]]
        remedy = f"{', '.join(unknown)} is not known: " if 0 < len(unknown) < len(columns) else ""
        what = f"has the columns {excerpt(', '.join(columns))}"
        findings.mistake(1, what, f"{remedy}export the fills of Advanced as CSV, or name another --format")
        raise UserError(*findings.mistakes)
    lines: list[FillLine] = []
    found: dict[str, tuple[dict[str, str], int]] = {}
    for number, cells in rows:
        if cells["trade id"] in settling.settled:
            findings.passed["settled by an entry"] += 1
            continue
        line = _read_row(number, cells, account, settling, prices, findings)
        if line is None:
            continue
        first, first_number = found.setdefault(line.id, (cells, number))
        if first_number == number:
            lines.append(line)
        elif first == cells:
            findings.passed["the same row again"] += 1
        else:
            what = coded(f"trade id {cells['trade id']} stands twice with different content", DUPLICATE_ID)
            findings.mistake((first_number, number), what, _REMEDY)
    lines.sort(key=lambda line: (parse_ts(line.ts), found[line.id][1]))
    return Statement(
        path=path,
        account=account,
        lines=list[HistoryLine](lines),
        rows={line.id: (found[line.id][1],) for line in lines},
        mistakes=findings.mistakes,
        open_items=findings.open_items,
        unmatched=[],
        passed=dict(sorted(findings.passed.items())),
        decimals=_decimals(lines),
        ts_digits=max(
            (len(cells["created at"].partition(".")[2].rstrip("Z")) for cells, _ in found.values()), default=0
        ),
        balances=[],
        kinds=(FillLine,),
    )


def is_fills(columns: tuple[str, ...]) -> bool:
    """Return whether this header is one of the export's."""
    return columns in COLUMN_SETS


def _read_row(  # noqa: PLR0917 - what one row needs
    number: int, cells: Mapping[str, str], account: str, settling: Settling, prices: Prices, findings: Findings
) -> FillLine | None:
    try:
        return _fill(number, cells, _account(cells, account, settling), prices, findings)
    except ValueError as error:
        findings.mistake(number, f"{error} in {excerpt(','.join(cells.values()))}", _REMEDY)
        return None


def _account(cells: Mapping[str, str], account: str, settling: Settling) -> str:
    portfolio = cells.get("portfolio", MAIN_PORTFOLIO)
    if portfolio in settling.accounts:
        return account_of(settling.accounts[portfolio])
    if portfolio == MAIN_PORTFOLIO:
        return account
    raise ValueError(
        f'portfolio {portfolio!r} has lots of its own: name its account in --map, [accounts] "{portfolio}" = ...'
    )


def _fill(number: int, cells: Mapping[str, str], account: str, prices: Prices, findings: Findings) -> FillLine:
    base_text, _, quote_text = cells["product"].partition("-")
    base, quote = asset_of(base_text), asset_of(quote_text)
    if cells["size unit"] != base or cells["price/fee/total unit"] != quote:
        units = f"{cells['size unit']} and {cells['price/fee/total unit']}"
        raise ValueError(f"product {cells['product']} is told in {units}")
    is_buy = {"BUY": True, "SELL": False}.get(cells["side"])
    if is_buy is None:
        raise ValueError(f"side {excerpt(cells['side'])} is neither BUY nor SELL")
    trade_id = cells["trade id"]
    if not trade_id:
        raise ValueError("trade id is empty")
    size, price, fee, moved = (number_of(cells[name]) for name in ("size", "price", "fee", "total"))
    if size <= 0 or price <= 0:
        raise ValueError("size and price must be above zero")
    cost = _cost(size, price, fee, moved, is_buy=is_buy)
    demand_no_offset(cells["created at"])
    ts_ns = parse_ts(cells["created at"])
    priced = price_trade(prices, ts_ns, base, size, quote, cost, quote, {})
    name_missing(findings, (number,), ts_ns, priced.missing)
    return FillLine(
        id=f"{account}:{cells['product']}:{trade_id}" if trade_id.isdecimal() else f"{account}:{trade_id}",
        ts=format_ts(ts_ns),
        venue=account,
        symbol=f"{base}/{quote}",
        base=base,
        quote=quote,
        side="buy" if is_buy else "sell",
        amount=size,
        price=price,
        cost=cost,
        fee=fee,
        fee_ccy=quote,
        order_id="",
        px=priced.px,
        px_src=priced.px_src,
    )


def _cost(size: Decimal, price: Decimal, fee: Decimal, moved: Decimal, *, is_buy: bool) -> Decimal:
    """Return the quote quantity without the fee. Raises: ValueError when `total` has the wrong sign or amount."""
    if moved == ZERO or is_buy == (moved > 0):
        raise ValueError(f"total {fmt(moved)} has the wrong sign: a BUY is negative, a SELL positive")
    cost = total([-moved, -fee]) if is_buy else total([moved, fee])
    by_price = times(size, price)
    step = Decimal(1).scaleb(-max(digits_after_point(moved), digits_after_point(fee)))
    if abs(total([cost, -by_price])) >= step or cost <= 0:
        raise ValueError(f"total {fmt(moved)} and fee {fmt(fee)} leave {fmt(cost)}, size x price is {fmt(by_price)}")
    return cost


def _decimals(lines: list[FillLine]) -> dict[str, int]:
    digits: dict[str, int] = {}
    for line in lines:
        for asset, numbers in ((line.base, (line.amount,)), (line.quote, (line.cost, line.fee))):
            digits[asset] = max(digits.get(asset, 0), *map(digits_after_point, numbers))
    return dict(sorted(digits.items()))
