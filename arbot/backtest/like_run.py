"""What a recorded run really came to, beside what the model makes of the same market: the difference by cause.

What happened is the journal's, told to the collector that replays use, over books played from the run's own tape, from
the moment trading was first allowed to the end. The model starts there too, with the balances the ledger had then and
the fees the venues had told; of a venue whose instruments have unlike fees, the dearest. Only the declines of what happened are the run's own count at its end, since looks that came to nothing are not journaled; a
replay leaves out looks at routes that rest, so that its counts of declines are lower by nature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

import msgspec
import numpy as np

from arbot.backtest.collect import Collector
from arbot.backtest.result import Replayed, Scenario
from arbot.backtest.run_tape import RunTape
from arbot.domain.accounting import Transaction
from arbot.domain.decisions import TradingStateChanged
from arbot.domain.errors import Mistake, UserError
from arbot.domain.events import FeesLoaded, InstrumentsLoaded, ReconciliationEnded, RunEnded
from arbot.domain.ids import Asset, InstrumentId, VenueId
from arbot.domain.instrument import Instrument
from arbot.domain.units import EXACT, ZERO
from arbot.engine.config import EngineConfig
from arbot.journal.store import SqlStore, StoredRun
from arbot.ledger.accounts import venue_assets
from arbot.market.books import Books
from arbot.ports import Record
from arbot.settings.model import PretendAccount, Settings

Holdings = dict[VenueId, dict[Asset, Decimal]]
BPS = Decimal(10_000)
SAMPLE_NS = 60_000_000_000
_NO_WINDOWS = np.empty((0, 5), np.int64)


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a run that can be compared: from the first moment of trading to the end, and what was held then."""

    run_id: str
    first_seq: int
    first_ts_ns: int
    last_ts_ns: int
    instruments: tuple[Instrument, ...]
    held: Holdings
    rates_bps: dict[VenueId, tuple[Decimal, Decimal]]  # maker and taker


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One cause: what the model says, what happened, and the former less the latter."""

    cause: str
    modelled: Decimal
    happened: Decimal

    @property
    def difference(self) -> Decimal:
        """Model less reality."""
        return self.modelled - self.happened


def span_of(store: SqlStore, run: StoredRun, venues: Iterable[VenueId]) -> Span:
    """Return the span of a run. Raises: UserError when it never traded."""
    instruments: dict[InstrumentId, Instrument] = {}
    held = _held_before(store, run, venues)
    rates_bps: dict[VenueId, tuple[Decimal, Decimal]] = {}
    first: Record | None = None
    last_ts_ns = 0
    for record in store.iter_run(run.epoch):
        event = record.envelope.event
        last_ts_ns = record.envelope.ts_ns
        if isinstance(event, InstrumentsLoaded):
            instruments |= {one.id: one for one in event.instruments if one.id not in instruments}
        if isinstance(event, FeesLoaded) and event.fees and event.venue not in rates_bps:
            dearest = max(fee.maker for fee in event.fees), max(fee.taker for fee in event.fees)
            rates_bps[event.venue] = dearest[0] * BPS, dearest[1] * BPS
        if first is None:
            _post(held, record.transactions, EXACT.add)
            if any(isinstance(one, TradingStateChanged) and one.may_open for one in record.outcome.decisions):
                first = record
    if first is None or any(venue not in rates_bps for venue in held):
        raise UserError(Mistake("--like-run", f"run {run.run_id} was never ready to trade", "choose another run"))
    return Span(
        run_id=run.run_id,
        first_seq=first.envelope.seq,
        first_ts_ns=first.envelope.ts_ns,
        last_ts_ns=last_ts_ns,
        instruments=tuple(instruments.values()),
        held=held,
        rates_bps=rates_bps,
    )


def recorded_run(  # noqa: PLR0917 - what a run is made of
    store: SqlStore,
    run: StoredRun,
    span: Span,
    recorded: RunTape,
    config: EngineConfig,
    depths: Callable[[VenueId], int],
) -> Replayed:
    """Return what a run came to, as a replay would tell it. Raises: UserError for a tape that cannot be read."""
    books = Books()
    tapes = [recorded.book(one, books.add(one, depths(one.venue))) for one in span.instruments]
    held = {venue: dict(assets) for venue, assets in span.held.items()}
    collector = Collector(
        ccy=config.ccy,
        instruments=span.instruments,
        market=books,
        balances=lambda: held,
        scenario=Scenario.REALISTIC,
        limits=config.limits,
    )
    digest, declined, sampled_ns = "", dict[str, int](), 0
    differences: dict[VenueId, int] = {}  # found when it was last compared
    for record in store.iter_run(run.epoch):
        envelope = record.envelope
        for tape in tapes:
            tape.play_until(books, envelope.seq)
        if isinstance(envelope.event, ReconciliationEnded):
            differences[envelope.event.venue] = envelope.event.differences
        if envelope.seq <= span.first_seq:
            continue
        collector.observe(envelope, record.outcome)
        _post(held, record.transactions, EXACT.add)
        if envelope.ts_ns - sampled_ns >= SAMPLE_NS:
            collector.sample(envelope.ts_ns)
            sampled_ns = envelope.ts_ns
        if isinstance(envelope.event, RunEnded):
            digest = envelope.event.digest
            declined = {one.reason: one.count for one in envelope.event.declined}
    replayed = collector.replayed(
        digest=digest,
        now_ns=span.last_ts_ns,
        windows=_NO_WINDOWS,
        instrument=books.instrument,
        ledger_matches_venues=all(differences.get(venue, 1) == 0 for venue in held),
        deposits=ZERO,
        transfer_costs=ZERO,
    )
    totals = msgspec.structs.replace(replayed.totals, opportunities_declined=declined)
    return msgspec.structs.replace(replayed, totals=totals)


def as_it_was(settings: Settings, span: Span) -> Settings:
    """Return settings whose pretend accounts hold and pay what the run's did when it began to trade."""
    accounts = {}
    for venue, held in span.held.items():
        maker_bps, taker_bps = span.rates_bps[venue]
        accounts[str(venue)] = PretendAccount.model_construct(
            balances={str(asset): number for asset, number in held.items()}, maker_bps=maker_bps, taker_bps=taker_bps
        )
    return settings.model_copy(update={"paper": settings.paper.model_copy(update={"venues": accounts})})


_CAUSES: tuple[tuple[str, Callable[[Replayed], Decimal]], ...] = (
    ("edge", lambda one: one.split.edge),
    ("slippage", lambda one: one.split.slippage),
    ("unwinds", lambda one: one.split.unwinds),
    ("fees", lambda one: -one.split.fees),
    ("net", lambda one: one.split.edge + one.split.slippage + one.split.unwinds - one.split.fees),
    ("arbs", lambda one: Decimal(one.totals.arbs_opened)),
    ("missed", lambda one: Decimal(one.totals.arbs_missed)),
    ("stranded", lambda one: Decimal(one.totals.arbs_stranded)),
    ("orders", lambda one: Decimal(one.orders)),
    ("rejects", lambda one: Decimal(one.rejects)),
    ("fills", lambda one: Decimal(len(one.fills))),
    ("volume", lambda one: one.totals.volume_quote),
    ("fill_ratio", lambda one: Decimal(str(round(one.fill_ratio, 6)))),
    ("latency_ms", lambda one: Decimal(str(round(one.latency_ms, 3)))),
    ("unhedged_s_max", lambda one: one.totals.unhedged_seconds_max),
)


def difference(modelled: Replayed, happened: Replayed) -> tuple[Difference, ...]:
    """Return the model beside what happened, cause by cause. Money in the reporting currency; costs are below zero."""
    rows = [Difference(cause=cause, modelled=of(modelled), happened=of(happened)) for cause, of in _CAUSES]
    told = [one.totals.opportunities_declined for one in (modelled, happened)]
    for reason in sorted({*told[0], *told[1]}):
        ours, theirs = (Decimal(counts.get(reason, 0)) for counts in told)
        rows.append(Difference(cause=f"declined:{reason}", modelled=ours, happened=theirs))
    return tuple(rows)


def _held_before(store: SqlStore, run: StoredRun, venues: Iterable[VenueId]) -> Holdings:
    """Return what the ledger had before a run: what it has now, less all that was posted since."""
    held = {venue: dict(store.balances(venue_assets(venue))) for venue in venues}
    for one in store.runs():
        if one.epoch >= run.epoch:
            for record in store.iter_run(one.epoch):
                _post(held, record.transactions, EXACT.subtract)
    return held


def _post(held: Holdings, transactions: Iterable[Transaction], sign: Callable[[Decimal, Decimal], Decimal]) -> None:
    accounts = {venue_assets(venue): assets for venue, assets in held.items()}
    for transaction in transactions:
        for posting in transaction.postings:
            assets = accounts.get(posting.account)
            if assets is not None:
                assets[posting.asset] = sign(assets.get(posting.asset, ZERO), posting.number)
