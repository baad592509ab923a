"""What every wire of a pretend venue shares: the way in and out of a request, with latency and faults at both ends.

A wire builds its answer in a plain function that touches the venue and returns at once; this module decides whether
the request arrives, when, and whether its answer leaves. REST goes through `answer`, websocket methods through
`arrive` and `leave`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

from aiohttp import web

from arbot.ports import Clock
from arbot.sim.faults import FaultName, FaultPlan
from arbot.sim.latency import LatencyModel
from arbot.sim.model import OrderRejected, RejectReason, SimOrder
from arbot.sim.venue import SimVenue


class RequestKind(StrEnum):
    """Which faults can meet a request."""

    QUERY = "query"
    ORDER = "order"
    CANCEL = "cancel"
    WITHDRAWAL = "withdrawal"


class Answer(NamedTuple):
    """A response, and whether an order or withdrawal was accepted by it (only then do the after-accept faults apply)."""

    response: web.StreamResponse
    accepted: bool = False


class Exit(StrEnum):
    """How an answer leaves the venue."""

    SENT = "sent"
    BAD_GATEWAY = "bad_gateway"
    CUT = "cut"


PROXY_PAGE = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"

_LOST = {
    RequestKind.ORDER: FaultName.REQUEST_LOST,
    RequestKind.CANCEL: FaultName.CANCEL_LOST,
    RequestKind.WITHDRAWAL: FaultName.WITHDRAW_LOST,
}
_AFTER_ACCEPT = {
    RequestKind.ORDER: (
        FaultName.CUT_AFTER_ACCEPT,
        FaultName.HTTP_502_AFTER_ACCEPT,
        FaultName.TIMEOUT_AFTER_ACCEPT,
    ),
    RequestKind.WITHDRAWAL: (FaultName.WITHDRAW_CUT, FaultName.WITHDRAW_502, FaultName.WITHDRAW_TIMEOUT),
}
"""Faults of an answer to a request that was carried out: no answer, a proxy's page instead, a late one."""


class Desk:
    """One venue as its wire meets it."""

    def __init__(self, venue: SimVenue, clock: Clock, faults: FaultPlan, latency: LatencyModel) -> None:
        self.venue = venue
        self.clock = clock
        self.faults = faults
        self.latency = latency

    def now_ns(self) -> int:
        """Return the venue's time."""
        return self.clock.now_ns()

    async def arrive(self, kind: RequestKind) -> bool:
        """Wait for the request to reach the venue; False when it is lost on the way."""
        name = _LOST.get(kind)
        lost = self.faults.fires(name, self.venue.name, self.now_ns()) if name else None
        if lost is not None:
            await self.clock.sleep(lost.ms / 1000)
            return False
        seconds = self.latency.request_s()
        slow = self.faults.fires(FaultName.LATENCY, self.venue.name, self.now_ns())
        if slow is not None:
            seconds += slow.ms / 1000
        if seconds > 0:
            await self.clock.sleep(seconds)
        return True

    async def leave(self, *, accepted: bool, kind: RequestKind = RequestKind.ORDER) -> Exit:
        """Wait for the answer to leave the venue, and say how it does."""
        now_ns = self.now_ns()
        seconds = self.latency.answer_s()
        way = Exit.SENT
        if accepted:
            cut_off, bad_gateway, too_late = _AFTER_ACCEPT[kind]
            if self.faults.fires(cut_off, self.venue.name, now_ns):
                way = Exit.CUT
            elif self.faults.fires(bad_gateway, self.venue.name, now_ns):
                way = Exit.BAD_GATEWAY
            else:
                late = self.faults.fires(too_late, self.venue.name, now_ns)
                seconds += late.ms / 1000 if late else 0
        if seconds > 0:
            await self.clock.sleep(seconds)
        return way

    async def answer(self, request: web.Request, kind: RequestKind, work: Callable[[], Answer]) -> web.StreamResponse:
        """Serve one REST call: arrive, let `work` touch the venue, leave."""
        if not await self.arrive(kind):
            return cut(request)
        answer = work()
        way = await self.leave(accepted=answer.accepted, kind=kind)
        if way is Exit.CUT:
            return cut(request)
        if way is Exit.BAD_GATEWAY:
            return web.Response(status=502, text=PROXY_PAGE, content_type="text/html")
        return answer.response

    def admit_order(self, client_order_id: str) -> None:
        """Refuse an order the LEG2_REJECT fault picks. Call before `venue.submit`. Raises: OrderRejected."""
        if self.faults.refuses_leg(self.venue.name, client_order_id, self.now_ns()):
            raise OrderRejected(RejectReason.INSUFFICIENT_FUNDS, "fault leg2-reject")

    def accepted(self, order: SimOrder) -> None:
        """Tell the faults that an order was accepted. Call after `venue.submit`."""
        self.faults.accepted(self.venue.name, order.order_id, self.now_ns())

    def shows(self, order: SimOrder) -> bool:
        """Return whether queries may show this order already."""
        return not self.faults.hides(self.venue.name, order.order_id, self.now_ns())


def cut(request: web.Request) -> web.StreamResponse:
    """Cut the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
