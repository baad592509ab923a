"""The simulator's own truth and its levers, as plain JSON over loopback: for tests and people, never for the daemon.

GET  /truth        balances, orders, fills, transfers of every account; fault hits; the invariants are proved on the way
GET  /faults       what is armed and what was hit
POST /faults       {"faults": ["ws-cut:every_ms=9000", {"name": "latency", "ms": 50}]}: arm, from now
DELETE /faults     disarm all (?name= one kind)
POST /shock        {"base": "BTC", "bps": -500, "venue": "", "half_life_ms": 0}: gap the price
POST /adjust       {"venue": "kraken", "account": "main", "asset": "USD", "amount": "5"}: an unexplained movement
POST /deposit      the same fields: an incoming transfer
POST /status       {"venue": "kraken", "symbol": "BTC/USD", "status": "cancel_only"}: halt or reopen
POST /freeze       {"venue": "kraken", "frozen": true}: stop withdrawals
POST /system       {"venue": "kraken", "status": "maintenance"}: what the venue says of itself
POST /wallet       {"venue": "kraken", "asset": "BTC", "network": "bitcoin", "deposits": true, "withdrawals": false}
POST /rotate       {"venue": "kraken", "asset": "BTC", "network": "bitcoin"}: give out another deposit address
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

import msgspec
from aiohttp import web

from arbot.domain.errors import InvariantBroken, Mistake, UserError
from arbot.domain.instrument import InstrumentStatus
from arbot.domain.units import checked, fmt, parse_decimal
from arbot.ports import Clock
from arbot.sim.faults import Fault, FaultName, FaultPlan, fault_from, parse_fault
from arbot.sim.market import Market
from arbot.sim.model import SimFill, SimOrder, Transfer
from arbot.sim.networks import Chains
from arbot.sim.venue import SimVenue

Json = dict[str, object]


class Shock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A gap in the price of a base asset."""

    base: str
    bps: float
    venue: str = ""
    half_life_ms: int = 0


class Money(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An amount for an account."""

    venue: str
    asset: str
    amount: str
    account: str = "main"


class Status(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be done with an instrument from now on."""

    venue: str
    symbol: str
    status: InstrumentStatus


class Freeze(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether withdrawals stand still."""

    venue: str
    frozen: bool


class System(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a venue says of itself from now on."""

    venue: str
    status: Literal["online", "maintenance", "cancel_only", "post_only", "limit_only"]


class Wallet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which ways of an asset on a network are open from now on."""

    venue: str
    asset: str
    network: str
    deposits: bool = True
    withdrawals: bool = True


class Rotation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose deposit address changes."""

    venue: str
    asset: str
    network: str
    account: str = "main"


class Admin:
    """Serves the admin paths of one server."""

    def __init__(
        self, venues: Mapping[str, SimVenue], market: Market, faults: FaultPlan, clock: Clock, chains: Chains
    ) -> None:
        self._venues = venues
        self.chains = chains
        self.market = market
        self.faults = faults
        self._clock = clock

    def mount(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_get("/truth", self._answering(self._truth))
        app.router.add_get("/faults", self._answering(self._list_faults))
        app.router.add_post("/faults", self._answering(self._arm))
        app.router.add_delete("/faults", self._answering(self._disarm))
        app.router.add_post("/shock", self._answering(self._shock))
        app.router.add_post("/adjust", self._answering(self._adjust))
        app.router.add_post("/deposit", self._answering(self._deposit))
        app.router.add_post("/status", self._answering(self._status))
        app.router.add_post("/freeze", self._answering(self._freeze))
        app.router.add_post("/system", self._answering(self._system))
        app.router.add_post("/wallet", self._answering(self._wallet))
        app.router.add_post("/rotate", self._answering(self._rotate))

    def truth(self) -> Json:
        """Return everything the venues know of their customers. Raises: InvariantBroken."""
        for venue in self._venues.values():
            venue.check_invariants()
        return {
            "now_ns": self._clock.now_ns(),
            "venues": {name: venue_truth(venue) for name, venue in self._venues.items()},
            "faults": self.faults.hits(),
            "passages": self.chains.truth(),
            "market_is_ended": self.market.is_ended,
        }

    def _answering(
        self, work: Callable[[web.Request, bytes], object]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handler(request: web.Request) -> web.Response:
            body = await request.read()
            try:
                result = work(request, body)
            except (UserError, msgspec.ValidationError, msgspec.DecodeError, ValueError, KeyError) as error:
                return web.json_response({"error": str(error)}, status=400)
            except InvariantBroken as error:  # told to whoever asked: the books do not hold together
                return web.json_response({"error": str(error)}, status=500)
            return web.Response(body=msgspec.json.encode(result), content_type="application/json")

        return handler

    def _truth(self, _request: web.Request, _body: bytes) -> object:
        return self.truth()

    def _list_faults(self, _request: web.Request, _body: bytes) -> object:
        return {"armed": self.faults.armed(), "hits": self.faults.hits()}

    def _arm(self, request: web.Request, body: bytes) -> object:
        given = msgspec.json.decode(body, type=dict[str, list[str | dict[str, object]]]).get("faults", [])
        faults: list[Fault] = [parse_fault(one) if isinstance(one, str) else fault_from(one) for one in given]
        for fault in faults:
            if fault.venue and fault.venue not in self._venues:
                raise UserError(Mistake("fault", f"no venue {fault.venue!r}", f"one of {', '.join(self._venues)}"))
        self.faults.arm(faults, self._clock.now_ns())
        return self._list_faults(request, body)

    def _disarm(self, request: web.Request, body: bytes) -> object:
        name = request.query.get("name")
        self.faults.disarm(FaultName(name) if name else None)
        return self._list_faults(request, body)

    def _shock(self, _request: web.Request, body: bytes) -> object:
        shock = msgspec.json.decode(body, type=Shock)
        if shock.venue:
            self._venue(shock.venue)
        self.market.shock(
            shock.base, shock.bps, self._clock.now_ns(), venue=shock.venue, half_life_ms=shock.half_life_ms
        )
        return shock

    def _adjust(self, _request: web.Request, body: bytes) -> object:
        money = msgspec.json.decode(body, type=Money)
        amount = parse_decimal(money.amount)
        self._venue(money.venue).adjust(money.account, money.asset, amount, self._clock.now_ns())
        return money

    def _deposit(self, _request: web.Request, body: bytes) -> object:
        money = msgspec.json.decode(body, type=Money)
        amount = checked(parse_decimal(money.amount))
        transfer = self._venue(money.venue).deposit(money.account, money.asset, amount, self._clock.now_ns())
        return transfer_truth(transfer)

    def _status(self, _request: web.Request, body: bytes) -> object:
        status = msgspec.json.decode(body, type=Status)
        venue = self._venue(status.venue)
        if status.symbol not in venue.instruments:
            raise UserError(
                Mistake("status", f"no instrument {status.symbol!r}", f"one of {', '.join(venue.instruments)}")
            )
        venue.set_status(status.symbol, status.status)
        return status

    def _freeze(self, _request: web.Request, body: bytes) -> object:
        freeze = msgspec.json.decode(body, type=Freeze)
        self._venue(freeze.venue).withdrawals_frozen = freeze.frozen
        return freeze

    def _system(self, _request: web.Request, body: bytes) -> object:
        system = msgspec.json.decode(body, type=System)
        self._venue(system.venue).system_status = system.status
        return system

    def _wallet(self, _request: web.Request, body: bytes) -> object:
        wallet = msgspec.json.decode(body, type=Wallet)
        closed = self._venue(wallet.venue).wallets_closed
        for deposits, is_open in ((True, wallet.deposits), (False, wallet.withdrawals)):
            way = (wallet.asset, wallet.network, deposits)
            if is_open:
                closed.discard(way)
            else:
                closed.add(way)
        return wallet

    def _rotate(self, _request: web.Request, body: bytes) -> object:
        turn = msgspec.json.decode(body, type=Rotation)
        return {"address": self._venue(turn.venue).rotate_address(turn.account, turn.asset, turn.network)}

    def _venue(self, name: str) -> SimVenue:
        if name not in self._venues:
            raise UserError(Mistake("venue", f"no venue {name!r}", f"one of {', '.join(self._venues)}"))
        return self._venues[name]


def venue_truth(venue: SimVenue) -> Json:
    """Return all accounts of a venue, by name."""
    return {
        name: {
            "balances": {
                asset: {"total": fmt(balance.total), "hold": fmt(balance.hold)}
                for asset, balance in venue.balances(name).items()
            },
            "orders": [order_truth(order) for order in venue.orders(name)],
            "fills": [fill_truth(fill) for fill in venue.fills(name)],
            "transfers": [
                transfer_truth(one) for deposits in (True, False) for one in venue.transfers(name, deposits=deposits)
            ],
        }
        for name in venue.accounts.names()
    }


def order_truth(order: SimOrder) -> Json:
    """Return an order with exact numbers as text."""
    price = order.request.price
    return {
        "order_id": order.order_id,
        "client_order_id": order.client_order_id,
        "symbol": order.symbol,
        "side": str(order.side),
        "type": str(order.request.type),
        "tif": str(order.request.tif),
        "price": None if price is None else fmt(price),
        "qty": fmt(order.request.qty),
        "filled_qty": fmt(order.filled_qty),
        "cost": fmt(order.cost),
        "fee": fmt(order.fee),
        "status": str(order.status),
        "reason": order.reason,
        "opened_ns": order.opened_ns,
        "closed_ns": order.closed_ns,
    }


def fill_truth(fill: SimFill) -> Json:
    """Return a fill with exact numbers as text."""
    return {
        "trade_id": fill.trade_id,
        "order_id": fill.order_id,
        "client_order_id": fill.client_order_id,
        "symbol": fill.symbol,
        "side": str(fill.side),
        "price": fmt(fill.price),
        "qty": fmt(fill.qty),
        "fee": fmt(fill.fee),
        "fee_asset": fill.fee_asset,
        "liquidity": str(fill.liquidity),
        "ts_ns": fill.ts_ns,
    }


def transfer_truth(transfer: Transfer) -> Json:
    """Return a deposit or withdrawal with exact numbers as text."""
    return {
        "reference": transfer.reference,
        "asset": transfer.asset,
        "is_deposit": transfer.is_deposit,
        "amount": fmt(transfer.amount),
        "fee": fmt(transfer.fee),
        "status": str(transfer.status),
        "txid": transfer.txid,
        "network": transfer.network,
        "address": transfer.address,
        "tag": transfer.tag,
        "client_reference": transfer.client_reference,
    }
