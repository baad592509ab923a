"""What stablecoins are worth in the currency of their peg, from live two-sided books. No parity is assumed anywhere.

Rules:
- A book speaks when it is valid, lately heard of, has both sides, and these are not far apart. It says its mid.
- The median over the venues is the rate: one venue's wick, or one venue that is cut off, is outvoted by the others.
- A coin is off its peg when the middle one of three looks is outside the band, and on it again only after `peg_return_s`
  within a narrower one. Looks are timers and therefore journaled; a strategy's look at books changes nothing here.
- No book, no rate: what is not known is not traded. The one exception is the reporting currency itself when no book
  measures it: money is then told in the coin, and what it may lose is for the caps of its issuer.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from arbot.domain.commands import Severity
from arbot.domain.decisions import PegChanged
from arbot.domain.ids import Asset, InstrumentId
from arbot.domain.order import Side
from arbot.domain.units import ONE, ZERO, div, median, share_bps
from arbot.engine.state import State
from arbot.engine.step import Step
from arbot.engine.watching import PegState

TIMER = "pegs"
MS, S = 1_000_000, 1_000_000_000
LOOKS = 3  # of which the middle one decides


def rate(state: State, coin: Asset) -> Decimal | None:
    """Return what a coin is worth now in the currency of its peg, or None when no book says so."""
    peg = Asset(state.config.registry.asset(coin).peg)
    direct = _median_in(state, coin, peg)
    if direct is not None or _is_listed(state, coin, peg):
        return direct
    ccy = state.config.ccy
    if ccy in (coin, peg):
        return None
    ours, theirs = _median_in(state, coin, ccy), _median_in(state, peg, ccy)
    return None if ours is None or theirs is None else div(ours, theirs)


def off_bps(worth: Decimal) -> Decimal:
    """Return how far a rate is from its peg, in bps and without sign."""
    return abs(share_bps(worth - ONE, ONE))


def watch(state: State, step: Step) -> None:
    """Take the stablecoins among the traded assets under watch, after instruments changed.

    One that is off its peg stays until it is measured to be on it: also when the venue that measures it is yet to come.
    """
    coins = [asset for asset in state.assets if _is_measurable(state, asset)]
    coins += [coin for coin in depegged(state) if coin not in coins]
    state.pegs = {coin: state.pegs.get(coin) or PegState() for coin in coins}
    if coins:
        step.timer(TIMER, state.now_ns + state.config.pegs.peg_look_ms * MS)


def depegged(state: State) -> tuple[Asset, ...]:
    """Return the coins that are off their pegs, for the store."""
    return tuple(coin for coin, known in state.pegs.items() if known.is_off)


def restore(state: State, coins: Iterable[Asset]) -> None:
    """Hold these coins for off their pegs, as the last run did; they have to hold them for the whole time anew."""
    for coin in coins:
        state.pegs[coin] = PegState(is_off=True)


def look(state: State, step: Step) -> None:
    """Measure every coin under watch, and have it done again."""
    for coin, known in state.pegs.items():
        worth = rate(state, coin)
        known.is_known = worth is not None
        if worth is None:
            known.looks.clear()
            known.inside_since_ns = 0
            continue
        known.rate = worth
        known.looks.append(worth)
        if len(known.looks) > LOOKS:
            known.looks.popleft()
        if len(known.looks) == LOOKS:
            _judge(state, step, coin, known, median(known.looks))
    if state.pegs:
        step.timer(TIMER, state.now_ns + state.config.pegs.peg_look_ms * MS)


def _judge(state: State, step: Step, coin: Asset, known: PegState, worth: Decimal) -> None:
    policy, away_bps = state.config.pegs, off_bps(worth)
    if not known.is_off:
        if away_bps > policy.peg_band_bps:
            _change(step, coin, known, worth, policy.peg_band_bps, is_off=True)
        return
    if away_bps > policy.peg_return_bps:
        known.inside_since_ns = 0
        return
    known.inside_since_ns = known.inside_since_ns or state.now_ns
    if state.now_ns - known.inside_since_ns >= policy.peg_return_s * S:
        _change(step, coin, known, worth, policy.peg_return_bps, is_off=False)


def _change(step: Step, coin: Asset, known: PegState, worth: Decimal, bound: Decimal, *, is_off: bool) -> None:
    known.is_off, known.inside_since_ns = is_off, 0
    step.decide(PegChanged(asset=coin, is_depegged=is_off, rate=worth, bound=bound))
    told = round(worth, 6)
    if is_off:
        text = f"{coin} is worth {told}, more than {bound} bps off its peg: nothing is opened in it"
        step.alert(Severity.WARNING, "depegged", text)
    else:
        step.alert(Severity.INFO, "repegged", f"{coin} is worth {told} and has held its peg: it is traded again")


def _is_measurable(state: State, asset: Asset) -> bool:
    """Return whether a coin has a peg, and is more than the unit in which all else is told."""
    peg = Asset(state.config.registry.asset(asset).peg)
    return bool(peg) and peg != asset and (asset != state.config.ccy or _is_listed(state, asset, peg))


def _is_listed(state: State, asset: Asset, unit: Asset) -> bool:
    return bool(state.markets.get((asset, unit)) or state.markets.get((unit, asset)))


def _median_in(state: State, asset: Asset, unit: Asset) -> Decimal | None:
    """Return the median over all books of what an asset is worth in another, or None when none of them speaks."""
    worths = [_mid(state, one) for one in state.markets.get((asset, unit), ())]
    turned = [_mid(state, one) for one in state.markets.get((unit, asset), ())]
    heard = [mid for mid in worths if mid > 0] + [div(ONE, mid) for mid in turned if mid > 0]
    return median(heard) if heard else None


def _mid(state: State, instrument: InstrumentId) -> Decimal:
    """Return the mid of a book that speaks, zero of one that does not."""
    policy, known = state.config.pegs, state.instruments[instrument]
    age_ms, _ = state.book_age_ms(known)
    if not state.market.state(instrument).is_valid or not 0 <= age_ms <= policy.peg_book_age_ms_max:
        return ZERO
    ask, bid = state.market.best(instrument, Side.BUY), state.market.best(instrument, Side.SELL)
    if ask is None or bid is None or bid.price <= 0 or ask.price < bid.price:
        return ZERO
    if share_bps(ask.price - bid.price, bid.price) > policy.peg_book_gap_bps_max:
        return ZERO
    return (ask.price + bid.price) / 2
