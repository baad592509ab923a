"""What is remembered of venues, stablecoins and news: plain records, filled by `health`, `pegs` and `risk.news`.

They change in journaled steps only; a look at books reads them and leaves them as they are.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from arbot.domain.ids import Asset
from arbot.domain.transfer import MaintenanceWindow, VenueStatus
from arbot.domain.units import ONE, ZERO


class AnswerKind(StrEnum):
    """What came back for an order that left."""

    TAKEN = "taken"
    REFUSED = "refused"
    NONE = "none"  # no usable answer: a timeout, a cut line, a body nobody can read


class Answer(NamedTuple):
    """One order's first answer. `ack_ln` is the natural logarithm of `ack_ms`, zero unless the order was taken."""

    ts_ns: int
    kind: AnswerKind
    ack_ms: int = 0
    ack_ln: Decimal = ZERO


class Rails(NamedTuple):
    """On how many of its networks an asset could leave a venue, as the venue told at `ts_ns`."""

    open: int
    told: int
    ts_ns: int


@dataclass(slots=True)
class VenueHealth:
    """One venue's conduct."""

    answers: deque[Answer] = field(default_factory=deque)  # oldest first
    drops_ts_ns: deque[int] = field(default_factory=deque)  # when a stream was lost
    status: VenueStatus = VenueStatus.ONLINE
    status_detail: str = ""
    windows: tuple[MaintenanceWindow, ...] = ()  # as the venue announced them last
    is_quarantined: bool = False
    why: tuple[str, ...] = ()
    held: str = ""  # what was said when it was put into quarantine by hand; empty when nobody did, or it was released
    since_ns: int = 0  # when it was put into quarantine, or let out of it; 0 when neither ever was
    bad_ns: int = 0  # when something was last wrong
    wait_s: int = 0  # how long nothing may be wrong before it is let out
    probes: int = 0  # balances told since something was last wrong
    rails: dict[Asset, Rails] = field(default_factory=dict)
    shrunk_ns: int = 0  # when its caps last fell, or the last withdrawal that counted began: only a later one is news
    cap_factor: Decimal = ONE  # of the venue's caps; falls with withdrawals that do not work, comes back step by step


@dataclass(slots=True)
class PegState:
    """One stablecoin as its live books have it. `rate` is in the currency of its peg and means nothing unless `is_known`."""

    looks: deque[Decimal] = field(default_factory=deque)
    rate: Decimal = ZERO
    is_known: bool = False
    is_off: bool = False
    inside_since_ns: int = 0  # since when an off coin is back within the narrower band; 0 when it is not
