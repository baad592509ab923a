"""What assets were worth when something taxable happened to them, with the evidence, decided in the step that learns of it.

Rules of this file:
- A price comes from live books, as `State.rate` has it: the mid of the one book that was heard of lately, or the median
  over several. An asset without a book in the reporting currency is priced over one that has it. No parity is assumed.
- Without a book, the fill itself says what its base was worth in its quote; else the last price known, which says when.
- What nothing prices is told as missing, and tried again with the balances and fills that follow, for `TRIED_NS`.
- Nothing is decided on these prices: they are for the ledger's readers, and not part of the engine's digest.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

import msgspec

from arbot.domain.book import Level
from arbot.domain.decisions import PriceSeen, Valued
from arbot.domain.events import AccountSnapshotReceived, AdjustmentRecorded, MovementState, TransferReported
from arbot.domain.ids import Asset, InstrumentId
from arbot.domain.order import Fill, Side
from arbot.domain.units import ONE, ZERO, div, median
from arbot.engine.state import State
from arbot.engine.step import Step

TRIED_NS = 3_600 * 1_000_000_000
USD = Asset("USD")  # taxable lines are priced in it, whatever the reporting currency is


class _Quote(NamedTuple):
    """The touch of one book."""

    instrument: InstrumentId
    bid: Level
    ask: Level
    recv_ts_ns: int

    @property
    def mid(self) -> Decimal:
        return (self.bid.price + self.ask.price) / 2


def of_fill(state: State, step: Step, fill: Fill) -> None:
    """Value base, quote and fee asset of a fill that is new."""
    assets = [fill.base, fill.quote]
    if fill.fee.number:
        assets.append(fill.fee.asset)
    _value(state, step, f"fill|{fill.venue}|{fill.venue_order_id}|{fill.trade_id}", assets, fill)


def of_movement(state: State, step: Step, report: TransferReported) -> None:
    """Value a deposit or withdrawal when it first moves money; later states of it need no price."""
    is_moving = report.state is not MovementState.FAILED and (report.qty < 0 or report.state is MovementState.DONE)
    key = (report.venue, report.transfer_id)
    if is_moving and key not in state.movements_valued:
        state.movements_valued[key] = None
        _value(state, step, f"transfer|{report.venue}|{report.transfer_id}", (Asset(report.asset),))


def of_adjustment(state: State, step: Step, adjustment: AdjustmentRecorded) -> None:
    """Value what a person booked."""
    _value(state, step, f"adjustment|{adjustment.venue}|{adjustment.asset}", (Asset(adjustment.asset),))


def of_opening(state: State, step: Step, snapshot: AccountSnapshotReceived) -> None:
    """Value all that a venue holds, at the first snapshot of a run."""
    assets = [balance.asset for balance in snapshot.balances if balance.total]
    _value(state, step, f"opening|{snapshot.venue}", assets)


def try_again(state: State, step: Step) -> None:
    """Price what had no price when it was asked for; give it up after `TRIED_NS`."""
    for subject, (assets, since_ns) in list(state.unvalued.items()):
        found, missing = _prices(state, assets, None)
        if found:
            step.decide(Valued(subject=subject, prices=found, missing=missing))
        if not missing or state.now_ns - since_ns > TRIED_NS:
            del state.unvalued[subject]
        elif found:
            state.unvalued[subject] = (missing, since_ns)


def note(state: State) -> None:
    """Remember what all traded assets are worth, for when no book says so."""
    for asset in state.assets:
        if asset != state.config.ccy:
            _live(state, asset)


def _value(state: State, step: Step, subject: str, assets: Iterable[Asset], fill: Fill | None = None) -> None:
    ccy = state.config.ccy
    wanted = dict.fromkeys(asset for asset in assets if asset != ccy)
    if ccy != USD:
        wanted[USD] = None
    if not wanted:
        return
    prices, missing = _prices(state, tuple(wanted), fill)
    step.decide(Valued(subject=subject, prices=prices, missing=missing))
    if missing:
        state.unvalued[subject] = (missing, state.now_ns)


def _prices(
    state: State, assets: tuple[Asset, ...], fill: Fill | None
) -> tuple[tuple[PriceSeen, ...], tuple[Asset, ...]]:
    """Return the prices there are, and the assets without one."""
    found: dict[Asset, PriceSeen] = {}
    for asset in assets:
        seen = _live(state, asset)
        if seen is not None:
            found[asset] = seen
    if fill is not None and fill.base in assets and fill.base not in found:
        own = _of_itself(state, fill, found.get(fill.quote))
        if own is not None:
            found[fill.base] = own
    for asset in assets:
        if asset not in found and asset in state.prices_seen:
            last = state.prices_seen[asset]
            found[asset] = msgspec.structs.replace(last, source=f"{last.source}, the last known")
    prices = tuple(found[asset] for asset in assets if asset in found)
    return prices, tuple(asset for asset in assets if asset not in found)


def _of_itself(state: State, fill: Fill, quote: PriceSeen | None) -> PriceSeen | None:
    """Return what a fill says of its base, when its quote has a price."""
    ccy = state.config.ccy
    worth = ONE if fill.quote == ccy else ZERO if quote is None else quote.price
    if not worth:
        return None
    source = f"{fill.venue} {fill.base}/{fill.quote} trade {fill.trade_id}"
    if quote is not None:
        source += f" x {quote.source}"
    return PriceSeen(
        asset=fill.base, price=fill.price * worth, ccy=ccy, source=source, quoted_ts_ns=fill.venue_ts_ns or state.now_ns
    )


# --- from books -------------------------------------------------------------------------------------------------------


def _live(state: State, asset: Asset) -> PriceSeen | None:
    """Return what live books say now, and remember it."""
    seen = _direct(state, asset) or _crossed(state, asset)
    if seen is not None:
        state.prices_seen[asset] = seen
    return seen


def _direct(state: State, asset: Asset) -> PriceSeen | None:
    """Return the price by books against the reporting currency, in either direction."""
    ccy = state.config.ccy
    quotes = _heard(state, state.pricing.get(asset, ()))
    if quotes:
        return _seen(state, asset, quotes, median([one.mid for one in quotes]))
    quotes = _heard(state, state.markets.get((ccy, asset), ()))
    return _seen(state, asset, quotes, div(ONE, median([one.mid for one in quotes])), turned=True) if quotes else None


def _crossed(state: State, asset: Asset) -> PriceSeen | None:
    """Return the price by books against another asset that is priced itself."""
    for (base, quote), instruments in state.markets.items():
        if base != asset or quote == state.config.ccy:
            continue
        ours = _heard(state, instruments)
        theirs = _direct(state, quote) if ours else None
        if theirs is None:
            continue
        mid = median([one.mid for one in ours])
        return PriceSeen(
            asset=asset,
            price=mid * theirs.price,
            ccy=state.config.ccy,
            source=f"{_words(state, ours)} x {theirs.source}",
            quoted_ts_ns=min(theirs.quoted_ts_ns, *(one.recv_ts_ns for one in ours)),
        )
    return None


def _heard(state: State, instruments: Iterable[InstrumentId]) -> list[_Quote]:
    """Return the touch of every valid book that was heard of lately, of the older ones when there is none."""
    fresh: list[_Quote] = []
    stale: list[_Quote] = []
    heard_ns = state.now_ns - state.config.limits.book_age_recv_ms_max * 1_000_000
    for instrument in instruments:
        book = state.market.state(instrument)
        if not book.is_valid:
            continue
        ask, bid = state.market.best(instrument, Side.BUY), state.market.best(instrument, Side.SELL)
        if ask is not None and bid is not None and bid.price > 0:
            quote = _Quote(instrument, bid, ask, book.recv_ts_ns)
            (fresh if book.recv_ts_ns >= heard_ns else stale).append(quote)
    return fresh or stale


def _seen(state: State, asset: Asset, quotes: list[_Quote], price: Decimal, *, turned: bool = False) -> PriceSeen:
    one = quotes[0] if len(quotes) == 1 and not turned else None
    return PriceSeen(
        asset=asset,
        price=price,
        ccy=state.config.ccy,
        source=f"1 / {_words(state, quotes)}" if turned else _words(state, quotes),
        quoted_ts_ns=min(quote.recv_ts_ns for quote in quotes),
        bid=(ZERO, ZERO) if one is None else (one.bid.price, one.bid.qty),
        ask=(ZERO, ZERO) if one is None else (one.ask.price, one.ask.qty),
    )


def _words(state: State, quotes: list[_Quote]) -> str:
    """Return which books these are, such as "kraken BTC/USD mid"."""
    known = [state.instruments[quote.instrument] for quote in quotes]
    names = ", ".join(f"{one.venue} {one.symbol}" for one in known)
    return f"{names} mid" if len(known) == 1 else f"median of mids of {names}"
