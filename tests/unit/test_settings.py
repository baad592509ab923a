"""The config file: what is accepted, and how every kind of mistake is told."""

from __future__ import annotations

import contextlib
import tomllib
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbot.domain.errors import UserError
from arbot.engine.config import ExecutionPolicy, RiskLimits
from arbot.settings import rules
from arbot.settings.defaults import demo
from arbot.settings.fields import bound_of
from arbot.settings.load import load, parse
from arbot.settings.model import Mode, Settings
from arbot.settings.show import as_document, digest, show

CONFIG = Path(__file__).parents[2] / "config"

MINIMAL = """\
[run]
name = "test"
mode = "paper"
symbols = ["BTC/USD"]
[venues.kraken]
adapter = "kraken"
[venues.coinbase]
adapter = "coinbase"
[paper.venues.kraken]
balances = { USD = 1000 }
[paper.venues.coinbase]
balances = { BTC = "0.5" }
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "test.toml"
    path.write_text(text)
    return path


def mistakes(tmp_path: Path, text: str) -> dict[str, tuple[str, str]]:
    with pytest.raises(UserError) as caught:
        load(written(tmp_path, text))
    return {found.where.rpartition(" ")[2]: (found.what, found.remedy) for found in caught.value.mistakes}


def test_a_minimal_file_gives_the_engines_own_defaults(tmp_path: Path) -> None:
    """A file that names only venues and symbols yields the defaults of the engine's types."""
    config = load(written(tmp_path, MINIMAL)).engine_config()
    assert RiskLimits() == config.limits
    assert ExecutionPolicy() == config.execution
    assert config.instruments == ("BTC/USD@kraken", "BTC/USD@coinbase")


def test_every_limit_of_the_engine_has_a_bound() -> None:
    """Every number of the engine's types is bounded on both sides, zero excluded, and its default lies within."""
    for kind in (RiskLimits, ExecutionPolicy):
        for field in msgspec.structs.fields(kind):
            bound = bound_of(field.name, field.default)
            assert 0 < bound.low <= field.default <= bound.high


@pytest.mark.parametrize("name", ["demo.toml", "paper.toml", "live.example.toml"])
def test_the_files_we_ship_are_valid(name: str, tmp_path: Path) -> None:
    """Every shipped config loads, and loads again from what `config show` prints of it."""
    settings = load(CONFIG / name)
    assert settings == load(written(tmp_path, show(settings)))


def test_the_built_in_demo_is_the_demo_file() -> None:
    """`arbot demo` without a file runs on exactly config/demo.toml."""
    assert load(CONFIG / "demo.toml") == demo(CONFIG.parent)


def test_the_live_example_stays_locked() -> None:
    """The live example is valid and yet says that live trading is not allowed."""
    settings = load(CONFIG / "live.example.toml")
    assert settings.run.mode is Mode.LIVE
    assert not settings.run.live
    assert not settings.transfers.enabled


DEPOSIT = "[[backtest.deposits]]\nafter_s = 60\nvenue = 'kraken'\nasset = 'USD'\nqty = 5\n"

ALLOWED = "[[transfers.allow]]\nvenue = 'kraken'\nasset = 'XRP'\nnetwork = 'ripple'\naddress = 'r1'"
ADDED = [
    # what is added to the minimal file, where the mistake is, a part of what is said, a part of the remedy
    ("[limits]\nnotional_per_arb_mx = 5", "limits.notional_per_arb_mx", "no such key", "notional_per_arb_max"),
    ("[limits]\nnotional_per_arb_max_usd = 5", "limits.notional_per_arb_max_usd", "no such key", "mind the unit"),
    ("[limits]\nbook_skew_s_max = 5", "limits.book_skew_s_max", "no such key", "milliseconds"),
    ("[execution]\nhedge_slippage_pct = 5", "execution.hedge_slippage_pct", "no such key", "hedge_slippage_bps"),
    ("[limits]\nhedge_loss_max = 5", "limits.hedge_loss_max", "no such key", "[execution]"),
    ("[limts]\nloss_day_max = 5", "limts", "no such key", "limits"),
    ("[limits]\nloss_day_max = 0", "limits.loss_day_max", "not positive", "no limit may be off"),
    ("[limits]\nloss_day_max = -1", "limits.loss_day_max", "not positive", "no limit may be off"),
    ("[limits]\nloss_day_max = inf", "limits.loss_day_max", "not finite", "finite"),
    ("[limits]\nloss_day_max = nan", "limits.loss_day_max", "not finite", "finite"),
    ("[limits]\nloss_day_max = true", "limits.loss_day_max", "not a number", "finite"),
    ('[limits]\nloss_day_max = "ten"', "limits.loss_day_max", "not a number", "finite"),
    ('[limits]\nloss_day_max = "1,5"', "limits.loss_day_max", "not a number", "finite"),
    ("[limits]\nloss_day_max = 1e30", "limits.loss_day_max", "outside", "check the unit"),
    ("[limits]\nloss_day_max = 1e300", "limits.loss_day_max", "too many digits", "finite"),
    ("[limits]\ncounterparty_share_max = 75", "limits.counterparty_share_max", "outside", "fraction"),
    ("[limits]\nedge_gross_bps_max = 0.03", "limits.edge_gross_bps_max", "outside", "basis points"),
    ("[limits]\nbook_age_recv_ms_max = 2", "limits.book_age_recv_ms_max", "outside", "milliseconds"),
    ("[limits]\narbs_open_max = 1.5", "limits.arbs_open_max", "not a whole number", "without quotes"),
    ('[limits]\narbs_open_max = "2"', "limits.arbs_open_max", "not a whole number", "without quotes"),
    ("[limits]\nnotional_per_arb_max = 5000000", "limits.notional_per_arb_max", "outside", "check the unit"),
    ("[limits]\ninventory_notional_max = 10", "limits.notional_per_arb_max", "above", "inventory_notional_max"),
    ("[limits]\nnet_delta_notional_max = 10", "limits.notional_per_arb_max", "above", "net_delta_notional_max"),
    ("[execution]\nhedge_loss_max = 900", "execution.hedge_loss_max", "above", "loss_day_max"),
    ("[execution]\norder_deadline_ms = 9000", "execution.order_deadline_ms", "above", "leg_deadline_ms"),
    ("[execution]\nhedge_seconds_max = 2", "execution.hedge_seconds_max", "leave no time", "leg_deadline_ms"),
    ("[execution]\nquery_backoff_ms = 9000", "execution.query_backoff_ms", "above", "query_backoff_ms_max"),
    ("[execution]\ndepth_max = 500", "venues.kraken.book_depth", "fewer", "depth_max"),
    ('[http]\nbind = "0.0.0.0"', "http.bind", "other machines", "127.0.0.1"),
    ("[http]\nport = 99999", "http.port", "too large", "65535"),
    ('[store]\nurl = "mysql://x/y"', "store.url", "neither", "postgresql+psycopg"),
    ('[store]\nurl = "postgresql+psycopg://a@h:port/x"', "store.url", "neither", "postgresql+psycopg"),
    ("[transfers]\nenabled = 1", "transfers.enabled", "neither true nor false", "true or false"),
    ("[transfers]\nenabled = true", "transfers.enabled", "allow-list", "[[transfers.allow]]"),
    (ALLOWED.replace("ripple", "ripple2"), "transfers.allow.0.network", "no network 'ripple2'", "bitcoin"),
    (ALLOWED, "transfers.allow.0.tag", "needs a tag", "shows with the address"),
    ("[sim]\nfaults = 'ws-cut'", "sim.faults", "not a list", "["),
    ("[sim]\nfaults = ['Cut it']", "sim.faults.0", "not a fault", "ws-cut"),
    ("[sim.map]\nbitfinex = 'x'", "sim.map.bitfinex", "no such venue", "kraken"),
    ("[paper.venues.krakn]\nbalances = { USD = 1 }", "paper.venues.krakn", "no such venue", "kraken"),
    ("[paper.venues.Kraken]\nbalances = { USD = 1 }", "paper.venues.Kraken", "not a venue name", "small letters"),
    ("[tape]\nrotate_s = 0", "tape.rotate_s", "too small", "1 or more"),
    ("[tape]\nrotate_ms = 5", "tape.rotate_ms", "no such key", "rotate_s"),
    ("[tape]\nrecord = 'yes'", "tape.record", "neither true nor false", "true or false"),
    ("[backtest]\nlatency = 'gauss'", "backtest.latency", "not one of the choices", "lognormal"),
    ("[backtest]\nreject_share = 2", "backtest.reject_share", "too large", "1 or less"),
    ("[backtest]\ndepth_share = 0", "backtest.depth_share", "too small", "0.01"),
    ("[backtest]\nlatency_factor = 0.5", "backtest.latency_factor", "too small", "1 or more"),
    ("[backtest]\norders_burst = 2", "backtest.orders_burst", "too small", "3 or more"),
    ("[backtest]\nrequest_ms = 300", "backtest.request_ms", "middle of delays", "request_ms_p99"),
    ("[backtest.venues.kraken]\nrequest_ms = 0", "backtest.venues.kraken.request_ms", "middle", '"fixed"'),
    ("[backtest]\nlatency_run = 'r'", "backtest.latency_run", "nothing is measured", "measured"),
    ("[backtest]\ntransfer_minutes = 500", "backtest.transfer_minutes", "above", "transfer_minutes_p99"),
    ("[backtest.transfer_fee]\nBTC = -1", "backtest.transfer_fee.BTC", "negative", "zero or more"),
    ("[backtest.venues.krakn]\nanswer_ms = 1", "backtest.venues.krakn", "no such venue", "kraken"),
    ("[backtest.venues.kraken]\nsample_s = 1", "backtest.venues.kraken.sample_s", "no such key", "[backtest]"),
    (
        "taker_bps = 5\n[backtest.venues.coinbase]\nvolume_opening = 5",
        "backtest.venues.coinbase.volume_opening",
        "fixes the fees",
        "taker_bps",
    ),
    (DEPOSIT.replace("kraken", "bitmex"), "backtest.deposits.0.venue", "no such venue", "kraken"),
    (DEPOSIT.replace("USD", "EUR"), "backtest.deposits.0.asset", "no instrument at kraken", "BTC, USD"),
    (DEPOSIT.replace("5", "0"), "backtest.deposits.0.qty", "too small", "more than 0"),
    (DEPOSIT.replace("qty", "qyt"), "backtest.deposits.0.qyt", "no such key", "qty"),
    ("[venues.third]\nadapter = 'bitstamp'", "venues.third.adapter", "not an adapter", "ccxt:"),
    ("[venues.third]\nbook_depth = 100", "venues.third.adapter", "missing", "add it"),
]


@pytest.mark.parametrize(("added", "where", "what", "remedy"), ADDED, ids=[row[0] for row in ADDED])
def test_each_mistake_is_told_with_place_and_remedy(
    tmp_path: Path, added: str, where: str, what: str, remedy: str
) -> None:
    """One mistake in a file is named by its key, said in plain words, and comes with what to do."""
    found = mistakes(tmp_path, MINIMAL + added)
    assert where in found
    assert what in found[where][0]
    assert remedy in found[where][1]


REPLACED = [
    ('mode = "paper"', 'mode = "papr"', "run.mode", "not one of the choices", "paper"),
    ('mode = "paper"', "live = true", "run.live", "run.mode", "live = false"),
    ('mode = "paper"', 'ccy = "EUR"', "run.ccy", "EUR", "BTC/USD"),
    ('mode = "paper"', 'log_format = "xml"', "run.log_format", "not one of the choices", "json"),
    ('["BTC/USD"]', '"BTC/USD"', "run.symbols", "not a list", "["),
    ('["BTC/USD"]', "[]", "run.symbols", "0 entries", "at least 1"),
    ('["BTC/USD"]', '["BTCUSD"]', "run.symbols.0", "not a symbol", "BASE/QUOTE"),
    ('name = "test"', "name = 5", "run.name", "not a text", "quotes"),
    ('name = "test"', 'name = "../x"', "run.name", "not a run name", "letters"),
    ("[paper.venues.kraken]\nbalances = { USD = 1000 }\n", "", "paper.venues.kraken", "no balances", "add a table"),
    ("{ USD = 1000 }", "{ USD = -1 }", "paper.venues.kraken.balances.USD", "negative", "zero or more"),
    ("{ USD = 1000 }", "{ usd = 1 }", "paper.venues.kraken.balances.usd", "not an asset", "capitals"),
    ('adapter = "kraken"', 'adapter = "kraken"\nbook_depth = 50', "venues.kraken.book_depth", "no depth", "100"),
    ('adapter = "kraken"', 'adapter = "kraken"\ntier = "gold"', "venues.kraken.tier", "no tier", "pro"),
    ('adapter = "kraken"', 'adapter = "kraken"\nkey_file = "k"', "venues.kraken.key_file", "no API key", "remove"),
    (
        'adapter = "kraken"',
        'adapter = "kraken"\nrest_url = "https://api.kraken.com.evil.example"',
        "venues.kraken.rest_url",
        "neither loopback",
        "api.kraken.com",
    ),
    (
        'adapter = "kraken"',
        'adapter = "kraken"\nrest_url = "https://[x"',
        "venues.kraken.rest_url",
        "no http address",
        "https://",
    ),
    (
        'adapter = "kraken"',
        'adapter = "kraken"\nrest_url = "http://api.kraken.com"',
        "venues.kraken.rest_url",
        "not encrypted",
        "https://",
    ),
    (
        'adapter = "kraken"',
        'adapter = "kraken"\nws_public_url = "https://ws.kraken.com"',
        "venues.kraken.ws_public_url",
        "no ws address",
        "wss://",
    ),
]


@pytest.mark.parametrize(("old", "new", "where", "what", "remedy"), REPLACED, ids=[row[1] for row in REPLACED])
def test_each_wrong_value_is_told_with_place_and_remedy(
    tmp_path: Path, old: str, new: str, where: str, what: str, remedy: str
) -> None:
    """A wrong value in a file is named by its key, said in plain words, and comes with what to do."""
    assert old in MINIMAL
    found = mistakes(tmp_path, MINIMAL.replace(old, new, 1))
    assert where in found
    assert what in found[where][0]
    assert remedy in found[where][1]


def test_all_mistakes_come_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    """Mistakes of every kind, single values and rules between them, are told together with rising line numbers."""
    text = MINIMAL + "[limits]\nloss_day_max = -1\n[http]\nbind = '0.0.0.0'\nprt = 5\n[execution]\ncool_down_s = 1\n"
    with pytest.raises(UserError) as caught:
        load(written(tmp_path, text))
    places = [found.where.partition("test.toml:")[2] for found in caught.value.mistakes]
    assert places == ["14 limits.loss_day_max", "16 http.bind", "17 http.prt", "19 execution.cool_down_s"]


def test_a_rule_is_silent_when_what_it_reads_is_already_wrong(tmp_path: Path) -> None:
    """A wrong value is told once, not again by every rule that compares it."""
    found = mistakes(tmp_path, MINIMAL + "[limits]\nnotional_per_arb_max = -1\ninventory_notional_max = 10")
    assert list(found) == ["limits.notional_per_arb_max"]


def test_live_mode_refuses_other_hosts(tmp_path: Path) -> None:
    """In live mode not even a loopback address may stand in for the venue."""
    text = MINIMAL.replace('"paper"', '"live"', 1).replace(
        'adapter = "kraken"', 'adapter = "kraken"\nkey_file = "k"\nws_public_url = "ws://127.0.0.1:1"'
    )
    assert "own hosts only" in mistakes(tmp_path, text)["venues.kraken.ws_public_url"][0]


def test_a_demo_may_speak_to_a_simulator_elsewhere_on_this_machine(tmp_path: Path) -> None:
    """With loopback URLs and key files the demo starts no simulators of its own."""
    text = MINIMAL.replace('"paper"', '"demo"', 1)
    assert load(written(tmp_path, text)).simulates_venues()
    for venue in ("kraken", "coinbase"):
        text = text.replace(
            f'adapter = "{venue}"', f'adapter = "{venue}"\nkey_file = "k"\nrest_url = "http://127.0.0.1:1"'
        )
    assert not load(written(tmp_path, text)).simulates_venues()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"[run\n", "not valid TOML"),
        (b"a = 1\na = 2\n", "not valid TOML"),
        (b"\xff\xfe", "not UTF-8"),
        (b"#" * 1_000_001, "too large"),
    ],
)
def test_a_file_that_is_no_config_is_refused(tmp_path: Path, content: bytes, what: str) -> None:
    """Broken TOML (with its line), another encoding and huge files are mistakes, not tracebacks."""
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        load(path)
    assert what in caught.value.mistakes[0].what


def test_a_missing_file_is_a_mistake(tmp_path: Path) -> None:
    """A path that leads nowhere, or to a folder, is told as such."""
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(UserError, match="cannot be read"):
            load(path)


def test_decimals_in_toml_stay_exact(tmp_path: Path) -> None:
    """A TOML float is read as the decimal that is written, with no binary rounding on the way."""
    settings = load(written(tmp_path, MINIMAL + "[limits]\ncounterparty_share_max = 0.1\nloss_day_max = 80.10"))
    limits = settings.engine_config().limits
    assert limits.counterparty_share_max == Decimal("0.1")
    assert str(limits.loss_day_max) == "80.10"


def test_the_digest_tells_configurations_apart_and_ignores_how_they_are_written(tmp_path: Path) -> None:
    """Comments, order and spelt-out defaults keep the digest; any value changes it."""
    same = [MINIMAL, "# words\n" + MINIMAL, MINIMAL + "[limits]\nloss_day_max = 200\n"]
    digests = {digest(load(written(tmp_path, text))) for text in same}
    assert len(digests) == 1
    assert digest(load(written(tmp_path, MINIMAL + "[limits]\nloss_day_max = 201\n"))) not in digests


def test_what_is_shown_holds_no_password(tmp_path: Path) -> None:
    """The password in a store URL is masked in every form in which settings are shown."""
    canary = "CaNaRy-77"
    text = MINIMAL + f'[store]\nurl = "postgresql+psycopg://desk:{canary}@db/arbot"\n'
    settings = load(written(tmp_path, text))
    assert canary in settings.store_url()
    assert canary not in show(settings)
    assert canary not in str(as_document(settings))
    assert canary not in repr(settings)


def test_relative_paths_count_from_the_file(tmp_path: Path) -> None:
    """A relative state folder lies beside the config file, wherever the command is run from."""
    assert load(written(tmp_path, MINIMAL)).run.state_dir == tmp_path / "state"


def test_lists_of_tables_are_shown_and_their_mistakes_placed(tmp_path: Path) -> None:
    """Several [[backtest.deposits]] load again from what is shown of them, and a mistake names the line of its own."""
    text = MINIMAL + DEPOSIT + DEPOSIT.replace("60", "90").replace("5", "0.1")
    settings = load(written(tmp_path, text))
    assert [(60, Decimal(5)), (90, Decimal("0.1"))] == [(one.after_s, one.qty) for one in settings.backtest.deposits]
    assert settings == load(written(tmp_path, show(settings)))
    with pytest.raises(UserError) as caught:
        load(written(tmp_path, text.replace("0.1", "-1")))
    line = next(n for n, row in enumerate(text.splitlines(), 1) if row == "qty = 0.1")
    assert [f"test.toml:{line} backtest.deposits.1.qty"] == [m.where.rpartition("/")[2] for m in caught.value.mistakes]


def test_the_tape_lies_beside_the_file_too(tmp_path: Path) -> None:
    """The default folder of recordings counts from the config file, also when [tape] is not written."""
    assert load(written(tmp_path, MINIMAL)).tape.dir == tmp_path / "tape"


def test_overrides_are_checked_like_the_file(tmp_path: Path) -> None:
    """An option on the command line replaces the key and makes the same mistakes."""
    path = written(tmp_path, MINIMAL)
    assert load(path, {"sim": {"seed": 11}}).sim.seed == 11
    with pytest.raises(UserError, match=r"sim\.seed"):
        load(path, {"sim": {"seed": -1}})


def test_every_rule_reads_fields_that_exist(tmp_path: Path) -> None:
    """The dotted names by which a rule says what it reads are real keys."""
    settings = load(written(tmp_path, MINIMAL))
    for rule in rules.RULES:
        for name in rule.reads:
            rules.value_of(settings, name)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.decimals(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(
    table=st.sampled_from(sorted(Settings.model_fields)),
    key=st.sampled_from(["name", "mode", "symbols", "url", "kraken", "venues", "params", "map", "loss_day_max", "x"]),
    value=_VALUES,
)
def test_no_document_ends_in_anything_but_settings_or_mistakes(table: str, key: str, value: object) -> None:
    """Whatever stands at a key, the answer is Settings or UserError."""
    document = tomllib.loads(MINIMAL, parse_float=Decimal)
    document[table] = {**document.get(table, {}), key: value}
    with contextlib.suppress(UserError):
        assert isinstance(parse(document, base=Path("/nowhere")), Settings)
