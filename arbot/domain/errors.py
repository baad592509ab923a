"""The tree of errors, by whose they are.

ArbotError
├── InvariantBroken      ours: a bug or a corrupted state. Cancel all, stop. Never caught below the supervisor.
├── VenueError           the world's: raised only inside the shell, turned into an event before the core hears of it.
│   ├── VenueUnavailable     no usable answer (timeout, connection, 5xx, unreadable body)
│   └── VenueRefused         a complete venue answer that says no (wrong key, permission)
│       └── InstrumentUnknown    the venue does not list what the config names
└── UserError            the user's: collected and shown together, each with where and what to do next.
"""

from __future__ import annotations

from typing import NamedTuple


class ArbotError(Exception):
    """Root of everything arbot raises on purpose."""


class InvariantBroken(ArbotError):
    """A promise of the code does not hold; continuing could lose money."""


class VenueError(ArbotError):
    """A venue could not be asked, or said no. Lives in the shell only."""

    def __init__(self, venue: str, detail: str) -> None:
        super().__init__(f"{venue}: {detail}")
        self.venue = venue
        self.detail = detail


class VenueUnavailable(VenueError):
    """No usable answer came: nothing is known about the effect of the request."""


class VenueRefused(VenueError):
    """The venue answered, and the answer is no."""


class InstrumentUnknown(VenueRefused):
    """The venue does not list an instrument that is configured for it."""


class Mistake(NamedTuple):
    """One thing the user has to mend: where it is, what is wrong, what to do next."""

    where: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}\n    -> {self.remedy}"


class UserError(ArbotError):
    """Mistakes in what a person gave us (configuration, files, commands), all of them at once."""

    def __init__(self, *mistakes: Mistake) -> None:
        super().__init__("\n".join(str(mistake) for mistake in mistakes))
        self.mistakes = mistakes


def ensure(condition: object, message: str, **facts: object) -> None:
    """Raise InvariantBroken unless `condition` holds. Unlike `assert` it survives `python -O`."""
    if not condition:
        told = " ".join(f"{name}={value!r}" for name, value in facts.items())
        raise InvariantBroken(f"{message} {told}".rstrip())
