"""What a pretend venue of a replay does wrong at a moment: switches that a scenario turns while the replay goes on.

All off, a venue behaves as if the switches were not there, to the last drawn chance. An order that is lost, or whose
answer is lost, is told as unknown when the request times out: nobody is told more than a gateway would know.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from arbot.domain.events import RejectCode
from arbot.domain.units import ONE


@dataclass(slots=True)
class VenueFaults:
    """The switches of one venue. Shares are of an order's quantity, the factor is of every delay."""

    is_gone: bool = False  # requests reach nobody, and no answer or news leaves
    loses_orders: bool = False  # an order never arrives
    loses_answers: bool = False  # an order is carried out, and nothing is told of it until somebody asks
    holds_orders: bool = False  # an order is taken, and neither matched nor ended
    refuses_cancels: bool = False
    refusal: RejectCode | None = None  # every order is refused with this
    fill_share: Decimal = ONE  # of an order is matched at the most, in whole steps
    delay_factor: float = 1.0

    @property
    def drops_orders(self) -> bool:
        """Whether an order that is sent now never arrives."""
        return self.is_gone or self.loses_orders
