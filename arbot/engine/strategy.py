"""The port through which a strategy sees the engine. Everything a strategy needs is on this page.

A strategy is a class made once with its parameters (a mapping from the config's [strategy.params]). On every burst of
book changes it is asked for proposals; sizing, risk and execution are the engine's business and cannot be passed by.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple, Protocol

import msgspec

from arbot.domain.decisions import OpportunityDeclined
from arbot.domain.ids import InstrumentId
from arbot.domain.instrument import FeeRate, Instrument
from arbot.domain.order import Side
from arbot.domain.units import ZERO, parse_decimal
from arbot.engine.market_view import Level

__all__ = ["Context", "Conversion", "Level", "Params", "Proposal", "Quote", "Strategy", "Triangle"]


class Conversion(msgspec.Struct, frozen=True, kw_only=True):
    """The third leg of a triangle: it turns the quote of one of the other legs into the quote of the other.

    `instrument` has the foreign quote as its base and the arb's home quote as its quote; buying it brings what the
    buying leg pays with, selling it turns what the selling leg earned into the home quote.
    """

    instrument: InstrumentId
    side: Side
    qty: Decimal  # of the foreign quote
    price: Decimal  # worst acceptable, home quote per foreign


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """Buy here, sell there, at these worst acceptable prices, up to `qty` base. The engine may do less, never more."""

    buy: InstrumentId
    sell: InstrumentId
    qty: Decimal
    buy_price: Decimal
    sell_price: Decimal
    edge_gross_bps: Decimal
    edge_net_bps: Decimal
    conversion: Conversion | None = None  # without one both legs have the same quote


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """Rest post-only at `price` on `maker`; hedge what fills on `hedge`, at `hedge_price` or better. Quantities in base.

    A strategy yields the quotes it wants now; the engine places, moves and pulls orders until that is what rests, pulls
    by itself what can no longer be hedged, and never rests more than the hedge venue's book and balance take.
    """

    maker: InstrumentId
    hedge: InstrumentId
    side: Side  # of the resting order
    qty: Decimal
    price: Decimal
    hedge_price: Decimal
    edge_net_bps: Decimal  # after the maker fee there and the taker fee here
    move_bps: Decimal = ZERO  # what rests stays while its price is no further from this one, in bps of it


class Triangle(NamedTuple):
    """Three instruments between which money can go round: buy, sell, and turn the foreign quote into the home one.

    `side` is the conversion's: a buy brings the foreign quote that the buying leg pays with, a sell turns what the
    selling leg earns in it.
    """

    buy: Instrument
    sell: Instrument
    conversion: Instrument
    side: Side

    @property
    def is_on_one_venue(self) -> bool:
        """Whether nothing has to be held anywhere else."""
        return self.buy.venue == self.sell.venue == self.conversion.venue


class Context(Protocol):
    """What a strategy may look at. Nothing here changes anything."""

    @property
    def now_ns(self) -> int:
        """Engine time of this step."""
        ...

    def routes(self, changed: Sequence[InstrumentId]) -> Iterator[tuple[Instrument, Instrument]]:
        """Yield every (buy, sell) route that has a changed book in it, each once, in a fixed order.

        Instruments of one base asset on different venues; quote assets may differ (then `edge` declines it).
        """
        ...

    def opportunity(
        self, buy: Instrument, sell: Instrument, edge_net_bps_min: Decimal
    ) -> Proposal | OpportunityDeclined | None:
        """Walk both books until the marginal unit no longer clears `edge_net_bps_min` after both taker fees.

        Returns a Proposal for the whole quantity that clears, a decline when something forbids looking further (unlike
        quotes, no fee known, book not tradable or too old), or None when there is no edge at the touch.
        """
        ...

    def triangles(self, changed: Sequence[InstrumentId]) -> Iterator[Triangle]:
        """Yield every triangle that has a changed book in it, each once, in a fixed order, on one venue or across."""
        ...

    def round_trip(self, triangle: Triangle, edge_net_bps_min: Decimal) -> Proposal | OpportunityDeclined | None:
        """Walk three books until the marginal unit no longer clears `edge_net_bps_min` after three taker fees.

        Returns as `opportunity` does. Edges are of the buying price in the home quote; rates come from books alone.
        """
        ...

    def levels(self, instrument: InstrumentId, side: Side, depth: int = 0) -> tuple[Level, ...]:
        """Return the first `depth` levels met when trading on `side`, best first; 0: as deep as the policy walks."""
        ...

    def fee(self, instrument: InstrumentId) -> FeeRate | None:
        """Return our fees at the present tier, or None when the venue has not told them."""
        ...


class Strategy(Protocol):
    """What a plug-in provides. `name` goes into logs and metrics."""

    name: str

    def __init__(self, params: Mapping[str, object]) -> None:
        """Read the parameters. Raises: ValueError with a text for each that is wrong."""
        ...

    @property
    def edge_net_bps_min(self) -> Decimal:
        """The least net edge worth waking for: the compiled screen uses it and errs on the side of waking."""
        ...

    @property
    def look_ms(self) -> int:
        """0: be woken when the screen finds a route of two takers that clears. n: by any book, but not within n ms."""
        ...

    def on_books(
        self, changed: Sequence[InstrumentId], context: Context
    ) -> Iterator[Proposal | Quote | OpportunityDeclined]:
        """Yield what should be done about these book changes, best first."""
        ...


class Params:
    """Reads [strategy.params] by kind. What does not fit is kept, and told all at once by `done`."""

    def __init__(self, given: Mapping[str, object], defaults: Mapping[str, object]) -> None:
        """Take what is given and, for what is not, the default; a name that has no default is a mistake."""
        known = ", ".join(defaults)
        self._mistakes = [f"unknown parameter {name!r}; known: {known}" for name in given if name not in defaults]
        self._values = {**defaults, **given}

    def above_zero(self, name: str) -> Decimal:
        """Return a positive number."""
        try:
            number = parse_decimal(str(self._values[name]))
        except ValueError as error:
            self._mistakes.append(f"{name}: {error}")
            return Decimal(1)
        if number <= 0:
            self._mistakes.append(f"{name} must be above zero, and it is {number}")
        return number

    def whole(self, name: str) -> int:
        """Return a whole number, 1 or more."""
        text = str(self._values[name])
        if not text.isdecimal() or int(text) < 1:
            self._mistakes.append(f"{name} must be a whole number, 1 or more, and it is {text}")
            return 1
        return int(text)

    def yes(self, name: str) -> bool:
        """Return a truth value."""
        value = self._values[name]
        if not isinstance(value, bool):
            self._mistakes.append(f"{name} must be true or false")
        return value is True

    def one_of(self, name: str, choices: Sequence[str]) -> str:
        """Return one of the choices, of which there is at least one."""
        value = str(self._values[name])
        if value not in choices:
            self._mistakes.append(f"{name} is {value!r}; it can be {', '.join(choices)}")
            return choices[0]
        return value

    def names(self, name: str) -> frozenset[str]:
        """Return names: of a list, or of one text with commas between them; there may be none."""
        value = self._values[name]
        if isinstance(value, str):
            value = [one.strip() for one in value.split(",") if one.strip()]
        if not isinstance(value, list | tuple):
            self._mistakes.append(f'{name} must be a list of names, such as ["one", "other"]')
            return frozenset()
        return frozenset(str(one) for one in value)

    def wrong(self, text: str) -> None:
        """Keep a mistake that only the strategy can see."""
        self._mistakes.append(text)

    def done(self) -> None:
        """Tell what was wrong. Raises: ValueError with a text for each mistake, when there is one."""
        if self._mistakes:
            raise ValueError(*self._mistakes)
