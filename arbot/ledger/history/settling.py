"""What is still open of a journal's history once imported lines are seen beside it, and what the whole comes to.

Rules of this file:
- An imported line settles by id (restating.py), coins from elsewhere also by the network's transaction id; what a venue held
  at first is settled by quantity: as many lines as it takes, as long as they add up to the last digit.
- What remains open names the account, the asset and the amount, and has a draft of the line that settles it. A draft has "?"
  where only a person knows, so that it cannot be imported unread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Final, NamedTuple

import msgspec

from arbot.domain.history import CASH, DepositLine, HistoryLine, OpeningLine, Placed, TransferLine, format_ts
from arbot.domain.units import EXACT, ZERO, fmt
from arbot.ledger.history.evidence import Pricing
from arbot.ledger.history.journaled import Journaled, Unmatched
from arbot.ledger.history.movements import ELSEWHERE
from arbot.ledger.history.reading import head_of
from arbot.ledger.history.restating import differing, effects, is_same_content
from arbot.ledger.history.snapshots import Held, Opening
from arbot.ledger.history.writing import canonical
from arbot.ledger.lots.words import OpenItem

DIFFERENCE: Final = "unexplained_difference"
"""The code of what venue and history disagree about."""

DRAFTS: Final = "`arbot ledger openings > FILE`, complete the line in it, `arbot ledger import FILE`"
PRETEND_NOTE: Final = "pretend money, at its value when first seen"


class Settled(NamedTuple):
    """`lines` are those of the journal, in order; imported lines whose id is in `skipped` do not pass beside them."""

    lines: list[Placed]
    skipped: frozenset[str]
    items: list[OpenItem]
    drafts: list[str]
    notes: list[str]


class _Sums(NamedTuple):
    """What imported lines moved at venues that the journal knows, by (venue, asset)."""

    before: dict[tuple[str, str], Decimal]  # explains the opening
    after: dict[tuple[str, str], Decimal]  # moves what the newest snapshot counts
    arrived: dict[tuple[str, str], Decimal]  # by (venue, transaction id), of transfers


def settle(
    journaled: Journaled,
    twins: Mapping[str, HistoryLine],
    imported: Callable[[], Iterable[Placed]],
    *,
    is_pretend: bool,
) -> Settled:
    """Return the journal's own lines as they stand beside imported ones. `twins` are imported lines under our ids.

    `imported` is gone through once, and only when the journal knows a venue.
    """
    return _Settling(journaled, twins, is_pretend=is_pretend).run(imported)


class _Settling:
    def __init__(self, journaled: Journaled, twins: Mapping[str, HistoryLine], *, is_pretend: bool) -> None:
        self._journaled = journaled
        self._twins = twins
        self._is_pretend = is_pretend
        self._unmatched = {one.id: one for one in journaled.unmatched}
        self._skipped: set[str] = set()
        self._lines: list[Placed] = []
        self._items: list[OpenItem] = list(journaled.items)
        self._drafts: list[str] = []
        self._notes: list[str] = list(journaled.notes)

    def run(self, imported: Callable[[], Iterable[Placed]]) -> Settled:
        for placed in self._journaled.lines:
            self._own(placed)
        sums = self._sums(imported)
        for one in self._journaled.unmatched:
            self._open_end(one, sums)
        for opening in self._journaled.openings:
            self._open(opening, sums)
        for held in self._journaled.held:
            self._compare(held, sums)
        self._lines.sort(key=lambda placed: (placed.ts_ns, placed.seq))
        self._drafts.sort(key=lambda draft: head_of(draft)[2])  # as a file has to have them
        return Settled(self._lines, frozenset(self._skipped), self._items, self._drafts, self._notes)

    # --- line against line ----------------------------------------------------------------------------------------------

    def _own(self, placed: Placed) -> None:
        line, twin = placed.line, self._twins.get(placed.line.id)
        pricing = self._journaled.unpriced.get(line.id)
        if twin is None:
            if pricing is not None:
                self._unpriced(placed, pricing)
            self._lines.append(placed)
        elif is_same_content(line, twin):
            self._skipped.add(line.id)
            self._lines.append(self._completed(placed, twin, pricing))
        elif self._is_restated(placed, twin):
            pass  # the imported line passes in its place
        else:
            self._skipped.add(line.id)
            self._lines.append(placed)
            self._conflict(line.id, differing(line, twin), placed.seq)

    def _is_restated(self, placed: Placed, twin: HistoryLine) -> bool:
        """Say whether a person told anew what a movement or an adjustment was, moving its account by as much."""
        line = placed.line
        if line.id not in self._unmatched and ":adjustment:" not in line.id:
            return False
        account = line.src if isinstance(line, TransferLine) else getattr(line, "venue", "")
        ours = [(one.asset, one.number) for one in effects(line, 0) if one.account == account]
        return ours == [(one.asset, one.number) for one in effects(twin, 0) if one.account == account]

    def _completed(self, placed: Placed, twin: HistoryLine, pricing: Pricing | None) -> Placed:
        """Return our line with the twin's prices where ours has none, or one of another hour."""
        line = placed.line
        if pricing is None:
            return placed
        wanted = [asset for asset in (*pricing.missing, *pricing.stale) if asset in twin.px]
        left = pricing._replace(
            missing=tuple(asset for asset in pricing.missing if asset not in wanted),
            stale=tuple(asset for asset in pricing.stale if asset not in wanted),
        )
        px = line.px | {asset: twin.px[asset] for asset in wanted}
        px_src = line.px_src | {asset: twin.px_src.get(asset, "imported") for asset in wanted}
        whole = placed._replace(line=msgspec.structs.replace(line, px=px, px_src=px_src))
        if left.missing or left.stale:
            self._unpriced(whole, left)
        return whole

    def _unpriced(self, placed: Placed, pricing: Pricing) -> None:
        line = placed.line
        draft = canonical(line)
        if pricing.missing:
            names = ", ".join(pricing.missing)
            what = f"no book priced {names} when it happened"
            self._items.append(
                OpenItem("missing_price", line.id, what, f"{DRAFTS}: with the price of {names} in px", placed.seq)
            )
            gaps = ", ".join(f'"{asset}": "?"' for asset in pricing.missing)
            told = '"px": {' + gaps
            draft = draft.replace('"px": {', f"{told}, ", 1) if line.px else draft[:-1] + f", {told}}}}}"
        if pricing.stale:
            names = ", ".join(pricing.stale)
            what = f"the price of {names} is of another hour: {'; '.join(line.px_src[one] for one in pricing.stale)}"
            self._items.append(
                OpenItem("stale_price", line.id, what, f"{DRAFTS}: with a price of its hour in px", placed.seq)
            )
        self._drafts.append(draft)

    def _conflict(self, where: str, what: str, seq: int) -> None:
        remedy = f"look {where} up at the venue; if the imported line is wrong, import its file anew without it into a new ledger"
        self._items.append(
            OpenItem("conflict", where, f"imported with other content than the journal has: {what}", remedy, seq)
        )

    # --- open ends ------------------------------------------------------------------------------------------------------

    def _open_end(self, one: Unmatched, sums: _Sums) -> None:
        twin = self._twins.get(one.id)
        if twin is not None:
            if one.is_deposit:
                moved = [(e.asset, e.number) for e in effects(twin, 0) if e.account == one.venue]
                if moved != [(one.asset, one.qty)]:
                    self._skipped.add(one.id)
                    self._conflict(
                        one.id, f"{one.venue} got {fmt(one.qty)} {one.asset}, the line says otherwise", one.seq
                    )
            return
        if one.is_deposit and one.tx_id and sums.arrived.get((one.venue, one.tx_id)) == one.qty:
            return
        if one.is_deposit and self._is_pretend and one.asset in one.pricing.px:
            self._pretend(one.id, one.venue, one.asset, one.qty, one.ts_ns, 0, one.pricing)
            return
        came = "came from" if one.is_deposit else "went to"
        what = f"{fmt(one.qty)} {one.asset} {came} an account nobody named ({one.venue}, {format_ts(one.ts_ns)}"
        what += f", transaction {one.tx_id})" if one.tx_id else ")"
        self._items.append(OpenItem("unmatched_transfer", one.id, what, DRAFTS, one.seq))
        self._drafts.append(_draft_of_end(one))

    # --- what was there at first ----------------------------------------------------------------------------------------

    def _open(self, opening: Opening, sums: _Sums) -> None:
        wanted = {one.asset: (one.qty, one.pricing) for one in opening.holdings}
        for (venue, asset), _ in sorted(sums.before.items()):
            if venue == opening.venue and asset not in wanted:
                wanted[asset] = (ZERO, Pricing({}, {}, {}, (), ()))
        for asset, (qty, pricing) in wanted.items():
            left = EXACT.subtract(qty, sums.before.get((opening.venue, asset), ZERO))
            name = f"opening:{opening.venue}:{asset}"
            if left < 0:
                what = f"imported history has {fmt(-left)} {asset} more than {opening.venue} held at its first snapshot"
                remedy = f"find what is missing or too much before {format_ts(opening.seen_ns)} and import it"
                self._items.append(OpenItem(DIFFERENCE, f"{opening.venue} {asset}", what, remedy, opening.seq))
            elif left and asset in CASH:
                line = DepositLine(
                    id=name, ts=format_ts(opening.ts_ns), px=pricing.px, fx=pricing.fx, px_src=pricing.px_src,
                    venue=opening.venue, asset=asset, amount=left, note="held when first seen",
                )  # fmt: skip
                self._lines.append(Placed(line, opening.ts_ns, 0))
            elif left:
                self._open_coin(name, opening, asset, left, pricing)

    def _open_coin(self, name: str, opening: Opening, asset: str, left: Decimal, pricing: Pricing) -> None:
        if self._is_pretend and asset in pricing.px:
            self._pretend(name, opening.venue, asset, left, opening.ts_ns, 0, pricing)
            return
        if self._is_pretend and not self._is_touched(opening.venue, asset):
            self._notes.append(
                f"{opening.venue} holds {fmt(left)} {asset} of pretend money: never priced nor moved, no line"
            )
            return
        what = f"{opening.venue} held {fmt(left)} {asset} when the ledger first saw it, acquired for what nobody told"
        self._items.append(
            OpenItem("no_basis", name, what, f"{DRAFTS}: with basis and time of acquisition", opening.seq)
        )
        self._drafts.append(_draft_of_opening(name, opening.venue, asset, left, opening.ts_ns, pricing))

    def _is_touched(self, venue: str, asset: str) -> bool:
        moved = (one for placed in self._lines for one in effects(placed.line, placed.ts_ns))
        return any((one.account, one.asset) == (venue, asset) for one in moved)

    def _pretend(  # noqa: PLR0917 - one per field of the line
        self, name: str, venue: str, asset: str, qty: Decimal, ts_ns: int, seq: int, pricing: Pricing
    ) -> None:
        text = format_ts(ts_ns)
        line = OpeningLine(
            id=name, ts=text, px=pricing.px, fx=pricing.fx, px_src=pricing.px_src, note=PRETEND_NOTE,
            venue=venue, asset=asset, amount=qty, basis=EXACT.multiply(qty, pricing.px[asset]), acquired=text,
        )  # fmt: skip
        self._lines.append(Placed(line, ts_ns, seq))

    # --- balances -------------------------------------------------------------------------------------------------------

    def _compare(self, held: Held, sums: _Sums) -> None:
        known = {one.asset: one for one in held.balances}
        for one in held.balances:
            lacking = one.lacks(sums.after.get((held.venue, one.asset), ZERO))
            if lacking:
                since = f"they agreed at journal {one.tied_seq}" if one.tied_seq else "they never agreed"
                ours = EXACT.subtract(one.theirs, lacking)
                self._differs(held, one.asset, ours, one.theirs, since)
        for (venue, asset), number in sorted(sums.after.items()):
            if venue == held.venue and asset not in known and number:
                self._differs(held, asset, number, ZERO, "the venue does not list it")

    def _differs(self, held: Held, asset: str, ours: Decimal, theirs: Decimal, since: str) -> None:
        lacking = fmt(EXACT.subtract(theirs, ours))
        what = f"history has {fmt(ours)} {asset}, {held.venue} said {fmt(theirs)} at journal {held.seq}; {since}"
        remedy = f'find the cause; then `arbot ledger adjust {held.venue} {asset} {lacking} --reason "..."`'
        self._items.append(OpenItem(DIFFERENCE, f"{held.venue} {asset}", what, remedy, held.seq))

    def _sums(self, imported: Callable[[], Iterable[Placed]]) -> _Sums:
        """Add up what imported lines moved at the journal's venues, those that restate ours left out."""
        sums = _Sums({}, {}, {})
        openings = {one.venue: one for one in self._journaled.openings}
        held = {one.venue: one for one in self._journaled.held}
        if not openings:
            return sums
        for line, ts_ns, seq in imported():
            if line.id in self._skipped:
                continue
            if isinstance(line, TransferLine) and line.txid:
                sums.arrived[line.dst, line.txid] = line.received
            own = self._unmatched.get(line.id)
            for account, asset, number, at_ns in effects(line, ts_ns):
                opening = openings.get(account)
                is_told = (own is not None and own.venue == account) or f"{account}:adjustment:" in line.id
                if opening is None or is_told or self._is_arrival(line, account):
                    continue
                key = (account, asset)
                if at_ns <= opening.seen_ns and seq > opening.seq:
                    sums.before[key] = EXACT.add(sums.before.get(key, ZERO), number)
                elif account in held and (seq < opening.seq or at_ns <= held[account].ts_ns):
                    sums.after[key] = EXACT.add(sums.after.get(key, ZERO), number)
        return sums

    def _is_arrival(self, line: HistoryLine, account: str) -> bool:
        """Say whether a transfer brings a deposit that the journal has already."""
        if not isinstance(line, TransferLine) or account != line.dst or not line.txid:
            return False
        return any(
            one.is_deposit and one.venue == account and line.txid == one.tx_id for one in self._journaled.unmatched
        )


def _draft_of_opening(name: str, venue: str, asset: str, qty: Decimal, ts_ns: int, pricing: Pricing) -> str:  # noqa: PLR0917
    """Return an opening whose basis is proposed from the price of the moment, or left open, to be checked by a person."""
    text = format_ts(ts_ns)
    basis = EXACT.multiply(qty, pricing.px[asset]) if asset in pricing.px else ZERO
    note = "CHECK: the basis is the value when first seen; write what was paid, and in acquired when"
    line = OpeningLine(
        id=name, ts=text, px=pricing.px, px_src=pricing.px_src, note=note if basis else "CHECK: no price was known",
        venue=venue, asset=asset, amount=qty, basis=basis, acquired=text,
    )  # fmt: skip
    draft = canonical(line)
    return draft if basis else draft.replace('"basis": "0"', '"basis": "?"', 1)


def _draft_of_end(one: Unmatched) -> str:
    if one.is_deposit:
        return _draft_of_opening(one.id, one.venue, one.asset, one.qty, one.ts_ns, one.pricing)
    line = TransferLine(
        id=one.id, ts=format_ts(one.ts_ns), px=one.pricing.px, px_src=one.pricing.px_src, ts_in=None, src=one.venue,
        dst=ELSEWHERE, asset=one.asset, sent=one.qty, received=one.qty, fee=ZERO, txid=one.tx_id,
        note="CHECK: name the account it went to, when it arrived, and how much; or write it as a spend",
    )  # fmt: skip
    return canonical(line).replace(f'"dst": "{ELSEWHERE}"', '"dst": "?"', 1)
