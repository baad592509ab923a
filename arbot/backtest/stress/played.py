"""What one play of a disaster came to, as plain values: what the table, the report and the tests read.

Money is in the reporting currency. `untouched` is what the opening balances would be worth had the bot not been there; a
lost venue's balances count as lost by its share in both. The bot's own loss at a moment is untouched - equity, plus what
coins on their way have fallen since they left: whoever sent them to sell them could not. `loss` is the worst of all moments.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

ON = "on"  # the name of the play with every protection in force
THESE_OFF = "these off"  # those that the scenario is about
ALL_OFF = "all off"
SAME_SIZE = (
    "these off, same size"  # the quiet part only, and but for the size caps: what safety costs is not what size earns
)


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """The account at one moment."""

    ts_ns: int
    equity: float
    untouched: float
    in_flight_fallen: float
    lost: float  # of what lies at lost venues, ours from the beginning or not
    realised: float  # what the arbs have come to, as the engine books it
    watched: float  # the exposure that the scenario is about

    @property
    def loss(self) -> float:
        """What the bot's being there has cost up to now; below zero it has earned."""
        return self.untouched - self.equity + self.in_flight_fallen


class Trip(msgspec.Struct, frozen=True, kw_only=True):
    """The first time a protection said no, latched, or raised its voice, and how often it did in all."""

    ts_ns: int
    what: str
    detail: str
    count: int = 1


class Peak(msgspec.Struct, frozen=True, kw_only=True):
    """The largest exposure to one node, and when it was."""

    kind: str  # venue, issuer or network
    node: str
    value: Decimal
    ts_ns: int


class Declined(msgspec.Struct, frozen=True, kw_only=True):
    """What was let go for one reason: how many chances, and what they promised at the quantity the books offered."""

    reason: str
    chances: int
    expected: Decimal


class Played(msgspec.Struct, frozen=True, kw_only=True):
    """One play: a scenario, a variant, and which protection was off."""

    name: str
    variant: str
    off: str  # ON, ALL_OFF, or the name of the protection that was off
    equity_start: Decimal
    equity_end: Decimal
    untouched_end: Decimal
    loss: Decimal
    loss_ts_ns: int
    loss_end: Decimal
    incident: Decimal  # what is compared with the budget: all that is lost with a venue, or else `loss`
    budget: Decimal  # of the stress case that the scenario is an instance of, at the opening capital
    pnl_net: Decimal  # of the arbs, as the engine booked it
    pnl_quiet: Decimal  # the same up to the moment at which something began to be wrong
    arbs: int
    fills: int
    stranded: int
    unhedged_s: float
    unhedged_s_longest: float
    peaks: tuple[Peak, ...]
    trips: tuple[Trip, ...]
    declined: tuple[Declined, ...]
    reaction_min: float | None  # headline minus the last deed that added to the watched exposure; above 0 = before it
    net_delta: dict[str, Decimal]  # by base asset, at the end
    transfers: dict[str, int]  # by what became of them
    ledger_ties: bool
    digest: str
    samples: tuple[Sample, ...] = ()

    @property
    def reasons(self) -> frozenset[str]:
        """What tripped, by name."""
        return frozenset(trip.what for trip in self.trips)
