"""How long venues took to answer us, from the bot's own journal: from OrderSent to the first answer about that order.

An order whose answer was lost is left out, since what came of it was learned by asking; so is one that was refused for
a rate limit, which our own limiter may have done without the venue. Times are the journal's: our clock, both ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from arbot.domain.errors import Mistake, UserError
from arbot.domain.events import (
    OrderAccepted,
    OrderFilled,
    OrderRejected,
    OrderSent,
    RejectCode,
    RequestOutcomeUnknown,
)
from arbot.domain.ids import ClientOrderId, VenueId

if TYPE_CHECKING:
    from arbot.journal.store import JournalEntry, SqlStore

COUNT_MIN = 20
_KINDS = tuple(kind.__name__ for kind in (OrderSent, OrderAccepted, OrderFilled, OrderRejected, RequestOutcomeUnknown))


def answer_times(
    url: str, venues: Sequence[VenueId], *, now_ns: Callable[[], int], run_id: str = ""
) -> dict[VenueId, tuple[int, ...]]:
    """Return for each venue how many ns its answers took, sorted, from the store at `url`: of one run or of all.

    Nothing is opened when no venue is asked for. Raises: UserError without a store or such a run, and when a venue has
    fewer than COUNT_MIN measurements.
    """
    if not venues:
        return {}
    from arbot.journal.store import Access, SqlStore  # noqa: PLC0415 - SQLAlchemy, and most backtests measure nothing

    store = SqlStore.open(url, now_ns=now_ns, access=Access.READ)
    try:
        epoch = _epoch_of(store, run_id)
        found = measured(store.iter_journal(kinds=_KINDS, epoch=epoch), store.order_venues())
        where = store.database.name
    finally:
        store.close()
    mistakes = [
        Mistake(
            where,
            f"{len(found.get(venue, ()))} measured answers of {venue}, {COUNT_MIN} are needed",
            'name a longer run in backtest.latency_run, or set latency = "lognormal"',
        )
        for venue in venues
        if len(found.get(venue, ())) < COUNT_MIN
    ]
    if mistakes:
        raise UserError(*mistakes)
    return {venue: found[venue] for venue in venues}


def measured(entries: Iterable[JournalEntry], venue_of: dict[ClientOrderId, VenueId]) -> dict[VenueId, tuple[int, ...]]:
    """Return the answer times in some journal entries by venue, sorted."""
    sent_ns: dict[ClientOrderId, int] = {}
    times: dict[VenueId, list[int]] = {}
    for entry in entries:
        envelope = entry.record.envelope
        match envelope.event:
            case OrderSent(client_order_id=name):
                sent_ns[name] = envelope.ts_ns
            case (
                OrderRejected(client_order_id=name, code=RejectCode.RATE_LIMITED)
                | RequestOutcomeUnknown(client_order_id=name)
            ):
                sent_ns.pop(name, None)
            case OrderAccepted(client_order_id=name) | OrderRejected(client_order_id=name):
                _note(times, venue_of, name, sent_ns.pop(name, None), envelope.ts_ns)
            case OrderFilled(fill=fill):
                name = fill.client_order_id
                _note(times, venue_of, name, sent_ns.pop(name, None), envelope.ts_ns)
    return {venue: tuple(sorted(found)) for venue, found in times.items()}


def _note(
    times: dict[VenueId, list[int]],
    venue_of: dict[ClientOrderId, VenueId],
    name: ClientOrderId,
    sent_ns: int | None,
    answered_ns: int,
) -> None:
    if sent_ns is not None and name in venue_of:
        times.setdefault(venue_of[name], []).append(answered_ns - sent_ns)


def _epoch_of(store: SqlStore, run_id: str) -> int:
    """Return the epoch of a run; 0, which stands for all of them, when none is named. Raises: UserError."""
    if not run_id:
        return 0
    runs = {run.run_id: run.epoch for run in store.runs()}
    if run_id not in runs:
        known = ", ".join(list(runs)[-5:]) or "none"
        raise UserError(Mistake("backtest.latency_run", f"the store has no run {run_id!r}", f"the newest are: {known}"))
    return runs[run_id]
