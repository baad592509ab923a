"""The registry file: ours is whole and packaged as shown, a user's extends it, and its mistakes are told together."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from arbot.domain.errors import UserError
from arbot.domain.ids import Asset, VenueId
from arbot.domain.registry import NodeKind
from arbot.domain.transfer import Network
from arbot.settings.load import load
from arbot.settings.registry import load_registry, shipped

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """
[run]
name = "test"
symbols = ["BTC/USD"]
[venues.kraken]
adapter = "kraken"
[venues.coinbase]
adapter = "coinbase"
[paper.venues.kraken]
balances = { USD = "1" }
[paper.venues.coinbase]
balances = { USD = "1" }
[exposure]
registry = "mine.toml"
"""


def test_the_packaged_file_is_the_one_shown() -> None:
    """Package the same bytes that config/registry.toml shows."""
    packaged = ROOT / "arbot" / "settings" / "registry.toml"

    assert (ROOT / "config" / "registry.toml").read_bytes() == packaged.read_bytes()


def test_ours_names_what_the_demo_stands_on() -> None:
    """Know the demo's venues, the dollar, the large stablecoins and a heavy tail for every network."""
    registry = shipped()

    assert registry.venue(VenueId("kraken")).entity == "payward"
    assert registry.asset(Asset("USD")).is_fiat
    assert {"tether", "circle"} == {registry.asset(Asset(name)).issuer for name in ("USDT", "USDC")}
    assert all(one.minutes_p99 >= 5 * one.minutes_p50 for one in registry.networks.values())


def test_a_users_file_extends_ours(tmp_path: Path) -> None:
    """Take a user's entry for ours of the same name, keep all others, and hand it to the engine."""
    mine = tmp_path / "mine.toml"
    mine.write_text(
        '[venues.kraken]\nbanks = ["first"]\nloss_share = 0.4\n[networks.sandnet]\nminutes_p50 = 5\n'
        '[[share_max]]\nkind = "issuer"\nnode = "tether"\nshare = "0.25"\n'
    )
    (tmp_path / "run.toml").write_text(CONFIG)
    registry = load(tmp_path / "run.toml").engine_config().registry

    assert (("first",), Decimal("0.4")) == (
        registry.venue(VenueId("kraken")).banks,
        registry.venue(VenueId("kraken")).loss_share,
    )
    assert registry.venue(VenueId("coinbase")).cloud == "aws-us-east-1"
    assert registry.network(Network("sandnet")).minutes_p50 == 5
    assert registry.share_max == {(NodeKind.ISSUER, "tether"): Decimal("0.25")}


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    """Name each wrong word and number of the file in one go, beside a mistake of the config itself."""
    mine = tmp_path / "mine.toml"
    mine.write_text(
        '[venue.kraken]\nentity = "x"\n[venues.kraken]\nbank = "y"\nloss_share = 2\n[assets]\nUSDT = "tether"\n'
        '[networks.slow]\nminutes_p50 = 50\nminutes_p99 = 5\n[networks.odd]\nminutes_p50 = "soon"\n'
        '[[share_max]]\nkind = "planet"\nnode = "earth"\nshare = 1\n[[share_max]]\nkind = "bank"\nnode = "b"\nshare = 9\n'
    )
    (tmp_path / "run.toml").write_text(CONFIG + "[http]\nport = 70000\n")
    with pytest.raises(UserError) as caught:
        load(tmp_path / "run.toml")
    told = [str(mistake) for mistake in caught.value.mistakes]

    for word in (
        "venue", "venues.kraken.bank", "venues.kraken.loss_share", "assets.USDT", "networks.slow.minutes_p50",
        "networks.odd.minutes_p50", "share_max.0", "share_max.1.share", "http.port",
    ):  # fmt: skip
        assert any(word in line for line in told), (word, told)


@pytest.mark.parametrize("text", ["[venues", None])
def test_a_file_that_cannot_be_read_is_a_mistake(tmp_path: Path, text: str | None) -> None:
    """Say what is wrong with a file that is no TOML, or is not there."""
    path = tmp_path / "mine.toml"
    if text is not None:
        path.write_text(text)

    with pytest.raises(UserError):
        load_registry(path)
