"""One place where logging is set up: structlog for ours, the same look for everybody else's, secrets blotted out.

Rules: stdout belongs to the commands, so logs go to stderr; times are UTC from the clock that is passed in; ccxt,
aiohttp and SQLAlchemy speak from WARNING on (at DEBUG ccxt prints signed requests); every text that leaves goes
through the redactor, tracebacks included; control characters of others are escaped.
"""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

Redact = Callable[[str], str]

_QUIET = ("ccxt", "aiohttp", "asyncio", "sqlalchemy", "urllib3", "numba")
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(9), *range(11, 32), *range(127, 160))}  # tab and newline stay
_CONTROL |= {  # what turns text around, hides in it, or begins a line in some viewers
    code: f"\\u{code:04x}"
    for code in (0x061C, *range(0x200B, 0x2010), *range(0x2028, 0x202F), *range(0x2066, 0x206A), 0xFEFF)
}
LEVELS = ("debug", "info", "warning", "error", "critical")
NS_PER_S = 1_000_000_000


class _CurrentStderr(logging.StreamHandler[TextIO]):
    """Writes to what sys.stderr is at that moment, so that a live table can put log lines above itself."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        """Return the present stderr."""
        return sys.stderr


class RedactingFormatter(structlog.stdlib.ProcessorFormatter):
    """Renders, then blots out secrets and control characters in the finished line: nothing can slip past a processor."""

    def __init__(self, redactors: tuple[Redact, ...], counts: Counter[str], **options: Any) -> None:
        super().__init__(**options)
        self.redactors = redactors
        self.counts = counts  # lines by level

    def format(self, record: logging.LogRecord) -> str:
        """Return the line as it leaves."""
        self.counts[record.levelname.lower()] += 1
        line = super().format(record)
        for redact in self.redactors:
            line = redact(line)
        return line


def set_up(
    *, now_ns: Callable[[], int], redact: Redact, as_json: bool, level: str, stream: TextIO | None = None
) -> None:
    """Send all logging of the process to `stream` (stderr unless given).

    Call it again when more secrets are known: what was blotted out before stays blotted out.
    """
    root = logging.getLogger()
    handler = logging.StreamHandler(stream) if stream is not None else _CurrentStderr()
    stamp = _stamper(now_ns)
    shared: tuple[Any, ...] = (
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        stamp,
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        _escape,
    )
    renderer: Any = (
        structlog.processors.JSONRenderer(sort_keys=False, default=str)
        if as_json
        else structlog.dev.ConsoleRenderer(
            colors=(stream or sys.stderr).isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    formatter = RedactingFormatter(
        (*_redactors(root), redact),
        _counts(root),
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
    handler.setFormatter(formatter)
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def set_level(level: str) -> None:
    """Log from this level on; the libraries that speak from WARNING on still do."""
    logging.getLogger().setLevel(level.upper())


def blot_out(redact: Redact) -> None:
    """Blot out more from here on, in a log that is set up already."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, RedactingFormatter):
            handler.formatter.redactors = (*handler.formatter.redactors, redact)


def redact(text: str) -> str:
    """Return a text as the log would show it, without any secret that is known by now: for what leaves by another way."""
    for blot_out in _redactors(logging.getLogger()):
        text = blot_out(text)
    return text


def counts_by_level() -> dict[str, int]:
    """Return how many lines of each level have been written since logging was set up first."""
    return {level: _counts(logging.getLogger())[level] for level in LEVELS}


def _counts(root: logging.Logger) -> Counter[str]:
    formatters = (handler.formatter for handler in root.handlers)
    return next((one.counts for one in formatters if isinstance(one, RedactingFormatter)), Counter())


def _redactors(root: logging.Logger) -> tuple[Redact, ...]:
    formatters = (handler.formatter for handler in root.handlers)
    return tuple(
        redact
        for formatter in formatters
        if isinstance(formatter, RedactingFormatter)
        for redact in formatter.redactors
    )


def _stamper(now_ns: Callable[[], int]) -> Callable[[WrappedLogger, str, EventDict], EventDict]:
    def stamp(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        seconds, rest = divmod(now_ns(), NS_PER_S)
        moment = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        event["ts"] = f"{moment}.{rest // 1_000:06d}Z"
        return event

    return stamp


def _escape(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Escape control characters: a venue's text must not move the cursor or forge a line."""
    for key, value in event.items():
        if isinstance(value, str):
            text = value.translate(_CONTROL)
            event[key] = text if key in ("exception", "stack") else text.replace("\n", "\\n")
    return event
