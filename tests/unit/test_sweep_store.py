"""What a sweep has found survives a crash, and is not asked again."""

from __future__ import annotations

import pytest

from arbot.backtest.sweep_store import Judge, Line, Outcome, SweepStore, line_key
from arbot.domain.errors import UserError

WHOLE = {"tape": "t", "setting": "s", "seed": 1, "code_version": "1", "part": "tuned", "judge": Judge.KERNEL}


def an_outcome(net):
    return Outcome(
        net=net, edge=0.1, slippage=0.0, unwinds=0.0, fees=0.0, drawdown=0.0, arbs=1, missed=0, one_sided=0, stranded=0
    )


def a_line(key, net=1.5):
    return Line(key=key, part="tuned", judge=Judge.KERNEL, values={"a": "1"}, outcome=an_outcome(net))


def test_results_are_there_again(tmp_path):
    """Every result that was appended is found by its key after the folder is opened anew."""
    store = SweepStore(tmp_path / "out")
    store.append([a_line("one", 1.25), a_line("other", -3.0)])
    store.append([a_line("third")])
    again = SweepStore(tmp_path / "out")
    assert len(again) == 3
    assert an_outcome(-3.0) == again.get("other")
    assert again.get("fourth") is None


@pytest.mark.parametrize("lost", [1, 5, 60])
def test_cut_last_line_is_dropped(tmp_path, lost):
    """A line that a crash cut short is forgotten, and the next batch begins on a line of its own."""
    store = SweepStore(tmp_path)
    store.append([a_line("one"), a_line("other")])
    raw = store.path.read_bytes()
    store.path.write_bytes(raw[:-lost])
    again = SweepStore(tmp_path)
    assert len(again) == 1
    again.append([a_line("third")])
    assert len(SweepStore(tmp_path)) == 2


def test_damage_in_the_middle_is_refused(tmp_path):
    """A line that is damaged before the end is not skipped silently: file and line are named."""
    store = SweepStore(tmp_path)
    store.append([a_line("one"), a_line("other")])
    store.path.write_bytes(b"{broken\n" + store.path.read_bytes())
    with pytest.raises(UserError, match=r"sweep\.jsonl:1"):
        SweepStore(tmp_path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tape", "u"),
        ("setting", "r"),
        ("seed", 2),
        ("code_version", "2"),
        ("part", "held_out"),
        ("judge", Judge.ENGINE),
    ],
)
def test_key_is_of_all_that_decides(field, value):
    """Another tape, setting, seed, version, part or judge is another result."""
    assert line_key(**WHOLE) == line_key(**WHOLE)
    assert line_key(**WHOLE) != line_key(**{**WHOLE, field: value})
