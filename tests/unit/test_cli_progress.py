"""The progress bar: drawn rarely on a terminal, one line a phase elsewhere."""

from __future__ import annotations

import io

import pytest

from arbot.cli.progress import Bar

S = 1_000_000_000


class Terminal(io.StringIO):
    """A stream that says whether it is a terminal, and counts what is written to it."""

    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self.is_terminal = is_terminal
        self.writes = 0

    def isatty(self) -> bool:
        return self.is_terminal

    def write(self, text: str) -> int:
        self.writes += 1
        return super().write(text)


def work(stream: Terminal, steps: int, step_ns: int) -> str:
    now_ns = [0]
    with Bar(stream, lambda: now_ns[0]) as bar:
        for what in ("naive", "realistic [x]"):
            bar.start(what, steps)
            for done in range(1, steps + 1):
                now_ns[0] += step_ns
                bar.advance(done)
    return stream.getvalue()


def test_without_a_terminal_each_phase_is_a_line():
    """A log gets one line per phase, with how much and how fast, and nothing in between."""
    text = work(Terminal(is_terminal=False), 1_000, S // 500)
    assert [
        "naive: 1,000 rows in 2.0 s, 500 rows/s",
        "realistic [x]: 1,000 rows in 2.0 s, 500 rows/s",
    ] == text.splitlines()


def test_a_terminal_is_drawn_to_ten_times_a_second():
    """A thousand reports within two seconds are drawn some twenty times a phase; the rate is shown."""
    stream = Terminal(is_terminal=True)
    text = work(stream, 1_000, S // 500)
    assert 10 < stream.writes < 120
    assert "rows/s" in text
    assert "realistic [x]: 1,000 rows in 2.0 s" in text


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_failure_claims_no_end(is_terminal):
    """Work that breaks off leaves no line that says it was done, and the error goes on."""
    stream = Terminal(is_terminal=is_terminal)

    def break_off() -> None:
        with Bar(stream, lambda: 0) as bar:
            bar.start("scan", 0)
            bar.advance(5)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    assert "5 rows in" not in stream.getvalue()
