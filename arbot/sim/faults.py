"""Faults on purpose: which, where, how often, and how often they were hit.

A fault is a row of data. Whether it fires is decided by its own seeded stream, its start, its pause between two hits
and its count; every hit is counted. The wires ask at their hook points; nothing here knows a protocol.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from enum import StrEnum

import msgspec

from arbot.domain.errors import Mistake, UserError
from arbot.domain.ids import parse_client_order_id

MS = 1_000_000


class FaultName(StrEnum):
    """What can go wrong."""

    LEG2_REJECT = "leg2-reject"  # the second order of an arb to reach a venue is refused for want of funds
    TIMEOUT_AFTER_ACCEPT = "timeout-after-accept"  # accepted; the answer comes `ms` late
    HTTP_502_AFTER_ACCEPT = "http-502-after-accept"  # accepted; the answer is a proxy's error page
    CUT_AFTER_ACCEPT = "cut-after-accept"  # accepted; the connection is cut instead of an answer
    REQUEST_LOST = "request-lost"  # an order never reaches the venue; the connection is cut after `ms`
    CANCEL_LOST = "cancel-lost"  # a cancel never reaches the venue; the connection is cut after `ms`
    LATENCY = "latency"  # every request waits `ms` more before it reaches the venue
    HIDE_ORDER = "hide-order"  # queries do not show an order for `ms` after it was accepted
    WS_CUT = "ws-cut"  # the socket is closed
    WS_STALL = "ws-stall"  # the socket stays open and answers pings, data wait `ms`
    BAD_CHECKSUM = "bad-checksum"  # a book message carries another checksum
    SEQ_GAP = "seq-gap"  # a data frame is left out
    MALFORMED_FRAME = "malformed-frame"  # a data frame is cut in the middle
    DUP_FILL = "dup-fill"  # a private frame is sent twice
    LATE_FILL = "late-fill"  # a private frame is sent `ms` late, after those that follow it
    WITHDRAW_TIMEOUT = "withdraw-timeout"  # a withdrawal is taken; the answer comes `ms` late
    WITHDRAW_502 = "withdraw-502"  # a withdrawal is taken; the answer is a proxy's error page
    WITHDRAW_CUT = "withdraw-cut"  # a withdrawal is taken; the connection is cut instead of an answer
    WITHDRAW_LOST = "withdraw-lost"  # a withdrawal never reaches the venue; the connection is cut after `ms`
    CONGESTION = "congestion"  # a chain takes `factor` times as long
    TRANSFER_STUCK = "transfer-stuck"  # a withdrawal is broadcast and never confirmed
    TRANSFER_RETURNED = "transfer-returned"  # a withdrawal comes back to its source
    TXID_REPLACED = "txid-replaced"  # a withdrawal's transaction is replaced by another on its way
    CREDIT_LESS = "credit-less"  # the venue it arrives at credits only `factor` of it
    CREDIT_TWICE = "credit-twice"  # the venue it arrives at credits it twice and takes one back `ms` later
    ADDRESS_ROTATED = "address-rotated"  # the venue has given out other deposit addresses; the old ones are nobody's
    WALLET_CLOSED = "wallet-closed"  # nothing goes in or out, of `asset` on `network` (all where they are not given)
    WITHDRAWALS_FROZEN = "withdrawals-frozen"  # withdrawals stand still and none is taken
    MAINTENANCE = "maintenance"  # the venue says so and takes no orders


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of trouble at one venue (or all): from `at_ms` on, with chance `rate`, `every_ms` apart, `count` times.

    `count` None has no end. `asset`, `network` and `factor` are for faults of transfers. Standing faults (STANDING) hold
    from `at_ms` on, for `ms` or, where that is 0, until they are disarmed.
    """

    name: FaultName
    venue: str = ""
    rate: float = 1.0
    count: int | None = None
    at_ms: int = 0
    every_ms: int = 0
    ms: int = 0
    asset: str = ""
    network: str = ""
    factor: float = 1.0


STANDING = frozenset(
    {FaultName.ADDRESS_ROTATED, FaultName.WALLET_CLOSED, FaultName.WITHDRAWALS_FROZEN, FaultName.MAINTENANCE}
)
"""Faults that are a state of the venue, not a deed."""

DEFAULTS: dict[FaultName, Fault] = {
    one.name: one
    for one in (
        Fault(name=FaultName.LEG2_REJECT, rate=0.5),
        Fault(name=FaultName.TIMEOUT_AFTER_ACCEPT, rate=0.2, every_ms=5_000, ms=30_000),
        Fault(name=FaultName.HTTP_502_AFTER_ACCEPT, rate=0.2, every_ms=5_000),
        Fault(name=FaultName.CUT_AFTER_ACCEPT, rate=0.2, every_ms=5_000),
        Fault(name=FaultName.REQUEST_LOST, rate=0.2, every_ms=5_000, ms=50),
        Fault(name=FaultName.CANCEL_LOST, rate=0.5, ms=50),
        Fault(name=FaultName.LATENCY, ms=150),
        Fault(name=FaultName.HIDE_ORDER, rate=0.5, ms=3_000),
        Fault(name=FaultName.WS_CUT, at_ms=8_000, every_ms=15_000),
        Fault(name=FaultName.WS_STALL, at_ms=8_000, every_ms=20_000, ms=6_000),
        Fault(name=FaultName.BAD_CHECKSUM, at_ms=5_000, every_ms=10_000),
        Fault(name=FaultName.SEQ_GAP, at_ms=5_000, every_ms=10_000),
        Fault(name=FaultName.MALFORMED_FRAME, at_ms=5_000, every_ms=10_000),
        Fault(name=FaultName.DUP_FILL, rate=0.5),
        Fault(name=FaultName.LATE_FILL, rate=0.2, ms=2_000),
        Fault(name=FaultName.WITHDRAW_TIMEOUT, ms=30_000),
        Fault(name=FaultName.WITHDRAW_502),
        Fault(name=FaultName.WITHDRAW_CUT),
        Fault(name=FaultName.WITHDRAW_LOST, ms=50),
        Fault(name=FaultName.CONGESTION, factor=20.0),
        Fault(name=FaultName.TRANSFER_STUCK),
        Fault(name=FaultName.TRANSFER_RETURNED),
        Fault(name=FaultName.TXID_REPLACED),
        Fault(name=FaultName.CREDIT_LESS, factor=0.5),
        Fault(name=FaultName.CREDIT_TWICE, ms=5_000),
        Fault(name=FaultName.ADDRESS_ROTATED),
        Fault(name=FaultName.WALLET_CLOSED),
        Fault(name=FaultName.WITHDRAWALS_FROZEN),
        Fault(name=FaultName.MAINTENANCE, at_ms=10_000, ms=10_000),
    )
}
"""What a bare name stands for; each is chosen so that a minute's demo meets it several times and still trades."""


def parse_fault(text: str) -> Fault:
    """Return the fault written as `name` or `name:key=value,key=value`. Raises: UserError.

    Keys: venue, rate (0..1), count, at_ms, every_ms, ms, asset, network, factor. What is not given comes from DEFAULTS.
    """
    name, _, rest = text.partition(":")
    try:
        default = DEFAULTS[FaultName(name)]
    except ValueError:
        raise UserError(Mistake("fault", f"unknown fault {name!r}", f"one of {', '.join(FaultName)}")) from None
    given: dict[str, str] = {}
    for pair in filter(None, rest.split(",")):
        key, equals, value = pair.partition("=")
        if not equals:
            raise UserError(Mistake(f"fault {name}", f"{pair!r} is not key=value", "name:rate=0.5,count=3"))
        given[key] = value
    return fault_from({"name": name, **given}, default)


def fault_from(fields: dict[str, object], default: Fault | None = None) -> Fault:
    """Return a fault from plain fields laid over its default. Raises: UserError."""
    remedy = "keys: venue, rate, count, at_ms, every_ms, ms, asset, network, factor"
    try:
        base = default or DEFAULTS[FaultName(str(fields.get("name")))]
        fault = msgspec.convert({**msgspec.structs.asdict(base), **fields}, Fault, strict=False)
    except (ValueError, msgspec.ValidationError) as error:
        raise UserError(Mistake("fault", str(error), remedy)) from error
    mistakes = [f"unknown key {key!r}" for key in fields if key not in Fault.__struct_fields__]
    if not 0 <= fault.rate <= 1:
        mistakes.append(f"rate {fault.rate} is not within 0..1")
    if min(fault.at_ms, fault.every_ms, fault.ms, fault.count or 0) < 0:
        mistakes.append("times and counts are not negative")
    if not fault.factor > 0:
        mistakes.append(f"factor {fault.factor} is not more than 0")
    if mistakes:
        raise UserError(*(Mistake(f"fault {fault.name}", mistake, remedy) for mistake in mistakes))
    return fault


class _Armed:
    __slots__ = ("fault", "hits", "last_ns", "rng", "since_ns")

    def __init__(self, fault: Fault, rng: random.Random, since_ns: int) -> None:
        self.fault = fault
        self.rng = rng
        self.since_ns = since_ns
        self.hits = 0
        self.last_ns: int | None = None


class FaultPlan:
    """The faults of one server. `stream` gives a named random stream; times count from when a fault was armed."""

    def __init__(self, rng_of: Callable[[str], random.Random]) -> None:
        self._rng_of = rng_of
        self._armed: list[_Armed] = []
        self._hits: dict[tuple[FaultName, str], int] = {}
        self._arbs_seen: dict[tuple[int, int], str] = {}
        self._hidden: dict[tuple[str, str], int] = {}

    def arm(self, faults: Iterable[Fault], now_ns: int) -> None:
        """Add faults; their `at_ms` counts from now."""
        for fault in faults:
            self._armed.append(_Armed(fault, self._rng_of(f"fault/{len(self._armed)}/{fault.name}"), now_ns))

    def disarm(self, name: FaultName | None = None) -> None:
        """Remove faults of that name, or all; hit counters stay."""
        self._armed = [armed for armed in self._armed if name is not None and armed.fault.name is not name]

    def hits(self) -> dict[str, int]:
        """Return how often each fault was hit, as "name@venue"."""
        return {f"{name}@{venue}": count for (name, venue), count in sorted(self._hits.items())}

    def armed(self) -> tuple[Fault, ...]:
        """Return what is armed, spent faults included."""
        return tuple(armed.fault for armed in self._armed)

    def standing(self, now_ns: int) -> tuple[Fault, ...]:
        """Return the standing faults that hold now; each is counted as hit once, when it begins to hold."""
        found = []
        for armed in self._armed:
            fault = armed.fault
            from_ns = armed.since_ns + fault.at_ms * MS
            if fault.name not in STANDING or now_ns < from_ns or (fault.ms and now_ns >= from_ns + fault.ms * MS):
                continue
            if not armed.hits:
                armed.hits = 1
                self._hits[fault.name, fault.venue] = self._hits.get((fault.name, fault.venue), 0) + 1
            found.append(fault)
        return tuple(found)

    def fires(self, name: FaultName, venue: str, now_ns: int, *, asset: str = "", network: str = "") -> Fault | None:
        """Return the fault to apply at this hook now, or None. Asking is what spends it."""
        for armed in self._armed:
            fault = armed.fault
            if fault.name is not name or fault.venue not in ("", venue):
                continue
            if fault.asset not in ("", asset) or fault.network not in ("", network):
                continue
            if now_ns < armed.since_ns + fault.at_ms * MS:
                continue
            if fault.count is not None and armed.hits >= fault.count:
                continue
            if armed.last_ns is not None and now_ns < armed.last_ns + fault.every_ms * MS:
                continue
            if armed.rng.random() >= fault.rate:
                continue
            armed.hits += 1
            armed.last_ns = now_ns
            self._hits[name, venue] = self._hits.get((name, venue), 0) + 1
            return fault
        return None

    def _waits_for(self, name: FaultName, venue: str) -> bool:
        return any(armed.fault.name is name and armed.fault.venue == venue for armed in self._armed)

    def refuses_leg(self, venue: str, client_order_id: str, now_ns: int) -> bool:
        """Return whether LEG2_REJECT refuses this order.

        The first order of an arb passes. The first one of the same arb at another venue is its second leg; where the
        fault names a venue, every arb's first order there counts as that. Later orders (hedges) are left alone, and
        orders that are not named by arbot's scheme are only touched when the fault names the venue.
        """
        named = self._waits_for(FaultName.LEG2_REJECT, venue)
        name = parse_client_order_id(client_order_id)
        if name is None:
            return named and self.fires(FaultName.LEG2_REJECT, venue, now_ns) is not None
        arb = (name.epoch, name.arb)
        seen = self._arbs_seen.get(arb, "")
        venues = seen.split(",") if seen else []
        if venue in venues:
            return False
        self._arbs_seen[arb] = ",".join((*venues, venue))
        is_second = bool(venues) and len(venues) == 1
        if not (is_second or named):
            return False
        return self.fires(FaultName.LEG2_REJECT, venue, now_ns) is not None

    def accepted(self, venue: str, order_id: str, now_ns: int) -> None:
        """Tell that an order was accepted: HIDE_ORDER may keep it out of queries for a while."""
        fault = self.fires(FaultName.HIDE_ORDER, venue, now_ns)
        if fault is not None:
            self._hidden[venue, order_id] = now_ns + fault.ms * MS

    def hides(self, venue: str, order_id: str, now_ns: int) -> bool:
        """Return whether queries must not show this order yet."""
        until_ns = self._hidden.get((venue, order_id))
        return until_ns is not None and now_ns < until_ns
