"""Rules for moving our own money between venues, and the one door to it: the only place where ApprovedTransfer is made.

They fail closed: what a venue has not said lately of a network is a no. The order of TRANSFER_RULES is the order of
reasons. A refusal has what was measured against what is allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import NamedTuple

from arbot.domain.decisions import Reason
from arbot.domain.events import TransferRequested
from arbot.domain.ids import Asset, VenueId
from arbot.domain.registry import NodeKind
from arbot.domain.transfer import (
    ApprovedTransfer,
    Network,
    NetworkTerms,
    TransferId,
    TransferIntent,
    TransferState,
    TypicalFee,
)
from arbot.domain.units import ONE, WIDE, ZERO, ceil_to_step, div
from arbot.engine.config import AllowedAddress, TransferLimits
from arbot.engine.delays import P99, route_delay
from arbot.engine.health import is_quarantined
from arbot.engine.risk.calm import calm_of
from arbot.engine.risk.exposure import share_max, table_of
from arbot.engine.risk.plan import Breach, Plan
from arbot.engine.state import State

DAY_NS = 86_400_000_000_000
MINUTE_NS = 60_000_000_000
CENT = Decimal("0.01")
FEE_ROOM = Decimal("1.5")  # a network fee may rise by this between the venue's word and the withdrawal


class Request(NamedTuple):
    """A transfer that is asked for, with everything the rules may look at."""

    state: State
    event: TransferRequested
    name: TransferId

    @property
    def limits(self) -> TransferLimits:
        """The configured bounds."""
        return self.state.config.transfers.limits

    @property
    def asset(self) -> Asset:
        """What is to be moved."""
        return Asset(self.event.asset)

    def entries(self) -> tuple[AllowedAddress, ...]:
        """Return the allow-list's entries for exactly this target, asset and network: one, or it is not allowed."""
        wanted = (self.event.target, self.event.asset, self.event.network)
        allow = self.state.config.transfers.allow
        return tuple(one for one in allow if (one.venue, one.asset, one.network) == wanted)

    def terms(self, venue: VenueId) -> NetworkTerms | None:
        """Return what a venue said of asset and network, None when it said nothing."""
        return self.state.venue(venue).networks.get((self.asset, self.event.network))

    @property
    def typical(self) -> TypicalFee | None:
        """What the source usually takes on this route, None when it neither told nor took any."""
        return self.state.network_fees.get((self.event.source, self.asset, self.event.network))

    @property
    def fee(self) -> Decimal | None:
        """What the source takes now, by its own word; else what our own transfers paid. None: neither is known."""
        terms, typical = self.terms(self.event.source), self.typical
        if terms is not None and terms.is_told:
            return terms.fee
        return typical.fee if typical is not None and typical.is_paid else None

    @property
    def fee_max(self) -> Decimal | None:
        """The most the source may take, and the most that may go missing on the way; None when nothing bounds it.

        Of a source that tells no fee it is what the allow-list grants, if that is anything.
        """
        terms, fee = self.terms(self.event.source), self.fee
        granted = ZERO if terms is not None and terms.is_told else self.entries()[0].fee_max
        return granted or (None if fee is None else fee * FEE_ROOM)


Rule = Callable[[Request], Breach | None]


def enabled(request: Request) -> Breach | None:
    """Refuse every transfer unless the config says that money may leave a venue."""
    return None if request.state.config.transfers.is_enabled else Breach(Reason.TRANSFERS_OFF)


def not_stopped(request: Request) -> Breach | None:
    """Refuse while killed, halted, paused or draining."""
    standing = request.state.standing
    if standing.killed:
        return Breach(Reason.KILLED)
    if standing.draining:
        return Breach(Reason.DRAINING)
    return Breach(Reason.PAUSED) if standing.paused or standing.halted else None


def venues_ready(request: Request) -> Breach | None:
    """Require of two different venues of ours: account streams up, reconciled, and the target not in quarantine.

    Money may leave a venue that is not well: that is what it should do.
    """
    event, state = request.event, request.state
    if event.source == event.target:
        return Breach(Reason.NOT_ALLOW_LISTED)
    for venue in (event.source, event.target):
        if venue not in state.config.venues or not state.venue(venue).is_account_up:
            return Breach(Reason.VENUE_NOT_READY)
        if not state.venue(venue).is_reconciled:
            return Breach(Reason.NOT_RECONCILED, Decimal(len(state.venue(venue).differences)))
    return Breach(Reason.VENUE_QUARANTINED) if is_quarantined(state, request.event.target) else None


def allow_listed(request: Request) -> Breach | None:
    """Require exactly one allow-listed address for this target, asset and network; another network is a mismatch."""
    if len(request.entries()) == 1:
        return None
    event, allow = request.event, request.state.config.transfers.allow
    other = [one for one in allow if (one.venue, one.asset) == (event.target, event.asset)]
    reason = Reason.NETWORK_MISMATCH if other and not request.entries() else Reason.NOT_ALLOW_LISTED
    return Breach(reason, Decimal(len(request.entries())), ONE)


def tag_present(request: Request) -> Breach | None:
    """Require a tag (memo) where the registry says that the network needs one: without it coins are lost in a pool."""
    needs_tag = request.state.config.registry.network(request.event.network).needs_tag
    return Breach(Reason.TAG_MISSING) if needs_tag and not request.entries()[0].tag else None


def networks_open(request: Request) -> Breach | None:
    """Require both ends' recent word that this network is theirs and open, and a fee that is told, granted or known."""
    event, limit = request.event, request.limits.terms_minutes_max
    for venue in (event.source, event.target):
        told_ns = request.state.venue(venue).networks_ts_ns
        age_min = (request.state.now_ns - told_ns) // MINUTE_NS
        if not told_ns or age_min > limit:
            return Breach(Reason.TERMS_UNKNOWN, Decimal(age_min if told_ns else -1), Decimal(limit))
    source, target = request.terms(event.source), request.terms(event.target)
    if source is None or target is None:
        return Breach(Reason.NETWORK_MISMATCH)
    if request.fee_max is None:
        return Breach(Reason.TERMS_UNKNOWN)
    if not source.can_withdraw:
        return Breach(Reason.WITHDRAWALS_CLOSED)
    return None if target.can_deposit else Breach(Reason.DEPOSITS_CLOSED)


def minimum(request: Request) -> Breach | None:
    """Require the source's minimum withdrawal and the target's minimum deposit."""
    event = request.event
    stated = [terms.qty_min for venue in (event.source, event.target) if (terms := request.terms(venue)) is not None]
    least = max(stated, default=ZERO)
    return Breach(Reason.BELOW_MINIMUM, event.qty, least) if event.qty <= 0 or event.qty < least else None


def fee_usual(request: Request) -> Breach | None:
    """Require a network fee of at most `fee_factor_max` times its running median: a jam shows in fees first.

    Of a source that tells no fee nothing can be seen beforehand; the allow-list's `fee_max` bounds it.
    """
    fee, typical = request.fee, request.typical
    if fee is None:
        return None
    if typical is None:
        return Breach(Reason.TERMS_UNKNOWN)
    limit = typical.fee * request.limits.fee_factor_max
    return Breach(Reason.NETWORK_FEE, fee, limit) if fee > limit else None


def nothing_stuck(request: Request) -> Breach | None:
    """Refuse while a transfer of this asset, or any over this network, is later than its route allows."""
    now, limit = request.state.now_ns, request.limits.overdue_quantile
    for one in request.state.unsettled.values():
        if one.state is TransferState.STUCK and (one.asset == request.asset or one.network == request.event.network):
            age_ns = now - (one.sent_ts_ns or one.requested_ts_ns)
            law = route_delay(request.state, one.source, one.asset, one.network)
            return Breach(Reason.TRANSFER_OVERDUE, law.share_within(age_ns), limit)
    return None


def nothing_unnamed(request: Request) -> Breach | None:
    """Refuse a second withdrawal while the source has not named the first: by asset and time they are one in its history."""
    unnamed = [
        one
        for one in request.state.unsettled.values()
        if (one.source, one.asset) == (request.event.source, request.asset)
        and not one.venue_transfer_id
        and not one.state.is_terminal
    ]
    return Breach(Reason.TRANSFER_REPEATED, Decimal(len(unnamed))) if unnamed else None


def balance(request: Request) -> Breach | None:
    """Require that what is available at the source covers the quantity and the highest fee."""
    available = request.state.available(request.event.source, request.asset)
    if available is None:
        return Breach(Reason.BALANCE_UNKNOWN)
    if request.fee_max is None:
        return Breach(Reason.TERMS_UNKNOWN)
    needed = request.event.qty + request.fee_max
    return Breach(Reason.BALANCE_SHORT, available, needed) if available < needed else None


def transit_network(request: Request) -> Breach | None:
    """Allow `transit_network_max` in flight on one network, at stressed prices."""
    network = request.event.network
    return _transit(request, request.limits.transit_network_max, lambda other: other == network)


def transit_total(request: Request) -> Breach | None:
    """Allow `transit_total_max` in flight on all networks, at stressed prices."""
    return _transit(request, request.limits.transit_total_max, lambda _: True)


def target_room(request: Request) -> Breach | None:
    """Require that the target stays within its cap with all that would arrive; a venue that pays out late has less of one.

    All is this transfer and every other that is on its way there, also those that are still their sources' to lose.
    """
    event, state = request.event, request.state
    target, source = (_entity(state, one) for one in (event.target, event.source))
    table, node = table_of(state), (NodeKind.VENUE, target)
    if target == source or table.whole <= 0:
        return None
    arriving = {request.asset: event.qty}
    for one in state.unsettled.values():
        if _entity(state, one.target) == target and _entity(state, one.source) != target:
            counted = one.qty if one.holder == one.target else ZERO
            arriving[one.asset] = arriving.get(one.asset, ZERO) + one.qty_to_come - counted
    value = table.exposure.get(node, ZERO)
    for asset, qty in arriving.items():
        rate = state.rate(asset)
        if rate is None:
            return Breach(Reason.PRICE_UNKNOWN)
        value += qty * rate
    share = div(value, table.whole)
    limit = share_max(state, node)
    return Breach(Reason.COUNTERPARTY_SHARE, round(share, 4), limit) if share > limit else None


def confirmed(request: Request) -> Breach | None:
    """Require of a transfer worth more than `confirm_above` that it was asked for before, refused, and confirmed."""
    event, limit = request.event, request.limits.confirm_above
    rate = request.state.rate(request.asset)
    if rate is None:
        return Breach(Reason.PRICE_UNKNOWN)
    value = event.qty * rate
    terms, until_ns = request.state.unconfirmed.get(event.request_key, (None, 0))
    asked = (event.source, event.target, request.asset, event.network, event.qty)
    is_second = event.is_confirmed and terms == asked and request.state.now_ns <= until_ns
    return Breach(Reason.CONFIRMATION_NEEDED, value, limit) if value > limit and not is_second else None


TRANSFER_RULES: tuple[Rule, ...] = (
    enabled,
    not_stopped,
    venues_ready,
    allow_listed,
    tag_present,
    networks_open,
    minimum,
    fee_usual,
    nothing_stuck,
    nothing_unnamed,
    balance,
    transit_network,
    transit_total,
    target_room,
    confirmed,
)
_RULE_NAMES = tuple(rule.__name__ for rule in TRANSFER_RULES)


def judge_transfer(request: Request) -> ApprovedTransfer | Breach:
    """Return the approval of a transfer, or the first rule's breach."""
    for rule in TRANSFER_RULES:
        breach = rule(request)
        if breach is not None:
            return breach
    event, entry, fee_max = request.event, request.entries()[0], request.fee_max
    if fee_max is None:
        return Breach(Reason.TERMS_UNKNOWN)
    intent = TransferIntent(
        transfer=request.name,
        source=event.source,
        target=event.target,
        asset=request.asset,
        network=event.network,
        address=entry.address,
        tag=entry.tag,
        key=entry.key,
        qty=event.qty,
        fee_max=fee_max,
        requested_ts_ns=request.state.now_ns,
        actor=event.actor,
        request_key=event.request_key,
    )
    return ApprovedTransfer(intent, _RULE_NAMES)


def stressed_value(state: State, source: VenueId, asset: Asset, network: Network, qty: Decimal) -> Decimal | None:
    """Return what a quantity under way may be worth after a bad move for as long as one transfer in a hundred takes.

    price x (1 + stress_vol_day x root of the route's p99 in days); the reporting currency itself does not move. None
    without a price.
    """
    rate = state.rate(asset)
    if rate is None:
        return None
    if asset == state.config.ccy:
        return qty
    days = div(Decimal(route_delay(state, source, asset, network).quantile_ns(P99)), Decimal(DAY_NS))
    return qty * rate * (ONE + state.config.transfers.limits.stress_vol_day * WIDE.sqrt(days))


def _transit(request: Request, limit: Decimal, counts: Callable[[Network], bool]) -> Breach | None:
    event, state = request.event, request.state
    under_way: Iterator[tuple[VenueId, Asset, Network, Decimal]] = (
        (one.source, one.asset, one.network, one.qty_to_come) for one in state.unsettled.values() if counts(one.network)
    )
    total = ZERO
    for part in ((event.source, request.asset, event.network, event.qty), *under_way):
        value = stressed_value(state, *part)
        if value is None:
            return Breach(Reason.PRICE_UNKNOWN)
        total += value
    return Breach(Reason.TRANSIT_VALUE, ceil_to_step(total, CENT), limit) if total > limit else None


def _entity(state: State, venue: VenueId) -> str:
    return state.config.registry.venue(venue).entity or venue


# --- what a stuck transfer means for arbs ----------------------------------------------------------------------------


def transfer_overdue(plan: Plan) -> Breach | None:
    """Refuse an arb whose coins would have to go the way on which a transfer is stuck, to even out what it shifts.

    An arb piles up the base where it buys and the quote where it sells. Trading against the stuck way needs no transfer:
    it brings the coins where the stuck ones were to go.
    """
    state, stuck = plan.state, calm_of(plan.state).stuck
    if not stuck:
        return None
    for route in (
        (plan.buy.venue, plan.sell.venue, plan.buy.base),
        (plan.sell.venue, plan.buy.venue, plan.sell.quote),
    ):
        one = stuck.get(route)
        if one is not None:
            age_ns = state.now_ns - (one.sent_ts_ns or one.requested_ts_ns)
            law = route_delay(state, one.source, one.asset, one.network)
            limit_ns = law.quantile_ns(state.config.transfers.limits.overdue_quantile)
            return Breach(Reason.TRANSFER_OVERDUE, Decimal(age_ns // MINUTE_NS), Decimal(limit_ns // MINUTE_NS))
    return None
