"""`arbot risk show` without a daemon: what the store remembers, in words and as JSON."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

from arbot.cli import risk
from arbot.cli.main import run
from arbot.domain.events import LegEvidence
from arbot.domain.ids import Asset, InstrumentId, VenueId
from arbot.engine.config import EngineConfig
from arbot.observe.risk import remembered


def test_the_memory_of_a_run_is_told_in_words() -> None:
    """Print prior and posterior of each instrument and the tail of each route, dearer where legs failed."""
    kraken, coinbase = (InstrumentId(f"BTC/USD@{venue}") for venue in ("kraken", "coinbase"))
    config = EngineConfig(
        ccy=Asset("USD"), venues=(VenueId("kraken"), VenueId("coinbase")), instruments=(kraken, coinbase)
    )
    seen = LegEvidence(instrument=coinbase, legs=Decimal(20), failed=Decimal(4))
    view = remembered(config, [(VenueId("kraken"), "BTC/USD"), (VenueId("coinbase"), "BTC/USD")], [seen])
    lines = "\n".join(risk._told(view, is_live=False))

    assert [Decimal("0.02"), Decimal("0.11")] == [line.fail for line in view.evidence]
    assert {Decimal("3.75")} == {line.tail_bps for line in view.tails}  # 25 bps x (0.02 + 0.11), and half a basis point
    assert "0.1100" in lines
    assert "3.7500" in lines


def test_without_a_store_the_mistake_is_told(tmp_path: Path, monkeypatch, capsys) -> None:
    """End with the code of a usage error where no run has been."""
    monkeypatch.chdir(tmp_path)

    assert run(["risk", "show", "--json"]) == 2
    told = capsys.readouterr()
    assert not told.out or json.loads(told.out)
