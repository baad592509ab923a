"""Makes messages of what the daemon goes through: one look at a step, a table, and no wait.

Told are alerts (words.py), what people ask for, the start and the end. A loss that is nobody's order is an alert of the
engine's or of the shell's own; what the table does not know is told by its code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from arbot.domain.commands import RaiseAlert, Severity
from arbot.domain.decisions import Outcome
from arbot.domain.errors import UserError
from arbot.domain.events import Envelope, OperatorRequested, RunStarted, StandingRestored, Verb
from arbot.notify.message import Kind, Message
from arbot.notify.words import words_of

_TOLD_OTHERWISE = (Verb.KILL, Verb.DRAIN)  # by its alert; by the end of the run
_DOES = {
    Verb.PAUSE: ("No new arbs; what is open is finished.", "arbot resume takes it back"),
    Verb.RESUME: ("Arbs are opened again.", ""),
    Verb.HALT: ("Every order is cancelled; nothing is opened until resume.", "arbot status"),
    Verb.FLATTEN: ("Every residual is brought to zero; nothing is opened until resume.", "arbot status"),
    Verb.UNKILL: ("Orders may leave again; trading stays paused.", "arbot resume"),
    Verb.RESET_LIMIT: ("The limit counts anew.", ""),
    Verb.QUARANTINE: ("No new arbs at that venue.", 'arbot release VENUE --reason "..." takes it back'),
    Verb.RELEASE: ("The venue is given arbs again.", ""),
}


class Teller:
    """Looks at every step of a run. `alerts` counts those of each severity since they were taken."""

    def __init__(self, tell: Callable[[Message], None], *, mode: str, version: str, venues: tuple[str, ...]) -> None:
        self._tell = tell
        self._mode = mode
        self._version = version
        self._venues = venues
        self._standing = "nothing outlived the last run"
        self.alerts: Counter[str] = Counter()

    def observe(self, envelope: Envelope, outcome: Outcome) -> None:
        """Take over one step."""
        event = envelope.event
        if isinstance(event, OperatorRequested):
            self._asked(event, envelope.ts_ns)
        elif isinstance(event, RunStarted):
            self._started(event, envelope.ts_ns)
        elif isinstance(event, StandingRestored):
            self._standing = standing_in_words(event)
        for command in outcome.commands:
            if isinstance(command, RaiseAlert):
                self.alerted(command, envelope.ts_ns)

    def alerted(self, alert: RaiseAlert, ts_ns: int = 0) -> None:
        """Take over an alert; one of the shell's own has the time at which it is told."""
        self.alerts[alert.severity.value] += 1
        self._tell(message_of(alert, ts_ns))

    def _started(self, event: RunStarted, ts_ns: int) -> None:
        self._tell(
            Message(
                kind=Kind.START,
                code="started",
                severity=Severity.INFO,
                title="arbot has started",
                text=f"Run {event.run_id}, {self._mode}, version {self._version}, venues {', '.join(self._venues)}. "
                f"Before: {self._standing}.",
                does="It compares orders and balances with every venue, and opens arbs where both agree.",
                todo="arbot status",
                ts_ns=ts_ns,
            )
        )

    def _asked(self, event: OperatorRequested, ts_ns: int) -> None:
        if event.verb in _TOLD_OTHERWISE:
            return
        does, todo = _DOES[event.verb]
        what = f"{event.verb.value.replace('_', '-')} {event.argument}".strip()
        self._tell(
            Message(
                kind=Kind.OPERATOR,
                code=f"operator_{event.verb.value}",
                severity=Severity.INFO,
                title=f"{event.actor} asked for {what}",
                text=f"The reason given: {event.reason}" if event.reason else "No reason was given.",
                does=does,
                todo=todo,
                ts_ns=ts_ns,
            )
        )


def standing_in_words(standing: StandingRestored) -> str:
    """Return what outlived the last run and keeps arbot from trading."""
    held = (
        "the kill switch is thrown (arbot unkill)" if standing.killed else "",
        "trading is paused (arbot resume)" if standing.paused else "",
        f"latched limits {', '.join(standing.latched)} (arbot reset-limit)" if standing.latched else "",
        f"off their pegs {', '.join(standing.depegged)}" if standing.depegged else "",
    )
    return "; ".join(one for one in held if one) or "nothing that keeps it from trading"


def message_of(alert: RaiseAlert, ts_ns: int = 0) -> Message:
    """Return an alert as a message."""
    words = words_of(alert.code, is_critical=alert.severity is Severity.CRITICAL)
    return Message(
        kind=words.kind,
        code=alert.code,
        severity=alert.severity,
        title=words.title,
        text=alert.text,
        does=words.does,
        todo=words.todo,
        ts_ns=ts_ns,
    )


def failing(error: BaseException, where: str) -> Message:
    """Return what is told at once when something has failed that ends the run."""
    if isinstance(error, UserError):
        return Message(
            kind=Kind.FAILURE,
            code="mistake",
            severity=Severity.CRITICAL,
            title="arbot cannot go on: something has to be mended",
            text="\n".join(f"{one.where}: {one.what}" for one in error.mistakes),
            does="It lets no order leave, cancels all, and ends.",
            todo="; ".join(one.remedy for one in error.mistakes) + "; then start it again",
        )
    return Message(
        kind=Kind.FAILURE,
        code="failure",
        severity=Severity.CRITICAL,
        title="arbot has failed and is stopping",
        text=where,
        does="It lets no order leave, cancels all, and ends.",
        todo="arbot status, arbot ledger verify, the log, and only then start it again",
    )


def ended(*, reason: str, failure: bool, open_orders: int, stranded: int, unknown: int) -> Message:
    """Return the last word of a run. `open_orders` -1: nobody could say."""
    is_clean = not failure and open_orders == 0 and not stranded and not unknown
    left = ", ".join(
        (
            "nobody can say how many orders are open" if open_orders < 0 else f"{open_orders} orders open",
            f"{stranded} arbs stranded",
            f"{unknown} orders unknown",
        )
    )
    return Message(
        kind=Kind.SHUTDOWN,
        code="ended",
        severity=Severity.INFO if is_clean else Severity.CRITICAL,
        title="arbot has ended in good order" if is_clean else "arbot has ended, and not in good order",
        text=f"{reason}. Left behind: {left}.",
        does="Nothing is traded and nothing is watched until it is started again.",
        todo="" if is_clean else "look at the venues' own order pages, then arbot status and the log",
    )
