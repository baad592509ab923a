"""What stands on what: every balance, open order and transfer, added up by the node that could take it away.

Rules of the count:

- A venue counts with the other venues of its entity: what lies there, what live orders may still bring, and what is in
  flight and its to lose. Fills are in the balances at once, so that nothing is left "unsettled" between the two.
- A transfer counts once (`Transfer.qty` is exactly what is in neither balance): at its source as long as the network has
  not got it, since the source may never send what it has taken off; from then on at its target and on its chain.
- Live orders bring what they buy: the base of a buy, the quote of a sell, at their limit prices. What they would pay is not
  taken off before they fill.
- Fiat is at the venue's banks, coins are with its custodian. Which of several banks has it is not known: each counts in full.
- What the registry does not say stands on the node "unknown". A cap or a loss is put on an unknown bank, custodian or cloud
  only where the registry's [[share_max]] names it: two venues of which nobody told us the bank may not stop each other.
- Values are by the rates last noted in a journaled step, so that a replay without the looks between comes to the same.
"""

from __future__ import annotations

import decimal
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from arbot.domain.ids import Asset, VenueId, venue_of
from arbot.domain.order import Side
from arbot.domain.registry import UNKNOWN_NODE, NodeKind, Registry
from arbot.domain.units import ONE, WIDE, ZERO, div
from arbot.engine.config import EngineConfig
from arbot.engine.delays import P99, route_delay
from arbot.engine.health import cap_factor
from arbot.engine.risk.table import ExposureTable, Node, Stand
from arbot.engine.state import Arb, State, Transfer

DAY_NS = Decimal(86_400_000_000_000)
UNKNOWN_IS_FREE = (NodeKind.BANK, NodeKind.CUSTODIAN, NodeKind.CLOUD, NodeKind.CHAIN)


class CapLine(NamedTuple):
    """A node with what stands on it against its cap, both in the reporting currency. `limit` is None without a cap."""

    node: Node
    value: Decimal
    limit: Decimal | None


def stands(registry: Registry, venue: VenueId, asset: Asset) -> Iterator[Stand]:
    """Yield everything that an amount of an asset at a venue stands on."""
    place, coin = registry.venue(venue), registry.asset(asset)
    yield Stand((NodeKind.VENUE, place.entity or venue), place.loss_share)
    if coin.issuer:
        yield Stand((NodeKind.ISSUER, coin.issuer), coin.loss_share)
    if coin.is_fiat:
        for bank in dict.fromkeys(place.banks or (UNKNOWN_NODE,)):
            yield Stand((NodeKind.BANK, bank), ONE)
    else:
        yield Stand((NodeKind.CUSTODIAN, place.custodian or UNKNOWN_NODE), ONE)
    yield Stand((NodeKind.CLOUD, place.cloud or UNKNOWN_NODE), ZERO)


def is_judged(config: EngineConfig, node: Node) -> bool:
    """Return whether caps and losses apply to a node.

    To the unknown ones, and to the issuer of the reporting currency, only where the registry says so: who counts in a coin
    has chosen to hold it, and in its own unit it never loses.
    """
    kind, name = node
    registry = config.registry
    if node in registry.share_max:
        return True
    if kind is NodeKind.ISSUER and name == registry.asset(config.ccy).issuer:
        return False
    return name != UNKNOWN_NODE or kind not in UNKNOWN_IS_FREE


def share_max(state: State, node: Node) -> Decimal:
    """Return the share of capital that may stand on a node: the registry's word for it, else that of its kind.

    A venue's shrinks with its conduct: the worst of the entity's venues decides.
    """
    kind, name = node
    config = state.config
    caps = config.exposure
    by_kind = {
        NodeKind.VENUE: config.limits.counterparty_share_max,
        NodeKind.ISSUER: caps.issuer_share_max,
        NodeKind.BANK: caps.bank_share_max,
        NodeKind.CUSTODIAN: caps.custodian_share_max,
        NodeKind.CHAIN: caps.chain_share_max,
        NodeKind.CLOUD: caps.cloud_share_max,
    }
    share = config.registry.share_max.get(node, by_kind[kind])
    if kind is NodeKind.VENUE:
        members = [one for one in state.health if (config.registry.venue(one).entity or one) == name]
        share *= min((cap_factor(state, one) for one in members), default=ONE)
    return share


def room(state: State, node: Node) -> Decimal | None:
    """Return how much more may stand on a node, below zero when it is too much already; None without a cap."""
    if not is_judged(state.config, node):
        return None
    table = table_of(state)
    return share_max(state, node) * table.whole - table.exposure.get(node, ZERO)


def cap_lines(state: State) -> tuple[CapLine, ...]:
    """Return every node that something stands on, the fullest first within its kind. For people; decides nothing."""
    table = table_of(state)
    lines = [
        CapLine(node, value, share_max(state, node) * table.whole if is_judged(state.config, node) else None)
        for node, value in table.exposure.items()
    ]
    kinds = list(NodeKind)
    return tuple(sorted(lines, key=lambda line: (kinds.index(line.node[0]), -line.value, line.node[1])))


def table_of(state: State) -> ExposureTable:
    """Return the table of this version of the state, built when first asked for.

    It is kept only while every rate in it was noted by a journaled step: who asks first, and when, must not matter.
    """
    kept = state.exposure_table
    if kept is not None and kept[0] == state.version:
        return kept[1]
    with decimal.localcontext(WIDE):  # whoever asks: a page that is looked at must not leave other digits behind
        table = _Adder(state).table()
    if table.is_lasting:
        state.exposure_table = (state.version, table)
    return table


class _Adder:
    """Builds one table."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._registry = state.config.registry
        self._table = ExposureTable()
        self._rates: dict[Asset, Decimal] = {}
        self._unpriced: dict[Asset, None] = {}
        self._amounts: dict[tuple[VenueId, Asset], Decimal] = {}

    def table(self) -> ExposureTable:
        """Return the table."""
        state, table = self._state, self._table
        for venue, known in state.venues.items():
            for asset in state.assets:
                total = known.totals.get(asset, ZERO)
                if total:
                    self._hold(venue, asset, total * self._rate(asset))
        self._transit()
        for order in state.live.values():
            intent = order.intent
            value = order.remaining_qty * intent.limit_price * self._rate(intent.quote)
            self._put(intent.venue, intent.base if intent.side is Side.BUY else intent.quote, value)
        for arb in state.unfinished.values():
            self._open(arb)
        for asset, qty in state.carried.items():
            if qty:
                self._residual(qty * self._rate(asset), ZERO, ZERO)
        self._spread()
        table.unpriced = tuple(self._unpriced)
        return table

    def _rate(self, asset: Asset) -> Decimal:
        rate = self._rates.get(asset)
        if rate is None:
            noted = ONE if asset == self._state.config.ccy else self._state.last_rate.get(asset)
            live = self._state.rate(asset) if noted is None else noted
            if noted is None:
                self._table.is_lasting = False
            if live is None:
                self._unpriced[asset] = None
            rate = self._rates[asset] = ZERO if live is None else live
        return rate

    def _hold(self, venue: VenueId, asset: Asset, value: Decimal) -> None:
        self._table.whole += value
        self._put(venue, asset, value)

    def _put(self, venue: VenueId, asset: Asset, value: Decimal) -> None:
        place = (venue, asset)
        self._amounts[place] = self._amounts.get(place, ZERO) + value

    def _spread(self) -> None:
        """Put each amount on all that it stands on: once for a venue and asset, however many things make it up."""
        exposure, loss, known = self._table.exposure, self._table.loss, self._state.stood_on
        for place, value in self._amounts.items():
            mine = known.get(place)
            if mine is None:
                mine = known[place] = tuple(stands(self._registry, *place))
            for node, loss_share in mine:
                exposure[node] = exposure.get(node, ZERO) + value
                loss[node] = loss.get(node, ZERO) + (value if loss_share == ONE else value * loss_share)

    def _transit(self) -> None:
        table = self._table
        for transfer in self._state.in_flight():
            if not transfer.qty:
                continue
            value = transfer.qty * self._rate(transfer.asset)
            self._hold(transfer.holder, transfer.asset, value)
            if transfer.holder == transfer.source:
                continue
            chain = self._registry.network(transfer.network).chain or UNKNOWN_NODE
            node = (NodeKind.CHAIN, chain)
            table.exposure[node] = table.exposure.get(node, ZERO) + value
            moved = transit_move(self._state, transfer)
            table.transit_loss[chain] = table.transit_loss.get(chain, ZERO) + value * moved

    def _open(self, arb: Arb) -> None:
        """Count an arb that is not flat: its residual, and its live legs, each of which may come to stand alone."""
        state, stuck = self._state, self._table.stuck
        buys: dict[Asset, Decimal] = {}
        sells: dict[Asset, Decimal] = {}
        clouds: dict[str, dict[Side, Decimal]] = {}
        for order in state.arb_orders(arb):
            intent, qty = order.intent, order.remaining_qty
            if qty:
                value = qty * intent.limit_price * self._rate(intent.quote)
                sums = buys if intent.side is Side.BUY else sells
                sums[intent.base] = sums.get(intent.base, ZERO) + value
                sides = clouds.setdefault(self._cloud(intent.venue), {})
                sides[intent.side] = sides.get(intent.side, ZERO) + value
        for cloud, sides in clouds.items():
            stuck[cloud] = stuck.get(cloud, ZERO) + max(sides.values())
        homes = dict.fromkeys(self._cloud(venue_of(one)) for one in arb.instruments)
        for asset in arb.assets:
            residual = state.residual(arb, asset)
            value = residual * self._rate(asset) if residual else ZERO
            self._residual(value, buys.get(asset, ZERO), sells.get(asset, ZERO))
            if value and len(homes) == 1:
                (cloud,) = homes
                stuck[cloud] = stuck.get(cloud, ZERO) + abs(value)

    def _cloud(self, venue: VenueId) -> str:
        return self._registry.venue(venue).cloud or UNKNOWN_NODE

    def _residual(self, value: Decimal, buys: Decimal, sells: Decimal) -> None:
        """Add what is open of one arb: orders against its residual bring it down and count only beyond it."""
        table = self._table
        if value >= 0:
            table.long += value + buys
            table.short += max(sells - value, ZERO)
        else:
            table.long += max(buys + value, ZERO)
            table.short += sells - value


def transit_move(state: State, transfer: Transfer) -> Decimal:
    """Return the share of a coin's worth that may go while the slowest of a hundred transfers of its route is waited for.

    The volatility of a bad day times the root of that time in days, and never more than all of it; the reporting currency
    itself does not move.
    """
    if transfer.asset == state.config.ccy:
        return ZERO
    route = (transfer.source, transfer.asset, transfer.network)
    seen, known = state.delays.get(route), state.moves.get(route)
    if known is None or known[0] is not seen:  # it follows from evidence and config alone, whenever it is asked
        vol = state.config.transfers.limits.stress_vol_day
        days = div(Decimal(route_delay(state, *route).quantile_ns(P99)), DAY_NS)
        known = state.moves[route] = (seen, min(WIDE.multiply(vol, WIDE.sqrt(days)), ONE))
    return known[1]
