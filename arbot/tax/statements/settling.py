"""What a person settles about rows that a statement cannot explain: a TOML file named with --map.

Rules of this file:
- Coins that come or go become a transfer only when somebody says which two ends belong together: an entry `[[transfers]]`
  or one chain transaction id on both rows. Never by amount and time.
- An entry states both ends whole, so the sending and the receiving statement give the same line, whichever comes first;
  a row it names must agree with it to the last digit.
- `[[movements]]` says what one coming or going was; `[[settled]]` leaves a row out for a reason, which is counted.
- Cash that comes or goes is the owner's bank unless an entry says otherwise.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from arbot.domain.errors import Mistake, UserError
from arbot.domain.history import (
    CASH,
    DepositLine,
    HistoryLine,
    IncomeLine,
    OpeningLine,
    SpendLine,
    TransferLine,
    WithdrawalLine,
    format_ts,
    parse_ts,
)
from arbot.domain.units import ZERO, fmt
from arbot.tax.statements.common import Findings, Movement, account_of, asset_of, read_text, total
from arbot.tax.statements.prices import Known, Prices, name_missing, price_asset

CHARGE_SUFFIX: Final = ":charge"
"""Ends the id of the line that holds the venue's charge for a deposit or withdrawal, or a second fee of a trade."""


class TransferEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"into": "in"}):
    """Both ends of a move between two own accounts."""

    asset: str
    src: str
    dst: str
    sent: Decimal
    received: Decimal
    at: str
    arrives: str
    out: str = ""  # id of the row that sent
    into: str = ""  # id of the row that received
    txid: str = ""
    price: Decimal | None = None
    price_src: str = ""


class MovementEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"kind": "as"}):
    """What one coming or going was."""

    id: str
    kind: Literal["income", "spend", "opening"]
    why: str = ""
    basis: Decimal | None = None
    acquired: str = ""


class SettledEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row that is to be left out, and the reason."""

    id: str
    reason: str


class Settling(msgspec.Struct, frozen=True):
    """The entries of a file by the id they name."""

    transfers: dict[str, TransferEntry] = {}
    movements: dict[str, MovementEntry] = {}
    settled: dict[str, SettledEntry] = {}
    accounts: dict[str, str] = {}  # a statement's word for a part of the account -> account


NOTHING_SETTLED: Final = Settling()
SECTIONS: Final = frozenset({"transfers", "movements", "settled", "accounts"})
WHY_IN: Final = ("interest", "rebate", "airdrop", "reward", "other")
WHY_OUT: Final = ("fee", "payment", "funding", "other")


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tables of a TOML file; numbers are Decimals as written. Raises: UserError."""
    try:
        return tomllib.loads(read_text(path), parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise UserError(Mistake(path.name, f"is not TOML: {error}", "mend it at that line")) from error


def read_settling(path: Path | None, known_sections: frozenset[str] = frozenset()) -> Settling:
    """Return what a file settles. `known_sections` belong to another reader of the same file. Raises: UserError."""
    if path is None:
        return NOTHING_SETTLED
    tables = read_toml(path)
    unknown = sorted(tables.keys() - SECTIONS - known_sections)
    if unknown:
        known = ", ".join(sorted(SECTIONS | known_sections))
        raise UserError(Mistake(path.name, f"unknown section {', '.join(unknown)}", f"a section is one of {known}"))
    try:
        transfers = msgspec.convert(tables.get("transfers", []), list[TransferEntry])
        movements = msgspec.convert(tables.get("movements", []), list[MovementEntry])
        settled = msgspec.convert(tables.get("settled", []), list[SettledEntry])
        accounts = msgspec.convert(tables.get("accounts", {}), dict[str, str])
    except msgspec.ValidationError as error:
        raise UserError(Mistake(path.name, str(error), "see docs/guide/import-statements.md")) from error
    mistakes = [*_check_transfers(path, transfers), *_check_movements(path, movements)]
    mistakes += [
        Mistake(f"{path.name} [[settled]] {entry.id}", "says no reason", 'write reason = "..." in words')
        for entry in settled
        if not any(letter.isalpha() for letter in entry.reason)
    ]
    names = [key for entry in transfers for key in _ends(entry)]
    names += [*(entry.id for entry in movements), *(entry.id for entry in settled)]
    mistakes += [
        Mistake(f"{path.name} {name}", "is settled twice", "keep one entry")
        for name, uses in Counter(names).items()
        if uses > 1
    ]
    if mistakes:
        raise UserError(*mistakes)
    return Settling(
        transfers={key: entry for entry in transfers for key in _ends(entry)},
        movements={entry.id: entry for entry in movements},
        settled={entry.id: entry for entry in settled},
        accounts=accounts,
    )


def _ends(entry: TransferEntry) -> list[str]:
    return [key for key in (entry.out, entry.into) if key]


def _check_transfers(path: Path, entries: list[TransferEntry]) -> list[Mistake]:
    mistakes = []
    for place, entry in enumerate(entries, start=1):
        where = f"{path.name} [[transfers]] {place}"
        try:
            sent_ns, arrived_ns = parse_ts(entry.at), parse_ts(entry.arrives)
            account_of(entry.src)
            account_of(entry.dst)
            asset_of(entry.asset)
        except ValueError as error:
            mistakes.append(Mistake(where, str(error), "mend the entry"))
            continue
        problems = {
            "names no row": not _ends(entry),
            "goes to where it comes from": entry.src == entry.dst,
            "arrives before it leaves": arrived_ns < sent_ns,
            "receives nothing, or more than was sent": not ZERO < entry.received <= entry.sent,
            "has a price without a source": entry.price is not None and not entry.price_src,
        }
        mistakes += [Mistake(where, what, "mend the entry") for what, is_so in problems.items() if is_so]
    return mistakes


def _check_movements(path: Path, entries: list[MovementEntry]) -> list[Mistake]:
    mistakes = []
    for entry in entries:
        where = f"{path.name} [[movements]] {entry.id}"
        words = {"income": WHY_IN, "spend": WHY_OUT}.get(entry.kind)
        if words is not None and entry.why not in words:
            mistakes.append(Mistake(where, f"why is {entry.why!r}", f"why is one of {', '.join(words)}"))
        if entry.kind == "opening":
            try:
                parse_ts(entry.acquired)
            except ValueError as error:
                mistakes.append(Mistake(where, str(error), "say when the coins were acquired: acquired = ..."))
            if entry.basis is None or entry.basis < 0:
                mistakes.append(Mistake(where, "has no basis", "say what the coins cost in USD: basis = ..."))
    return mistakes


def settle(movement: Movement, settling: Settling, prices: Prices, findings: Findings) -> list[HistoryLine]:
    """Return the lines of one movement; what nobody explained becomes an open item."""
    transfer = settling.transfers.get(movement.keys[0])
    if transfer is not None:
        return _transfer(movement, transfer, prices, findings)
    entry = next((settling.movements[key] for key in movement.keys if key in settling.movements), None)
    if entry is not None:
        return _as_said(movement, entry, prices, findings)
    if movement.asset in CASH:
        kind = DepositLine if movement.amount > 0 else WithdrawalLine
        return _with_cost(movement, kind, {}, prices, findings)
    findings.unmatched.append(movement)
    findings.open("unmatched_transfer", movement.rows, *_unexplained(movement))
    return []


def move_id(account: str, name: str, *, is_out: bool) -> str:
    """Return the id of a coming or going that the venue calls `name`: the same as arbot's own journal gives it."""
    return f"{account}:{'withdrawal' if is_out else 'deposit'}:{name}"


def pair_by_txid(movements: list[Movement]) -> tuple[list[tuple[Movement, Movement]], list[Movement]]:
    """Return pairs (sent, received) that carry one chain transaction id, asset and amount order, and the rest."""
    ends: dict[tuple[str, str], list[Movement]] = {}
    for movement in movements:
        if movement.txid:
            ends.setdefault((movement.txid, movement.asset), []).append(movement)
    pairs, taken = [], set()
    for both in ends.values():
        if len(both) != 2:
            continue
        sent, received = sorted(both, key=lambda movement: movement.amount)
        if sent.amount < 0 < received.amount and sent.account != received.account and sent.ts_ns <= received.ts_ns:
            pairs.append((sent, received))
            taken |= {sent.line_id, received.line_id}
    return pairs, [movement for movement in movements if movement.line_id not in taken]


def transfer_of(sent: Movement, received: Movement, prices: Prices, findings: Findings) -> list[HistoryLine]:
    """Return the transfer between two rows with one chain transaction id."""
    entry = TransferEntry(
        asset=sent.asset,
        src=sent.account,
        dst=received.account,
        sent=total([-sent.amount, sent.fee]),
        received=total([received.amount, -received.fee]),
        at=format_ts(sent.ts_ns),
        arrives=format_ts(received.ts_ns),
        out=sent.keys[0],
        into=received.keys[0],
        txid=sent.txid,
    )
    rows = (*sent.rows, *received.rows)
    if not ZERO < entry.received <= entry.sent:
        what = f"transaction {sent.txid} sends {fmt(entry.sent)} and receives {fmt(entry.received)} {sent.asset}"
        findings.mistake(rows, what, "no more can arrive than was sent: mend the rows")
        return []
    return _transfer(sent._replace(rows=rows), entry, prices, findings)


def _transfer(movement: Movement, entry: TransferEntry, prices: Prices, findings: Findings) -> list[HistoryLine]:
    is_out = movement.amount < 0
    named = (
        (entry.src, entry.sent, parse_ts(entry.at)) if is_out else (entry.dst, entry.received, parse_ts(entry.arrives))
    )
    seen = (movement.account, total([abs(movement.amount), movement.fee if is_out else -movement.fee]), movement.ts_ns)
    if (entry.asset, *named) != (movement.asset, *seen):
        row = f"{fmt(seen[1])} {movement.asset} at {movement.account}, {format_ts(seen[2])}"
        said = f"{fmt(named[1])} {entry.asset} at {named[0]}, {format_ts(named[2])}"
        findings.mistake(movement.rows, f"the row says {row}, its transfer says {said}", "mend the [[transfers]] entry")
        return []
    own: Known | None = None if entry.price is None else (entry.price, entry.price_src)
    # the statement's own valuation is not taken: the other end's statement would have another one
    priced = price_asset(prices, parse_ts(entry.at), entry.asset, own)
    if entry.asset not in CASH:
        name_missing(findings, movement.rows, parse_ts(entry.at), priced.missing)
    return [
        TransferLine(
            id=move_id(entry.src, entry.out, is_out=True)
            if entry.out
            else move_id(entry.dst, entry.into, is_out=False),
            ts=entry.at,
            ts_in=entry.arrives,
            src=entry.src,
            dst=entry.dst,
            asset=entry.asset,
            sent=entry.sent,
            received=entry.received,
            fee=total([entry.sent, -entry.received]),
            txid=entry.txid,
            px=priced.px,
            px_src=priced.px_src,
        )
    ]


def _as_said(movement: Movement, entry: MovementEntry, prices: Prices, findings: Findings) -> list[HistoryLine]:
    is_in = movement.amount > 0
    if is_in == (entry.kind == "spend"):
        what = f"{fmt(movement.amount)} {movement.asset} cannot be {entry.kind}"
        findings.mistake(movement.rows, what, "spend is for what leaves, income and opening for what comes")
        return []
    if entry.kind != "opening":
        kind = IncomeLine if is_in else SpendLine
        return _with_cost(movement, kind, {"why": entry.why}, prices, findings)
    if movement.asset in CASH:
        findings.mistake(movement.rows, f"{movement.asset} is cash and has no basis", "leave the entry out")
        return []
    return _with_cost(movement, OpeningLine, {"basis": entry.basis, "acquired": entry.acquired}, prices, findings)


def _with_cost(
    movement: Movement, kind: type[Any], fields: dict[str, Any], prices: Prices, findings: Findings
) -> list[HistoryLine]:
    """Return the line, and the venue's charge for it as a line of its own."""
    priced = price_asset(prices, movement.ts_ns, movement.asset, movement.usd)
    if kind in {IncomeLine, SpendLine} or movement.fee:
        name_missing(findings, movement.rows, movement.ts_ns, priced.missing)
    common: dict[str, Any] = {
        "ts": format_ts(movement.ts_ns),
        "venue": movement.account,
        "asset": movement.asset,
        "px": priced.px,
        "px_src": priced.px_src,
    }
    priceless = {**common, "px": {}, "px_src": {}} if kind is OpeningLine else common
    lines = [kind(id=movement.line_id, amount=abs(movement.amount), note=movement.note, **priceless, **fields)]
    if movement.fee < 0:
        findings.mistake(movement.rows, f"the fee is {fmt(movement.fee)}", "a refund has to be settled by an entry")
    elif movement.fee:
        lines.append(SpendLine(id=movement.line_id + CHARGE_SUFFIX, amount=movement.fee, why="fee", **common))
    return lines


def _unexplained(movement: Movement) -> tuple[str, str]:
    key = movement.keys[0]
    way = "reached" if movement.amount > 0 else "left"
    unsaid = "nothing says where from" if movement.amount > 0 else "nothing says where to"
    end = "in" if movement.amount > 0 else "out"
    moved = f"{fmt(abs(movement.amount))} {movement.asset} {way} {movement.account}"
    what = f"{moved}, and {unsaid} ({key}, {format_ts(movement.ts_ns)})"
    kinds = 'as = "income" or "opening"' if movement.amount > 0 else 'as = "spend"'
    remedy = (
        f'write [[transfers]] with {end} = "{key}" and both ends, or [[movements]] with id = "{key}" and {kinds}, '
        f"into a file named with --map (docs/guide/import-statements.md)"
    )
    return what, remedy
