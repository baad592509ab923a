"""Kraken's ledgers export as history: the rows of one refid are one trade, one move or one correction.

Rules of this file:
- A trade is what one refid gave and received, added up over wallets; its fee is what its rows were charged. A second
  fee asset becomes a line of its own, since a fill carries one fee.
- Which asset is the quote follows from QUOTES: cash before stablecoins before bitcoin and ether; else what was given.
- Rewards are income of amount - fee, what was credited: the commission was never at the owner's command (our reading of
  Rev. Rul. 2023-14). Gross and commission stand in the note.
- Moves between spot and earn change nothing: both halves must cancel out exactly. One half alone is refused, except in
  the older staking transfers, whose halves carry different refids.
- A deposit or withdrawal that a later row of the same refid takes back exactly changes nothing (BittyTax#287).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Final, NamedTuple

from arbot.domain.errors import UserError
from arbot.domain.history import (
    DepositLine,
    FillLine,
    HistoryLine,
    IncomeLine,
    SpendLine,
    TransferLine,
    WithdrawalLine,
    format_ts,
    parse_ts,
)
from arbot.domain.units import ZERO, fmt
from arbot.ledger.history.codes import DUPLICATE_ID, coded
from arbot.tax.statements.common import (
    BalanceRow,
    Findings,
    Movement,
    Options,
    Statement,
    account_of,
    digits_after_point,
    excerpt,
    ratio,
    table,
    total,
)
from arbot.tax.statements.kraken_rows import (
    COLUMN_SETS,
    MEANINGS,
    REFIDS_OF_NOTHING,
    TRADES_MARK,
    Effect,
    Meaning,
    Row,
    read_row,
)
from arbot.tax.statements.prices import (
    Known,
    Prices,
    name_missing,
    own_valuation,
    price_asset,
    price_trade,
    read_prices,
)
from arbot.tax.statements.settling import CHARGE_SUFFIX, Settling, move_id, read_settling, settle

ACCOUNT: Final = "kraken"
QUOTES: Final = (  # parity-ok: which one prices the other, not that they are equal
    "USD", "EUR", "GBP", "CAD", "AUD", "CHF", "JPY", "USDT", "USDC", "DAI", "PYUSD", "USDG", "RLUSD", "BTC", "ETH",
)  # fmt: skip
"""Assets that price others, the strongest first."""

_RANKS: Final = {asset: rank for rank, asset in enumerate(QUOTES)}
_OWN_SOURCE: Final = "kraken amountusd"
_ELSEWHERE: Final = 'book it with canonical lines and write [[settled]] with id = "{id}" and a reason into a --map file'


class _Reading(NamedTuple):
    """What the handlers of one file share."""

    account: str
    settling: Settling
    prices: Prices
    findings: Findings
    lines: list[HistoryLine]
    rows: dict[str, tuple[int, ...]]

    def add(self, rows: Iterable[Row], *lines: HistoryLine) -> None:
        """Take lines that came from these rows."""
        numbers = tuple(row.number for row in rows)
        for line in lines:
            self.rows[line.id] = numbers
        self.lines.extend(lines)


def read(path: Path, options: Options) -> Statement:
    """Return what a ledgers export says. Raises: UserError when the file is no ledgers export at all."""
    findings = Findings(path)
    account = account_of(options.account or ACCOUNT)
    if options.timezone != "UTC":
        findings.mistake((), f"time zone {options.timezone}", "leave --timezone out: the export's times are UTC")
    settling = read_settling(options.map_path)
    reading = _Reading(account, settling, read_prices(options.prices_path), findings, [], {})
    rows = _rows(path, findings, settling)
    for effect, group in _groups(rows, settling, findings):
        _HANDLERS[effect](reading, group)
    reading.lines.sort(key=lambda line: (parse_ts(line.ts), reading.rows[line.id]))
    return Statement(
        path=path,
        account=account,
        lines=reading.lines,
        rows=reading.rows,
        mistakes=findings.mistakes,
        open_items=findings.open_items,
        unmatched=findings.unmatched,
        passed=dict(sorted(findings.passed.items())),
        decimals=_decimals(rows),
        ts_digits=max((row.ts_digits for row in rows), default=0),
        balances=[
            BalanceRow(row.number, row.ts_ns, row.wallet, row.spelled, row.amount, row.fee, row.balance)
            for row in rows
            if row.balance is not None
        ],
        kinds=(FillLine, DepositLine, WithdrawalLine, TransferLine, IncomeLine, SpendLine),
    )


def is_ledgers(columns: tuple[str, ...]) -> bool:
    """Return whether this header is one of the export's."""
    return columns in COLUMN_SETS


def _rows(path: Path, findings: Findings, settling: Settling) -> list[Row]:
    columns, cells_of_rows = table(path, findings)
    if not is_ledgers(columns):
        newest = COLUMN_SETS[-1]
        what = f"has the columns {excerpt(', '.join(columns))}"
        unknown = [name for name in columns if name not in newest]
        if not set(columns) & set(newest):
            remedy = "this is no export of Kraken's: name another file, or leave --format out"
        elif set(columns) >= TRADES_MARK:
            remedy = 'this is the export of trades: choose "Ledgers" with all fields'
        elif unknown:
            remedy = f"{', '.join(unknown)} is not known: report the header, the export may have changed"
        else:
            remedy = "export the ledgers with all fields"
        findings.mistake(1, what, remedy)
        raise UserError(*findings.mistakes)
    rows: list[Row] = []
    seen: dict[str, dict[str, str]] = {}
    for number, cells in cells_of_rows:
        try:
            row = read_row(number, cells)
        except ValueError as error:
            if _is_settled(settling, cells["txid"], cells["refid"]):
                findings.passed["settled by an entry"] += 1
                continue
            what = f"{error} in {excerpt(','.join(cells.values()))}"
            findings.mistake(number, what, f"export again without editing, or {_ELSEWHERE.format(id=cells['txid'])}")
            continue
        first = seen.setdefault(row.txid, cells) if row.txid else cells
        if first is not cells:
            if first == cells:
                findings.passed["the same row again"] += 1
            else:
                what = coded(f"txid {row.txid} stands twice with different content", DUPLICATE_ID)
                findings.mistake(number, what, "export the ledgers again and do not edit the file")
            continue
        rows.append(row)
    return rows if not rows or rows[0].ts_ns <= rows[-1].ts_ns else rows[::-1]


def _is_settled(settling: Settling, *keys: str) -> bool:
    return any(key and key in settling.settled for key in keys)


def _groups(rows: list[Row], settling: Settling, findings: Findings) -> Iterable[tuple[Effect, list[Row]]]:
    """Yield the rows that belong together with what they do, in the order of their first row."""
    groups: dict[tuple[Effect, str], list[Row]] = {}
    for row in rows:
        meaning = MEANINGS.get((row.type, row.subtype))
        if _is_settled(settling, row.txid, row.refid):
            findings.passed["settled by an entry"] += 1
        elif not row.txid:
            _announced(row, findings)
        elif meaning is None:
            words = f"type {excerpt(row.type)}, subtype {excerpt(row.subtype)}"
            what = f"{words} is not known ({row.txid}: {fmt(row.amount)} {row.asset})"
            findings.mistake(row.number, what, _ELSEWHERE.format(id=row.txid))
        elif meaning.effect is Effect.REFUSED:
            what = f"{row.type} {row.subtype}".strip() + f" {row.txid}, {fmt(row.amount)} {row.asset}: {meaning.why}"
            findings.mistake(row.number, what, _ELSEWHERE.format(id=row.txid))
        elif meaning.effect in _JOINED and row.refid not in REFIDS_OF_NOTHING:
            groups.setdefault((meaning.effect, row.refid), []).append(row)
        elif meaning.effect in {Effect.PAIR, Effect.EARN_OLD}:
            groups.setdefault((meaning.effect, f"{row.ts_ns} {row.asset}"), []).append(row)
        else:
            groups[meaning.effect, f"{row.txid} alone"] = [row]
    for (effect, _), group in groups.items():
        yield effect, group


def _announced(row: Row, findings: Findings) -> None:
    if row.balance is not None or row.type not in {"deposit", "withdrawal"}:
        what = f"{row.type} of {fmt(row.amount)} {row.asset} has no txid"
        findings.mistake(row.number, what, "export again: only announced deposits and withdrawals lack it")
    else:
        findings.passed["announced, booked by another row or not yet"] += 1


def _trade(reading: _Reading, rows: list[Row]) -> None:
    first = rows[0]
    line_id = f"{reading.account}:{first.refid}"
    given, received, fees = _sides(rows)
    sides = f"gives {_listed(given)} for {_listed(received)}"
    remedy = _ELSEWHERE.format(id=first.refid)
    if first.refid in REFIDS_OF_NOTHING:
        reading.findings.mistake(first.number, f"trade row {first.txid} has no refid", _ELSEWHERE.format(id=first.txid))
        return
    if len(given) != 1 or len(received) != 1 or given.keys() == received.keys():
        numbers = tuple(row.number for row in rows)
        reading.findings.mistake(numbers, f"trade {first.refid} {sides}, not one asset for another", remedy)
        return
    (sold, sold_qty), (bought, bought_qty) = *given.items(), *received.items()
    is_buy = _RANKS.get(sold, len(QUOTES)) <= _RANKS.get(bought, len(QUOTES))
    base, amount, quote, cost = (bought, bought_qty, sold, sold_qty) if is_buy else (sold, sold_qty, bought, bought_qty)
    fee_ccy = min(fees, key=lambda asset: (asset not in {base, quote}, asset != quote, asset), default=quote)
    fee = fees.pop(fee_ccy, ZERO)
    own = _own_of(rows)
    priced = price_trade(reading.prices, first.ts_ns, base, amount, quote, cost, fee_ccy, own)
    name_missing(reading.findings, tuple(row.number for row in rows), first.ts_ns, priced.missing)
    fill = FillLine(
        id=line_id,
        ts=format_ts(first.ts_ns),
        venue=reading.account,
        symbol=f"{base}/{quote}",
        base=base,
        quote=quote,
        side="buy" if is_buy else "sell",
        amount=amount,
        price=ratio(cost, amount),
        cost=cost,
        fee=fee,
        fee_ccy=fee_ccy,
        order_id="",
        px=priced.px,
        px_src=priced.px_src,
    )
    reading.add(rows, fill)
    for asset, qty in sorted(fees.items()):
        _second_fee(
            reading, rows, asset, qty, {name: (priced.px[name], priced.px_src[name]) for name in priced.px} | own
        )


def _second_fee(reading: _Reading, rows: list[Row], asset: str, qty: Decimal, own: dict[str, Known]) -> None:
    first = rows[0]
    if qty < 0:
        what = f"trade {first.refid} has fees in two assets, one of them {fmt(qty)} {asset}"
        reading.findings.mistake(first.number, what, _ELSEWHERE.format(id=first.refid))
        return
    priced = price_asset(reading.prices, first.ts_ns, asset, own.get(asset))
    name_missing(reading.findings, (first.number,), first.ts_ns, priced.missing)
    spend = SpendLine(
        id=f"{reading.account}:{first.refid}{CHARGE_SUFFIX}",
        ts=format_ts(first.ts_ns),
        venue=reading.account,
        asset=asset,
        amount=qty,
        why="fee",
        px=priced.px,
        px_src=priced.px_src,
        note=f"second fee of trade {first.refid}",
    )
    if spend.id in reading.rows:
        what = f"trade {first.refid} has fees in three assets"
        reading.findings.mistake(first.number, what, _ELSEWHERE.format(id=first.refid))
        return
    reading.add(rows, spend)


def _sides(rows: list[Row]) -> tuple[dict[str, Decimal], dict[str, Decimal], dict[str, Decimal]]:
    """Return what was given, what was received (both positive) and what was charged, by asset."""
    given: dict[str, Decimal] = {}
    received: dict[str, Decimal] = {}
    fees: dict[str, Decimal] = {}
    for row in rows:
        if row.amount:
            side = given if row.amount < 0 else received
            side[row.asset] = total([side.get(row.asset, ZERO), abs(row.amount)])
        if row.fee:
            fees[row.asset] = total([fees.get(row.asset, ZERO), row.fee])
    return given, received, {asset: qty for asset, qty in fees.items() if qty}


def _listed(side: dict[str, Decimal]) -> str:
    return ", ".join(f"{fmt(qty)} {asset}" for asset, qty in side.items()) or "nothing"


def _own_of(rows: list[Row]) -> dict[str, Known]:
    own: dict[str, Known] = {}
    for row in rows:
        if row.asset not in own and (known := own_valuation(row.amount, row.amount_usd, _OWN_SOURCE)):
            own[row.asset] = known
    return own


def _move(reading: _Reading, rows: list[Row]) -> None:
    if len(rows) > 1:
        kinds = {row.asset for row in rows}
        if len(kinds) == 1 and not total([row.amount for row in rows]) and not total([row.fee for row in rows]):
            reading.findings.passed["taken back by another row"] += len(rows)
            return
        if any(row.amount < 0 for row in rows) == any(row.amount > 0 for row in rows):
            what = f"{len(rows)} rows of refid {rows[0].refid} do not cancel out"
            reading.findings.mistake(tuple(row.number for row in rows), what, _ELSEWHERE.format(id=rows[0].refid))
            return
    for place, row in enumerate(rows):
        _move_alone(reading, row, row.txid if place or row.refid in REFIDS_OF_NOTHING else row.refid)


def _move_alone(reading: _Reading, row: Row, name: str) -> None:
    """Take one coming or going; `name` is the venue's own id of it, under which arbot's journal books it as well."""
    is_in = {"deposit": True, "withdrawal": False, "hybridearnwithdrawal": False}.get(row.type, row.amount > 0)
    if not row.amount or is_in != (row.amount > 0):
        what = f"{row.type} {row.txid} of {fmt(row.amount)} {row.asset} has the wrong sign"
        reading.findings.mistake(row.number, what, _ELSEWHERE.format(id=row.txid))
        return
    movement = Movement(
        line_id=move_id(reading.account, name, is_out=row.amount < 0),
        keys=tuple(dict.fromkeys((name, row.txid))),
        rows=(row.number,),
        ts_ns=row.ts_ns,
        account=reading.account,
        asset=row.asset,
        amount=row.amount,
        fee=row.fee,
        usd=own_valuation(row.amount, row.amount_usd, _OWN_SOURCE),
    )
    reading.add([row], *settle(movement, reading.settling, reading.prices, reading.findings))


def _ask(reading: _Reading, rows: list[Row]) -> None:
    row = rows[0]
    is_named = any(
        key in reading.settling.transfers or key in reading.settling.movements for key in (row.txid, row.refid)
    )
    if is_named:
        _move_alone(reading, row, row.txid if row.refid in REFIDS_OF_NOTHING else row.refid)
        return
    what = f"{row.type} {row.txid} of {fmt(row.amount)} {row.asset} may be an airdrop, a fork or a move of your own"
    ways = '[[movements]] with as = "income"' if row.amount > 0 else '[[movements]] with as = "spend"'
    remedy = f'say which, in a --map file: {ways}, or [[transfers]], for id "{row.txid}"'
    reading.findings.open("unexplained_movement", (row.number,), what, remedy)


def _income(reading: _Reading, rows: list[Row], meaning: Meaning | None = None) -> None:
    row = rows[0]
    why = (meaning or MEANINGS[row.type, row.subtype]).why
    credited = total([row.amount, -row.fee])
    if row.amount <= 0 or row.fee < 0 or credited <= 0:
        what = f"{row.type} {row.subtype} {row.txid} of {fmt(row.amount)} {row.asset}, fee {fmt(row.fee)}: wrong sign"
        reading.findings.mistake(row.number, what, _ELSEWHERE.format(id=row.txid))
        return
    priced = price_asset(reading.prices, row.ts_ns, row.asset, own_valuation(row.amount, row.amount_usd, _OWN_SOURCE))
    name_missing(reading.findings, (row.number,), row.ts_ns, priced.missing)
    note = f"gross {fmt(row.amount)}, commission {fmt(row.fee)}" if row.fee else ""
    line = IncomeLine(
        id=f"{reading.account}:{row.txid}",
        ts=format_ts(row.ts_ns),
        venue=reading.account,
        asset=row.asset,
        amount=credited,
        why=why,
        px=priced.px,
        px_src=priced.px_src,
        note=note,
    )
    reading.add(rows, line)


def _pair(reading: _Reading, rows: list[Row]) -> None:
    sums = {asset: total([row.amount for row in rows if row.asset == asset]) for asset in [row.asset for row in rows]}
    off = [f"{fmt(left)} {asset}" for asset, left in sums.items() if left]
    if off or any(row.fee for row in rows):
        what = f"a move inside the account leaves {', '.join(off) or 'a fee'} (refid {rows[0].refid})"
        remedy = f"export a range that holds both halves, or {_ELSEWHERE.format(id=rows[0].txid)}"
        reading.findings.mistake(tuple(row.number for row in rows), what, remedy)
        return
    reading.findings.passed["moved between spot and earn"] += len(rows)


def _earn_old(reading: _Reading, rows: list[Row]) -> None:
    if len(rows) == 1 and rows[0].amount > 0:
        _income(reading, rows, Meaning(Effect.INCOME, "reward"))
    else:
        _pair(reading, rows)


def _half_out(reading: _Reading, rows: list[Row]) -> None:
    _half(reading, rows[0], is_right=rows[0].amount < 0)


def _half_in(reading: _Reading, rows: list[Row]) -> None:
    _half(reading, rows[0], is_right=rows[0].amount > 0)


def _half(reading: _Reading, row: Row, *, is_right: bool) -> None:
    if not is_right or row.fee:
        what = f"{row.subtype} {row.txid} of {fmt(row.amount)} {row.asset}, fee {fmt(row.fee)}: wrong sign or a fee"
        reading.findings.mistake(row.number, what, _ELSEWHERE.format(id=row.txid))
    else:
        reading.findings.passed["moved between spot and staking"] += 1


def _decimals(rows: list[Row]) -> dict[str, int]:
    digits: dict[str, int] = {}
    for row in rows:
        digits[row.asset] = max(digits.get(row.asset, 0), digits_after_point(row.amount), digits_after_point(row.fee))
    return dict(sorted(digits.items()))


_JOINED: Final = frozenset({Effect.TRADE, Effect.MOVE, Effect.PAIR})
_HANDLERS: Final[dict[Effect, Callable[[_Reading, list[Row]], None]]] = {
    Effect.TRADE: _trade,
    Effect.MOVE: _move,
    Effect.ASK: _ask,
    Effect.INCOME: _income,
    Effect.PAIR: _pair,
    Effect.EARN_OLD: _earn_old,
    Effect.HALF_OUT: _half_out,
    Effect.HALF_IN: _half_in,
}
