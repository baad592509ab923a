"""Any CSV as history, by a column map: one row is one fill, deposit, withdrawal, income, spend or opening.

Rules of this file:
- Amounts are gross and positive, a fee comes on top, as in the canonical lines; a sign is refused, not dropped.
- A fill without `cost` costs amount x price; without `price` the price follows from the cost.
- Coins that are deposited or withdrawn are moves whose other end somebody has to name: one `txid` on both rows of a file,
  or an entry (arbot.tax.statements.settling).
- `usd_price` is the statement's own USD price of the asset (of the quote, in a fill), taken where no prices file knows one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Final, NamedTuple

from arbot.domain.errors import UserError
from arbot.domain.history import FillLine, HistoryLine, IncomeLine, OpeningLine, SpendLine, format_ts, parse_ts
from arbot.domain.units import ZERO
from arbot.ledger.history.codes import DUPLICATE_ID, MIXED_TIME_ZONES, coded
from arbot.tax.statements.column_map import KINDS, NEEDED, SECTIONS, ColumnMap, read_column_map
from arbot.tax.statements.common import (
    Findings,
    Movement,
    Options,
    Statement,
    account_of,
    asset_of,
    digits_after_point,
    excerpt,
    number_of,
    ratio,
    table,
    times,
)
from arbot.tax.statements.local_times import LocalTimes
from arbot.tax.statements.prices import Known, Prices, name_missing, price_asset, price_trade, read_prices
from arbot.tax.statements.settling import (
    WHY_IN,
    WHY_OUT,
    Settling,
    move_id,
    pair_by_txid,
    read_settling,
    settle,
    transfer_of,
)

_ONE_ZONE: Final = "write all times in one zone, or import the rows of each zone as a file of their own"
_REMEDY: Final = "mend the column map, or the row where it was written"


class _Row(NamedTuple):
    """A row in our words, with its instant."""

    number: int
    line_id: str
    ts_ns: int
    account: str
    cells: Mapping[str, str]

    def number_in(self, field: str, default: Decimal | None = None) -> Decimal:
        """Return an amount, which is never negative. Raises: ValueError."""
        text = self.cells.get(field, "")
        if not text and default is not None:
            return default
        number = number_of(text)
        if number < 0 and field != "fee":
            raise ValueError(f"{field} {text} is negative: amounts are positive, the kind or side says which way")
        return number


class _Reading(NamedTuple):
    column_map: ColumnMap
    prices: Prices
    settling: Settling
    findings: Findings
    local_times: LocalTimes
    options: Options


def read(path: Path, options: Options) -> Statement:
    """Return what a CSV says by its column map. Raises: UserError when map and header do not fit."""
    findings = Findings(path)
    column_map = read_column_map(options.map_path, options.timezone, options.account)
    reading = _Reading(
        column_map,
        read_prices(options.prices_path),
        read_settling(options.map_path, SECTIONS),
        findings,
        LocalTimes(column_map.time, column_map.zone),
        options,
    )
    columns, rows = table(path, findings, delimiter=column_map.file.delimiter, skip_rows=column_map.file.skip_rows)
    _check_header(columns, column_map, findings)
    lines: list[HistoryLine] = []
    numbers: dict[str, tuple[int, ...]] = {}
    movements: list[Movement] = []
    seen: dict[str, tuple[dict[str, str], int]] = {}
    for number, cells in rows:
        try:
            row = _in_our_words(number, cells, reading)
            if row is None:
                continue
            first, first_number = seen.setdefault(row.line_id, (cells, number))
            if first_number != number:
                _again(first == cells, first_number, number, row, findings)
                continue
            found: HistoryLine | Movement = _HANDLERS[row.cells["kind"]](row, reading)
        except ValueError as error:
            findings.mistake(number, f"{error} in {excerpt(','.join(cells.values()))}", _REMEDY)
            continue
        if isinstance(found, Movement):
            movements.append(found)
        else:
            lines.append(found)
            numbers[found.id] = (number,)
    for line, line_rows in _moves(movements, reading):
        lines.append(line)
        numbers[line.id] = line_rows
    if mixed := reading.local_times.mixed():
        zones = ", ".join(f"{zone} in row {number}" for zone, number in mixed.items())
        findings.mistake(tuple(mixed.values()), coded(f"times of several zones: {zones}", MIXED_TIME_ZONES), _ONE_ZONE)
    lines.sort(key=lambda line: (parse_ts(line.ts), numbers[line.id]))
    return Statement(
        path=path,
        account=options.account or column_map.constants.get("account", ""),
        lines=lines,
        rows=numbers,
        mistakes=findings.mistakes,
        open_items=findings.open_items,
        unmatched=findings.unmatched,
        passed=dict(sorted(findings.passed.items())),
        decimals=_decimals(lines),
        ts_digits=reading.local_times.digits,
        balances=[],
        kinds=tuple(dict.fromkeys(type(line) for line in lines)),
    )


def _check_header(columns: tuple[str, ...], column_map: ColumnMap, findings: Findings) -> None:
    ignored = {name.strip().lower() for name in column_map.file.ignore}
    known = set(column_map.columns.values())
    for name in columns:
        if name not in known | ignored:
            remedy = f"give it a meaning in [columns] of {column_map.path.name}, or name it in ignore of [file]"
            findings.mistake(column_map.file.skip_rows + 1, f"column {name!r} is not explained", remedy)
    for name in sorted((known | ignored) - set(columns)):
        remedy = f"the header is: {', '.join(columns)}"
        findings.mistake(column_map.file.skip_rows + 1, f"column {name!r} of the map is not in the file", remedy)
    if findings.mistakes:
        raise UserError(*findings.mistakes)


def _again(is_same: bool, first_number: int, number: int, row: _Row, findings: Findings) -> None:
    if is_same:
        findings.passed["the same row again"] += 1
    else:
        what = coded(f"id {row.line_id} stands twice with different content", DUPLICATE_ID)
        findings.mistake((first_number, number), what, _REMEDY)


def _in_our_words(number: int, cells: Mapping[str, str], reading: _Reading) -> _Row | None:
    """Return the row with our fields and words; None when it is settled. Raises: ValueError."""
    column_map = reading.column_map
    ours = dict(column_map.constants)
    for field, column in column_map.columns.items():
        text = cells[column]
        words = column_map.values.get(field)
        if words is not None:
            if text not in words:
                raise ValueError(f"{field} {excerpt(text)} is not in [values.{field}]")
            text = words[text]
        ours[field] = _mended(field, text, column_map)
    if not ours["id"]:
        raise ValueError("the id is empty")
    if ours["id"] in reading.settling.settled:
        reading.findings.passed["settled by an entry"] += 1
        return None
    if ours["kind"] not in KINDS:
        raise ValueError(f"kind {excerpt(ours['kind'])} is none of {', '.join(KINDS)}: map it in [values.kind]")
    missing = [field for field in NEEDED[ours["kind"]] if not ours.get(field)]
    if missing:
        raise ValueError(f"{ours['kind']} needs {', '.join(missing)}")
    account = account_of(reading.settling.accounts.get(ours["account"], ours["account"]))
    return _Row(number, f"{account}:{ours['id']}", reading.local_times.read(ours["time"], number), account, ours)


_NUMBER_FIELDS: Final = frozenset({"amount", "price", "cost", "fee", "basis", "usd_price"})
_ASSET_FIELDS: Final = frozenset({"asset", "base", "quote", "fee_ccy"})


def _mended(field: str, text: str, column_map: ColumnMap) -> str:
    """Return a number with a decimal point and without grouping, an asset by the field's name."""
    if field in _NUMBER_FIELDS:
        if column_map.file.grouping:
            text = text.replace(column_map.file.grouping, "")
        return text if column_map.file.decimal == "." else text.replace(",", ".")
    return column_map.assets.get(text, text) if field in _ASSET_FIELDS else text


def _fill(row: _Row, reading: _Reading) -> FillLine:
    cells = row.cells
    base, quote = cells.get("base", ""), cells.get("quote", "")
    if symbol := cells.get("symbol", ""):
        left, sign, right = symbol.replace("-", "/").replace("_", "/").partition("/")
        if not sign:
            raise ValueError(f"symbol {excerpt(symbol)} does not say where base ends and quote begins")
        named = reading.column_map.assets
        base, quote = base or named.get(left, left), quote or named.get(right, right)
    base, quote = asset_of(base), asset_of(quote)
    if base == quote:
        raise ValueError(f"base and quote are both {base}")
    side = cells["side"]
    if side not in {"buy", "sell"}:
        raise ValueError(f"side {excerpt(side)} is neither buy nor sell: map it in [values.side]")
    amount, price, cost = row.number_in("amount"), row.number_in("price", ZERO), row.number_in("cost", ZERO)
    if amount == 0 or (price == 0 and cost == 0):
        raise ValueError("a fill needs an amount, and a price or a cost, above zero")
    cost = cost or times(amount, price)
    fee_ccy = asset_of(cells.get("fee_ccy", "") or quote)
    own = _own(row, quote)
    priced = price_trade(reading.prices, row.ts_ns, base, amount, quote, cost, fee_ccy, own)
    name_missing(reading.findings, (row.number,), row.ts_ns, priced.missing)
    return FillLine(
        id=row.line_id,
        ts=format_ts(row.ts_ns),
        venue=row.account,
        symbol=f"{base}/{quote}",
        base=base,
        quote=quote,
        side=side,
        amount=amount,
        price=price or ratio(cost, amount),
        cost=cost,
        fee=row.number_in("fee", ZERO),
        fee_ccy=fee_ccy,
        order_id=cells.get("order_id", ""),
        px=priced.px,
        px_src=priced.px_src,
        note=cells.get("note", ""),
    )


def _movement(row: _Row, _reading: _Reading) -> Movement:
    asset = asset_of(row.cells["asset"])
    amount, fee = row.number_in("amount"), row.number_in("fee", ZERO)
    if amount == 0:
        raise ValueError("nothing moved: the amount is zero")
    if row.cells.get("fee_ccy", asset) not in {"", asset}:
        raise ValueError(f"the fee is in {row.cells['fee_ccy']}: write it as a spend row of its own")
    own = _own(row, asset)
    return Movement(
        line_id=move_id(row.account, row.cells["id"], is_out=row.cells["kind"] == "withdrawal"),
        keys=(row.cells["id"],),
        rows=(row.number,),
        ts_ns=row.ts_ns,
        account=row.account,
        asset=asset,
        amount=amount if row.cells["kind"] == "deposit" else -amount,
        fee=fee,
        txid=row.cells.get("txid", ""),
        usd=own.get(asset),
        note=row.cells.get("note", ""),
    )


def _moves(movements: list[Movement], reading: _Reading) -> list[tuple[HistoryLine, tuple[int, ...]]]:
    pairs, alone = pair_by_txid(movements)
    found = [
        (line, (*sent.rows, *received.rows))
        for sent, received in pairs
        for line in transfer_of(sent, received, reading.prices, reading.findings)
    ]
    settled = [
        (line, movement.rows)
        for movement in alone
        for line in settle(movement, reading.settling, reading.prices, reading.findings)
    ]
    return found + settled


def _sided(row: _Row, reading: _Reading) -> IncomeLine | SpendLine:
    is_income = row.cells["kind"] == "income"
    words, why = WHY_IN if is_income else WHY_OUT, row.cells["why"]
    if why not in words:
        raise ValueError(f"why {excerpt(why)} is none of {', '.join(words)}: map it in [values.why]")
    if row.number_in("fee", ZERO):
        raise ValueError("income and spend carry no fee: write it as a spend row of its own")
    asset, amount = asset_of(row.cells["asset"]), row.number_in("amount")
    if amount == 0:
        raise ValueError("the amount is zero")
    priced = price_asset(reading.prices, row.ts_ns, asset, _own(row, asset).get(asset))
    name_missing(reading.findings, (row.number,), row.ts_ns, priced.missing)
    kind = IncomeLine if is_income else SpendLine
    return kind(
        id=row.line_id,
        ts=format_ts(row.ts_ns),
        venue=row.account,
        asset=asset,
        amount=amount,
        why=why,
        px=priced.px,
        px_src=priced.px_src,
        note=row.cells.get("note", ""),
    )


def _opening(row: _Row, reading: _Reading) -> OpeningLine:
    acquired_ns = reading.local_times.read(row.cells["acquired"], row.number)
    if acquired_ns > row.ts_ns:
        raise ValueError("acquired is after the time of the row")
    return OpeningLine(
        id=row.line_id,
        ts=format_ts(row.ts_ns),
        venue=row.account,
        asset=asset_of(row.cells["asset"]),
        amount=row.number_in("amount"),
        basis=row.number_in("basis"),
        acquired=format_ts(acquired_ns),
        note=row.cells.get("note", ""),
    )


def _own(row: _Row, asset: str) -> dict[str, Known]:
    if not row.cells.get("usd_price"):
        return {}
    return {asset: (row.number_in("usd_price"), "statement")}


def _decimals(lines: list[HistoryLine]) -> dict[str, int]:
    digits: dict[str, int] = {}
    for line in lines:
        if not isinstance(line, FillLine):
            continue
        for asset, numbers in ((line.base, (line.amount,)), (line.quote, (line.cost,)), (line.fee_ccy, (line.fee,))):
            digits[asset] = max(digits.get(asset, 0), *map(digits_after_point, numbers))
    return dict(sorted(digits.items()))


_HANDLERS: Final[dict[str, Callable[[_Row, _Reading], HistoryLine | Movement]]] = {
    "fill": _fill,
    "deposit": _movement,
    "withdrawal": _movement,
    "income": _sided,
    "spend": _sided,
    "opening": _opening,
}
