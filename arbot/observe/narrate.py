"""Says in the log what the engine concluded, each kind at its level. Declines are counted, not told: there are thousands."""

from __future__ import annotations

import msgspec
import structlog

from arbot.domain.commands import Command, RaiseAlert, Severity, StopRun
from arbot.domain.decisions import (
    ArbClosed,
    ArbMoved,
    ArbOpened,
    ArbStranded,
    Decision,
    FillClashed,
    LimitLatched,
    OrderRefused,
    OrphanFillFound,
    Outcome,
    PegChanged,
    QuotePulled,
    ResidualWorked,
    TradingStateChanged,
    TransferMoved,
    TransferRefused,
    VenueHealthChanged,
)
from arbot.domain.events import Envelope, FeedConnected, FeedDisconnected, OperatorRequested, OrderRejected, RejectCode

_LEVELS: dict[type, str] = {
    # decisions
    ArbOpened: "info",
    ArbMoved: "debug",
    QuotePulled: "debug",
    ResidualWorked: "warning",
    ArbClosed: "info",
    ArbStranded: "critical",
    OrderRefused: "warning",
    OrphanFillFound: "warning",
    FillClashed: "critical",
    LimitLatched: "error",
    VenueHealthChanged: "warning",
    PegChanged: "warning",
    TransferMoved: "info",
    TransferRefused: "warning",
    TradingStateChanged: "info",
    # events
    FeedConnected: "info",
    FeedDisconnected: "warning",
    OperatorRequested: "warning",
    OrderRejected: "warning",
}
_ALERTS = {Severity.INFO: "info", Severity.WARNING: "warning", Severity.CRITICAL: "critical"}

_log = structlog.get_logger("arbot")


def narrate(envelope: Envelope, outcome: Outcome) -> None:
    """Log one step."""
    _tell(envelope.event)
    for decision in outcome.decisions:
        _tell(decision)
    for command in outcome.commands:
        _tell_command(command)


def _tell(said: msgspec.Struct | Decision) -> None:
    level = _LEVELS.get(type(said))
    if _is_ordinary(said):
        level = "debug"
    if level is not None:
        told = msgspec.to_builtins(said, builtin_types=(), enc_hook=str)
        told.pop("type", None)
        getattr(_log, level)(type(said).__name__, **{name: value for name, value in told.items() if value != ""})


def _is_ordinary(said: msgspec.Struct | Decision) -> bool:
    """Return whether it is of the daily life of quotes: a fill hedged as meant, or a price that had moved away."""
    if isinstance(said, ResidualWorked):
        return said.is_expected
    return isinstance(said, OrderRejected) and said.code is RejectCode.POST_ONLY_WOULD_TAKE


def tell_alert(alert: RaiseAlert) -> None:
    """Log an alert."""
    getattr(_log, _ALERTS[alert.severity])("Alert", code=alert.code, text=alert.text)


def _tell_command(command: Command) -> None:
    if isinstance(command, RaiseAlert):
        tell_alert(command)
    elif isinstance(command, StopRun):
        _log.info("StopRun", reason=command.reason)
