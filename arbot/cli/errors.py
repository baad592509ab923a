"""What can come back from a daemon instead of an answer."""

from __future__ import annotations

from arbot.domain.errors import ArbotError


class NotRunning(ArbotError):
    """No daemon runs in that state folder, or it does not answer."""


class DaemonRefused(ArbotError):
    """The daemon answered, and the answer is no."""
