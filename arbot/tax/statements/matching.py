"""What of a statement is booked already: compared by id, at the precision the statement is written with.

Rules of this file:
- A line of a statement and a booked line of the same id are the same event. They agree when everything both state agrees:
  accounts, assets, and every amount and time cut or rounded to the digits the statement writes. A duplicate is passed over.
- What a statement does not state (order id, USD prices, price where it follows from the cost) is not compared.
- A trade is compared by what was given and received, so the order of base and quote does not matter.
- Everything else is a conflict: both values are shown, and nothing of the file is booked. Nothing is ever merged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_UP, Decimal
from typing import Final, NamedTuple

from arbot.domain.errors import Mistake
from arbot.domain.history import FillLine, HistoryLine, OpeningLine, TransferLine, parse_ts
from arbot.domain.units import EXACT, ZERO, fmt
from arbot.ledger.history.codes import CONFLICT, coded
from arbot.tax.statements.common import Movement, Statement, total

Booked = Callable[[str], HistoryLine | None]
"""Finds the booked line of an id."""

_ROUNDINGS: Final = (ROUND_DOWN, ROUND_HALF_UP, ROUND_HALF_EVEN, ROUND_UP)  # what statements do is not documented
_NS_DIGITS: Final = 9


class Difference(NamedTuple):
    """A field that does not agree: as the statement and as the ledger have it."""

    field: str
    statement: str
    ledger: str


class Conflict(NamedTuple):
    """An event that statement and ledger tell differently."""

    line_id: str
    where: str
    differences: tuple[Difference, ...]

    @property
    def mistake(self) -> Mistake:
        """Return the conflict as the user is told it."""
        told = "; ".join(f"{field} {said} here, {had} in the ledger" for field, said, had in self.differences)
        remedy = "find out which is right; --keep-ledger keeps what is booked and passes these rows over"
        return Mistake(f"{self.where}, {self.line_id}", coded(told, CONFLICT), remedy)


class Matched(NamedTuple):
    """A statement beside the ledger. `covered` are ids of open movements that a booked transfer explains."""

    new: list[HistoryLine]
    duplicates: list[str]
    conflicts: list[Conflict]
    covered: frozenset[str]


def _settles_nothing(_line: HistoryLine) -> bool:
    return False


def match(statement: Statement, booked: Booked, settles: Callable[[HistoryLine], bool] = _settles_nothing) -> Matched:
    """Return which lines are new, booked, or in conflict. `settles`: the line says what the booked one left open."""
    new: list[HistoryLine] = []
    duplicates: list[str] = []
    conflicts: list[Conflict] = []
    for line in statement.lines:
        known = _booked_as(line, booked)
        if known is None:
            new.append(line)
            continue
        differences = tuple(compare(line, known, statement.decimals, statement.ts_digits))
        if differences and settles(line):
            new.append(line)
        elif differences:
            conflicts.append(Conflict(line.id, statement.where(line.id), differences))
        else:
            duplicates.append(line.id)
    covered: set[str] = set()
    for movement in statement.unmatched:
        transfer = booked(movement.line_id)
        if not isinstance(transfer, TransferLine):
            continue
        covered.add(movement.line_id)
        differences = tuple(_compare_movement(movement, transfer, statement))
        if differences:
            where = f"{statement.path.name} row {', '.join(map(str, movement.rows))}"
            conflicts.append(Conflict(transfer.id, where, differences))
        else:
            duplicates.append(transfer.id)
    return Matched(new, duplicates, conflicts, frozenset(covered))


def compare(said: HistoryLine, had: HistoryLine, decimals: dict[str, int], ts_digits: int) -> Iterator[Difference]:
    """Yield every field in which a statement's line and a booked line do not agree."""
    if type(said) is not type(had):
        yield Difference("kind", _kind(said), _kind(had))
        return
    if not is_time_equal(parse_ts(said.ts), parse_ts(had.ts), ts_digits):
        yield Difference("ts", said.ts, had.ts)
    if isinstance(said, FillLine) and isinstance(had, FillLine):
        yield from _compare_fills(said, had, decimals)
    elif isinstance(said, TransferLine) and isinstance(had, TransferLine):
        yield from _texts(said, had, ("src", "dst", "asset"))
        yield from _amounts(said, had, ("sent", "received"), dict.fromkeys(("sent", "received"), said.asset), decimals)
        if said.ts_in is not None and had.ts_in is not None and parse_ts(said.ts_in) != parse_ts(had.ts_in):
            yield Difference("ts_in", said.ts_in, had.ts_in)
    elif isinstance(said, OpeningLine) and isinstance(had, OpeningLine):
        yield from _texts(said, had, ("venue", "asset"))
        yield from _amounts(said, had, ("amount", "basis"), {"amount": said.asset}, decimals)
        if parse_ts(said.acquired) != parse_ts(had.acquired):
            yield Difference("acquired", said.acquired, had.acquired)
    else:
        yield from _texts(said, had, ("venue", "asset", "why"))
        asset = said.asset  # type: ignore[union-attr]
        yield from _amounts(said, had, ("amount",), {"amount": asset}, decimals)


def is_equal(said: Decimal, had: Decimal, digits: int) -> bool:
    """Return whether `had`, cut or rounded to `digits` after the point, is what the statement says."""
    if said == had:
        return True
    if not digits:  # a column of whole numbers tells nothing about rounding
        return False
    step = Decimal(1).scaleb(-digits)
    return any(had.quantize(step, rounding, EXACT_QUIET) == said for rounding in _ROUNDINGS)


EXACT_QUIET: Final = EXACT.copy()
EXACT_QUIET.clear_traps()
"""Rounds on purpose: digits are meant to be lost here."""


def is_time_equal(said_ns: int, had_ns: int, digits: int) -> bool:
    """Return whether two instants agree at `digits` of the second, cut or rounded."""
    step_ns = 10 ** (_NS_DIGITS - digits) if digits < _NS_DIGITS else 1
    return abs(said_ns - had_ns) < step_ns


def sides_of(line: FillLine) -> tuple[str, Decimal, str, Decimal]:
    """Return asset and amount given, asset and amount received, before fees."""
    if line.side == "buy":
        return line.quote, line.cost, line.base, line.amount
    return line.base, line.amount, line.quote, line.cost


def _compare_fills(said: FillLine, had: FillLine, decimals: dict[str, int]) -> Iterator[Difference]:
    if said.venue != had.venue:
        yield Difference("venue", said.venue, had.venue)
    for way, mine, theirs in zip(("gives", "gets"), _pairs(said), _pairs(had), strict=True):
        if mine[0] != theirs[0] or not is_equal(mine[1], theirs[1], decimals.get(mine[0], 0)):
            yield Difference(way, f"{fmt(mine[1])} {mine[0]}", f"{fmt(theirs[1])} {theirs[0]}")
    is_free = said.fee == ZERO == had.fee
    if not is_free and (said.fee_ccy != had.fee_ccy or not is_equal(said.fee, had.fee, decimals.get(said.fee_ccy, 0))):
        yield Difference("fee", f"{fmt(said.fee)} {said.fee_ccy}", f"{fmt(had.fee)} {had.fee_ccy}")
    if said.order_id and had.order_id and said.order_id != had.order_id:
        yield Difference("order_id", said.order_id, had.order_id)


def _pairs(line: FillLine) -> tuple[tuple[str, Decimal], tuple[str, Decimal]]:
    given, given_qty, received, received_qty = sides_of(line)
    return (given, given_qty), (received, received_qty)


def _compare_movement(movement: Movement, transfer: TransferLine, statement: Statement) -> Iterator[Difference]:
    is_out = movement.amount < 0
    account, qty = (transfer.src, transfer.sent) if is_out else (transfer.dst, transfer.received)
    stated = total([abs(movement.amount), movement.fee if is_out else -movement.fee])
    if (movement.account, movement.asset) != (account, transfer.asset):
        yield Difference("account", f"{movement.account} {movement.asset}", f"{account} {transfer.asset}")
    digits = statement.decimals.get(movement.asset, 0)
    if not is_equal(stated, qty, digits):
        yield Difference("sent" if is_out else "received", fmt(stated), fmt(qty))


def _texts(said: HistoryLine, had: HistoryLine, fields: tuple[str, ...]) -> Iterator[Difference]:
    for field in fields:
        mine, theirs = getattr(said, field, ""), getattr(had, field, "")
        if mine != theirs:
            yield Difference(field, mine, theirs)


def _amounts(
    said: HistoryLine, had: HistoryLine, fields: tuple[str, ...], assets: dict[str, str], decimals: dict[str, int]
) -> Iterator[Difference]:
    for field in fields:
        mine, theirs = getattr(said, field), getattr(had, field)
        if not is_equal(mine, theirs, decimals.get(assets.get(field, ""), 0)):
            yield Difference(field, fmt(mine), fmt(theirs))


def _booked_as(line: HistoryLine, booked: Booked) -> HistoryLine | None:
    """Return the booked line of this id; a fill named for its product may be booked under the bare trade id."""
    known = booked(line.id)
    if known is not None or not isinstance(line, FillLine) or (bare := bare_id(line.id)) == line.id:
        return known
    other = booked(bare)
    return other if isinstance(other, FillLine) and {other.base, other.quote} == {line.base, line.quote} else None


def bare_id(line_id: str) -> str:
    """Return account and trade id without the product between them."""
    account, _, rest = line_id.partition(":")
    return f"{account}:{rest.rpartition(':')[2]}"


def _kind(line: HistoryLine) -> str:
    return str(line.__struct_config__.tag)
