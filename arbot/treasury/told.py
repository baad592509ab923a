"""What the venues last told us, out of the journal: instruments, fees, networks. And what our own arbs have carried since.

It only reads. What a venue never told is missing here, and the planner says so; nothing is filled in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

import msgspec

from arbot.domain.events import Event, FeesLoaded, InstrumentsLoaded, NetworksReported
from arbot.domain.instrument import FeeRate, Instrument
from arbot.domain.order import Fill
from arbot.domain.transfer import NetworkTerms
from arbot.domain.units import BPS_PER_ONE, ZERO, div
from arbot.journal.queries import StoredFill
from arbot.journal.store import SqlStore
from arbot.treasury.problem import Rebound

LEARN_H = Decimal(7 * 24)
"""Our own arbs of so many hours say what comes by itself."""

ARBS_MIN = 20
"""Fewer arbs say nothing about the rest of the day."""

HOURS_MIN = Decimal(1)
_HOUR_NS = 3_600_000_000_000
_TOLD = (InstrumentsLoaded, FeesLoaded, NetworksReported)


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """The newest word of each venue. `networks_ts_ns` is when it was said."""

    instruments: Mapping[tuple[str, str], Instrument]  # (venue, symbol)
    fees: Mapping[str, FeeRate]  # by instrument id
    networks: Mapping[str, tuple[NetworkTerms, ...]]
    networks_ts_ns: Mapping[str, int]


class Learned(msgspec.Struct, frozen=True, kw_only=True):
    """What our own arbs say. `missed_bps_per_h` is 0 where they say nothing or earned nothing."""

    rebounds: tuple[Rebound, ...]
    missed_bps_per_h: Decimal
    arbs: int
    hours: Decimal


def last_told(store: SqlStore, venues: Sequence[str]) -> Told:
    """Return the newest report of every kind from every venue; what was never told is not in it."""
    newest: dict[tuple[type[Event], str], tuple[int, Event]] = {}
    for kind in _TOLD:
        waited = set(venues)
        for entry in store.iter_journal_back((kind.__name__,)):
            event = entry.record.envelope.event
            if isinstance(event, kind) and event.venue in waited:
                newest[kind, event.venue] = entry.record.envelope.ts_ns, event
                waited.discard(event.venue)
            if not waited:
                break
    found = [event for _, event in newest.values()]
    return Told(
        instruments={
            (one.venue, one.symbol): one
            for event in found
            if isinstance(event, InstrumentsLoaded)
            for one in event.instruments
        },
        fees={rate.instrument: rate for event in found if isinstance(event, FeesLoaded) for rate in event.fees},
        networks={event.venue: event.networks for event in found if isinstance(event, NetworksReported)},
        networks_ts_ns={event.venue: ts_ns for ts_ns, event in newest.values() if isinstance(event, NetworksReported)},
    )


def last_prices(fills: Iterable[StoredFill]) -> dict[str, Decimal]:
    """Return the price of the newest fill of every instrument."""
    return {stored.fill.instrument: stored.fill.price for stored in fills}


def learned(fills: Sequence[StoredFill], worth: Mapping[str, Decimal], *, capital: Decimal, now_ns: int) -> Learned:
    """Return what our arbs carried from where to where an hour, what that earned, and what capital earned by it.

    Fills come oldest first. An arb that sold at one venue and bought at another has carried its base from the first to the
    second.
    """
    if not fills:
        return Learned(rebounds=(), missed_bps_per_h=ZERO, arbs=0, hours=ZERO)
    hours = max(HOURS_MIN, div(Decimal(now_ns - fills[0].ts_ns), Decimal(_HOUR_NS)))
    by_arb: dict[str, list[Fill]] = {}
    for stored in fills:
        if stored.arb_id is not None:
            by_arb.setdefault(stored.arb_id, []).append(stored.fill)
    values: dict[tuple[str, str, str], Decimal] = {}
    earned: dict[tuple[str, str, str], Decimal] = {}
    for arb in by_arb.values():
        for way, value, gain in _carried(arb, worth):
            values[way] = values.get(way, ZERO) + value
            earned[way] = earned.get(way, ZERO) + gain
    rebounds = tuple(
        Rebound(
            asset=way[0],
            source=way[1],
            target=way[2],
            value_per_h=div(value, hours),
            cost_bps=-div(earned[way], value) * BPS_PER_ONE,
        )
        for way, value in sorted(values.items())
    )
    profit = sum(earned.values(), ZERO)
    says_much = len(by_arb) >= ARBS_MIN and profit > 0 and capital > 0
    missed = div(profit * BPS_PER_ONE, capital * hours) if says_much else ZERO
    return Learned(rebounds=rebounds, missed_bps_per_h=missed, arbs=len(by_arb), hours=hours)


def _carried(
    arb: Sequence[Fill], worth: Mapping[str, Decimal]
) -> Iterator[tuple[tuple[str, str, str], Decimal, Decimal]]:
    """Yield (asset, from, to), value and gain of an arb whose one base left one venue and came to another."""
    bases = dict.fromkeys(fill.base for fill in arb)
    if len(bases) != 1 or any(name not in worth for fill in arb for name in (fill.base, fill.quote, fill.fee.asset)):
        return  # a triangle carries no base from venue to venue, and what has no price has no gain
    base = next(iter(bases))
    moved: dict[str, Decimal] = {}
    gain = ZERO
    for fill in arb:
        moved[fill.venue] = moved.get(fill.venue, ZERO) + fill.base_delta
        gain += fill.base_delta * worth[base] + fill.quote_delta * worth[fill.quote]
        if fill.fee.asset not in (fill.base, fill.quote):
            gain -= fill.fee.number * worth[fill.fee.asset]
    source, target = min(moved, key=lambda venue: moved[venue]), max(moved, key=lambda venue: moved[venue])
    qty = min(-moved[source], moved[target])
    if qty > 0:
        yield (base, source, target), qty * worth[base], gain
