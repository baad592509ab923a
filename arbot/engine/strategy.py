"""The port through which a strategy sees the engine. Everything a strategy needs is on this page.

A strategy is a class made once with its parameters (a mapping from the config's [strategy.params]). On every burst of
book changes it is asked for proposals; sizing, risk and execution are the engine's business and cannot be passed by.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Protocol

import msgspec

from arbot.domain.decisions import OpportunityDeclined
from arbot.domain.ids import InstrumentId
from arbot.domain.instrument import FeeRate, Instrument
from arbot.domain.order import Side
from arbot.engine.market_view import Level

__all__ = ["Context", "Level", "Proposal", "Strategy"]


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """Buy here, sell there, at these worst acceptable prices, up to `qty` base. The engine may do less, never more."""

    buy: InstrumentId
    sell: InstrumentId
    qty: Decimal
    buy_price: Decimal
    sell_price: Decimal
    edge_gross_bps: Decimal
    edge_net_bps: Decimal


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

    def levels(self, instrument: InstrumentId, side: Side) -> tuple[Level, ...]:
        """Return the levels met when trading on `side`, best first."""
        ...

    def fee(self, instrument: InstrumentId) -> FeeRate | None:
        """Return our fees at the present tier, or None when the venue has not told them."""
        ...


class Strategy(Protocol):
    """What a plug-in provides. `name` goes into logs and metrics."""

    name: str

    def __init__(self, params: Mapping[str, object]) -> None:
        """Read the parameters. Raises: ValueError naming the parameter that is wrong."""
        ...

    @property
    def edge_net_bps_min(self) -> Decimal:
        """The least net edge worth waking for: the compiled screen uses it and errs on the side of waking."""
        ...

    def on_books(self, changed: Sequence[InstrumentId], context: Context) -> Iterator[Proposal | OpportunityDeclined]:
        """Yield what should be done about these book changes, best first."""
        ...
