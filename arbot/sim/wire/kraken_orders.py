"""Order entry of the pretend Kraken, the same for REST and websocket: words to a request, refusals to the venue's text."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from arbot.domain.order import Side, TimeInForce
from arbot.domain.units import ZERO, parse_decimal
from arbot.sim.accounts import ApiKey
from arbot.sim.model import OrderRejected, OrderRequest, OrderType, OrderUnknown, RejectReason, SimOrder
from arbot.sim.wire import kraken_shapes as shapes
from arbot.sim.wire.auth_kraken import KrakenRefused
from arbot.sim.wire.desk import Desk
from arbot.sim.wire.kraken_limits import AMEND_COSTS, Limits, cost_by_age

_TIF = {"gtc": TimeInForce.GTC, "ioc": TimeInForce.IOC, "fok": TimeInForce.FOK, "gtd": TimeInForce.GTC}
MS = 1_000_000
DEADLINE_MS_MAX = 60_000


def needs(key: ApiKey, *any_of: str) -> None:
    """Refuse a key that has none of the permissions. Raises: KrakenRefused."""
    if not key.permissions & set(any_of):
        raise KrakenRefused("EGeneral:Permission denied")


def number(text: str, name: str) -> Decimal:
    """Return a number from the wire. Raises: KrakenRefused."""
    try:
        return parse_decimal(text)
    except ValueError as error:
        raise KrakenRefused(f"EGeneral:Invalid arguments:{name}") from error


def deadline_ns(text: str, now_ns: int) -> int:
    """Return a deadline in ns; it must lie within a minute. Raises: KrakenRefused."""
    if not text:
        return 0
    try:
        at_ns = shapes.parse_time_ns(text)
    except ValueError as error:
        raise KrakenRefused("EGeneral:Invalid arguments:deadline") from error
    if at_ns > now_ns + DEADLINE_MS_MAX * MS:
        raise KrakenRefused("EGeneral:Invalid arguments:deadline")
    return at_ns


class OrderDesk:
    """Takes and cancels orders of one venue for both protocols."""

    def __init__(self, desk: Desk, limits: Limits) -> None:
        self.desk = desk
        self.limits = limits
        self._symbols: dict[str, str] = {}
        for symbol, one in desk.venue.instruments.items():
            for alias in (symbol, one.venue_symbol, shapes.pair_alt_name(one), shapes.pair_ws_name(one)):
                self._symbols[alias] = symbol

    def symbol(self, pair: str) -> str:
        """Return the symbol of any of the venue's names for it. Raises: KrakenRefused."""
        if pair not in self._symbols:
            raise KrakenRefused("EQuery:Unknown asset pair")
        return self._symbols[pair]

    def request(self, account: str, fields: Mapping[str, str], now_ns: int) -> OrderRequest:
        """Return an order from the fields of AddOrder (websocket fields are renamed to these). Raises: KrakenRefused."""
        side, kind, tif = fields.get("type", ""), fields.get("ordertype", ""), fields.get("timeinforce", "GTC").lower()
        if side not in ("buy", "sell"):
            raise KrakenRefused("EGeneral:Invalid arguments:type")
        if kind not in ("limit", "market"):
            raise KrakenRefused("EGeneral:Invalid arguments:ordertype")
        if tif not in _TIF:
            raise KrakenRefused("EGeneral:Invalid arguments:timeinforce")
        name = fields.get("cl_ord_id", "")
        if name and (not name.isascii() or len(name) > 36 or fields.get("userref")):
            raise KrakenRefused("EGeneral:Invalid arguments:cl_ord_id")
        userref = fields.get("userref") or "0"
        if not userref.lstrip("-").isdigit():
            raise KrakenRefused("EGeneral:Invalid arguments:userref")
        is_market = kind == "market"
        flags = set(fields.get("oflags", "").split(","))
        volume = number(fields.get("volume", ""), "volume")
        return OrderRequest(
            account=account,
            symbol=self.symbol(fields.get("pair", "")),
            side=Side(side),
            qty=ZERO if "viqc" in flags else volume,
            quote_qty=volume if "viqc" in flags and is_market else None,
            price=None if is_market else number(fields.get("price", ""), "price"),
            type=OrderType(kind),
            tif=_TIF[tif],
            post_only="post" in flags,
            client_order_id=name,
            userref=int(userref),
            deadline_ns=deadline_ns(fields.get("deadline", ""), now_ns),
            expire_ns=self._expire_ns(fields, tif, now_ns),
        )

    def _expire_ns(self, fields: Mapping[str, str], tif: str, now_ns: int) -> int:
        text = fields.get("expiretm", "") or "0"
        if text == "0":
            if tif == "gtd":
                raise KrakenRefused("EGeneral:Invalid arguments:expiretm")
            return 0
        if text.startswith("+") and text[1:].isdigit():
            return now_ns + int(text[1:]) * 10**9
        if text.isdigit():
            return int(text) * 10**9
        try:
            return shapes.parse_time_ns(text)
        except ValueError as error:
            raise KrakenRefused("EGeneral:Invalid arguments:expiretm") from error

    def add(self, key: ApiKey, fields: Mapping[str, str], now_ns: int) -> SimOrder:
        """Take an order. Raises: KrakenRefused with the venue's text."""
        needs(key, "modify-trades")
        request = self.request(key.account, fields, now_ns)
        self.limits.engine(key.account, request.symbol, 1, now_ns)
        try:
            self.desk.admit_order(request.client_order_id)
            order = self.desk.venue.submit(request, now_ns)
        except OrderRejected as error:
            raise KrakenRefused(shapes.REJECTS[error.reason]) from error
        self.desk.accepted(order)
        return order

    def check(self, key: ApiKey, fields: Mapping[str, str], now_ns: int) -> OrderRequest:
        """Refuse what would be refused, without taking it. Raises: KrakenRefused."""
        needs(key, "modify-trades")
        request = self.request(key.account, fields, now_ns)
        try:
            self.desk.venue.check(request, now_ns)
        except OrderRejected as error:
            raise KrakenRefused(shapes.REJECTS[error.reason]) from error
        return request

    def amend(self, key: ApiKey, fields: Mapping[str, str], now_ns: int) -> SimOrder:
        """Change price or quantity of an open order. Raises: KrakenRefused."""
        needs(key, "modify-trades")
        order = self.find(key.account, fields.get("order_id", ""), fields.get("cl_ord_id", ""))
        cost = 1 + cost_by_age(AMEND_COSTS, now_ns - order.opened_ns)
        self.limits.engine(key.account, order.symbol, cost, now_ns)
        price = fields.get("limit_price", "")
        qty = fields.get("order_qty", "")
        if 0 < deadline_ns(fields.get("deadline", ""), now_ns) < now_ns:
            raise KrakenRefused(shapes.REJECTS[RejectReason.DEADLINE_ELAPSED])
        try:
            return self.desk.venue.amend(
                key.account,
                order.order_id,
                now_ns,
                price=number(price, "limit_price") if price else None,
                qty=number(qty, "order_qty") if qty else None,
            )
        except OrderRejected as error:
            raise KrakenRefused(shapes.REJECTS[error.reason]) from error

    def cancel(self, key: ApiKey, now_ns: int, *, order_id: str = "", client_order_id: str = "") -> SimOrder:
        """Cancel one open order by either id. Raises: KrakenRefused."""
        needs(key, "close-trades", "modify-trades")
        order = self.find(key.account, order_id, client_order_id)
        self.limits.engine_cancel(key.account, order.symbol, now_ns - order.opened_ns, now_ns)
        try:
            return self.desk.venue.cancel(key.account, order.order_id, now_ns)
        except OrderUnknown as error:
            raise KrakenRefused("EOrder:Unknown order") from error

    def cancel_all(self, key: ApiKey, now_ns: int) -> int:
        """Cancel everything and return how many there were. Raises: KrakenRefused."""
        needs(key, "close-trades", "modify-trades")
        return self.desk.venue.cancel_all(key.account, now_ns)

    def cancel_all_after(self, key: ApiKey, seconds: str, now_ns: int) -> dict[str, object]:
        """Arm or disarm (0) the dead-man switch. Raises: KrakenRefused."""
        needs(key, "close-trades", "modify-trades")
        if not seconds.isdigit() or int(seconds) > 86_400:
            raise KrakenRefused("EGeneral:Invalid arguments:timeout")
        at_ns = now_ns + int(seconds) * 10**9 if int(seconds) else 0
        self.desk.venue.cancel_all_after(key.account, at_ns)
        return {
            "currentTime": shapes.iso_seconds(now_ns),
            "triggerTime": shapes.iso_seconds(at_ns) if at_ns else "0",
        }

    def find(self, account: str, order_id: str, client_order_id: str) -> SimOrder:
        """Return an open order by either id. Raises: KrakenRefused."""
        order = self.desk.venue.order(account, order_id) if order_id else None
        for one in self.desk.venue.orders_by_client_id(account, client_order_id) if client_order_id else ():
            order = one if one.is_open else order
        if order is None or not order.is_open:
            raise KrakenRefused("EOrder:Unknown order")
        return order
