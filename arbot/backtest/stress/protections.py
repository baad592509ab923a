"""What stands between a disaster and the account: each protection by name, and how a play does without it.

A protection is switched off by changing the engine's configuration, or by keeping from the engine what it would have
heard. Nothing in the engine knows of this: the same objects run with other numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from arbot.domain.events import Event, VenueStatusReported
from arbot.engine.config import EngineConfig

HUGE = Decimal(1_000_000_000)
LONG = 1_000_000_000


class Protection(msgspec.Struct, frozen=True, kw_only=True):
    """What it is in words, the settings that switch it off by dotted name, and the events that it would have needed."""

    about: str
    off: Mapping[str, Any] = {}
    deaf_to: tuple[type[Event], ...] = ()
    stops: bool = False  # doing without it strands the first residual, which ends the play: not part of "all off"
    hides_closures: bool = False  # venues tell of their networks as if nothing were ever closed


PROTECTIONS: dict[str, Protection] = {
    "size_caps": Protection(
        about="an arb is no larger than its cap, nor is what may stand open, nor are there more than so many",
        off={
            "limits.notional_per_arb_max": HUGE,
            "limits.net_delta_notional_max": HUGE,
            "limits.inventory_notional_max": HUGE,
            "limits.arbs_open_max": 1_000,
        },
    ),
    "edge_ceiling": Protection(
        about="an edge too good to be true is bad data or news", off={"limits.edge_gross_bps_max": HUGE}
    ),
    "news_gate": Protection(
        about="a large gap is taken once, then the mids have to meet", off={"news.edge_news_bps": HUGE}
    ),
    "counterparty_cap": Protection(
        about="no venue holds more than its share of the capital",
        off={"limits.counterparty_share_max": Decimal(1000), "risk.venue_loss_share_max": Decimal(1000)},
    ),
    "loss_limits": Protection(
        about="losses of a day and from the peak stop new arbs",
        off={"limits.loss_day_max": HUGE, "limits.drawdown_max": HUGE},
    ),
    "residual_work": Protection(
        about="a leg left alone is hedged on any venue or unwound, within seconds and a bounded loss",
        off={"execution.hedge_tries_max": 0},
        stops=True,
    ),
    "quarantine": Protection(
        about="a venue that refuses, hangs or announces maintenance gets no new arbs",
        off={
            "health.reject_share_max": Decimal(1),
            "health.unanswered_share_max": Decimal(1),
            "health.ack_ms_mean_max": LONG,
            "health.ack_ms_tail_max": LONG,
            "health.drops_max": LONG,
            "health.maintenance_lead_s": 0,
        },
        deaf_to=(VenueStatusReported,),
    ),
    "withdrawal_gate": Protection(
        about="a venue whose money cannot leave, or leaves late, sets no prices and loses its caps",
        off={"transfers.limits.overdue_quantile": Decimal("0.999999999")},
        hides_closures=True,
    ),
    "peg_guard": Protection(
        about="a stablecoin off its peg is not money", off={"pegs.peg_band_bps": HUGE, "pegs.peg_return_bps": HUGE}
    ),
    "stress_budget": Protection(
        about="what a named disaster could cost now stays within its share of the capital",
        off={
            f"risk.{name}_loss_share_max": Decimal(1000)
            for name in ("gap", "venue", "issuer", "bank", "custodian", "chain", "cloud")
        },
    ),
    "tail_price": Protection(
        about="the edge has to pay for failing legs and for the tail it uses",
        off={"risk.tail_price": Decimal(0), "risk.leg_fail_prior": Decimal(0), "risk.unwind_bps_prior": Decimal(0)},
    ),
    "issuer_cap": Protection(
        about="no issuer's coins are more than their share of the capital",
        off={"exposure.issuer_share_max": Decimal(1000), "risk.issuer_loss_share_max": Decimal(1000)},
    ),
    "node_caps": Protection(
        about="no bank, custodian, chain or region carries more than its share of the capital",
        off={f"exposure.{name}_share_max": Decimal(1000) for name in ("bank", "custodian", "chain", "cloud")},
    ),
    "transfer_overdue": Protection(
        about="what depends on coins that are late waits for them",
        off={"transfers.limits.overdue_quantile": Decimal("0.999999999")},
    ),
    "transit_caps": Protection(
        about="what may be in flight on a network and in all is bounded",
        off={"transfers.limits.transit_network_max": HUGE, "transfers.limits.transit_total_max": HUGE},
    ),
}


def without(config: EngineConfig, names: Iterable[str]) -> EngineConfig:
    """Return the configuration with these protections switched off."""
    for name in names:
        for path, value in PROTECTIONS[name].off.items():
            config = replaced(config, path.split("."), value)
    return config


def deaf_to(names: Iterable[str]) -> tuple[type[Event], ...]:
    """Return the events that an engine without these protections does not hear."""
    return tuple(kind for name in names for kind in PROTECTIONS[name].deaf_to)


def replaced(struct: Any, path: list[str], value: Any) -> Any:
    """Return a frozen struct with the field at this path replaced."""
    name, *rest = path
    inner = replaced(getattr(struct, name), rest, value) if rest else value
    return msgspec.structs.replace(struct, **{name: inner})


def hides_closures(names: Iterable[str]) -> bool:
    """Return whether an engine without these protections hears nothing of closed wallets."""
    return any(PROTECTIONS[name].hides_closures for name in names)
