"""Rules between fields: what no single value can show. Each names what it reads, so that one mistake is told once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from arbot.domain.errors import Mistake
from arbot.domain.ids import VenueId
from arbot.domain.transfer import Network
from arbot.domain.units import fmt
from arbot.settings.fields import moment_ns
from arbot.settings.model import BacktestVenue, Mode, Settings, Venue
from arbot.settings.registry import load_registry, mistakes_in

LOOPBACK = ("127.0.0.1", "localhost", "::1")

VENUE_HOSTS: dict[str, tuple[str, ...]] = {
    "kraken": ("api.kraken.com", "ws.kraken.com", "ws-auth.kraken.com"),
    "coinbase": (
        "api.coinbase.com",
        "advanced-trade-ws.coinbase.com",
        "advanced-trade-ws-user.coinbase.com",
    ),
}
"""The venues' own hosts (Kraken WebSocket v2 and Coinbase Advanced Trade documentation, 2026-05)."""

KRAKEN_DEPTHS = (10, 25, 100, 500, 1000)  # the book channel's choices, Kraken WebSocket v2 documentation
KRAKEN_TIERS = ("starter", "intermediate", "pro")

_NOT_ABOVE = (
    ("limits.notional_per_arb_max", "limits.inventory_notional_max", "one arb would never fit the inventory"),
    ("limits.notional_per_arb_max", "limits.net_delta_notional_max", "one open leg would break the delta limit"),
    ("execution.hedge_loss_max", "limits.loss_day_max", "one hedge could lose more than the day may"),
    ("execution.order_deadline_ms", "execution.leg_deadline_ms", "the venue could match after the leg was given up"),
    ("news.mid_news_bps", "news.edge_news_bps", "a gap would count as met while it still is news"),
    ("pegs.peg_return_bps", "pegs.peg_band_bps", "a coin would be on its peg and off it at once"),
    ("health.recovery_s", "health.recovery_s_max", "the first wait cannot exceed the longest"),
    ("health.orders_min", "health.orders_window", "so many answers are never kept"),
    ("execution.query_backoff_ms", "execution.query_backoff_ms_max", "the first wait cannot exceed the longest"),
    ("transfers.transit_network_max", "transfers.transit_total_max", "one network could hold more than all together"),
    ("backtest.transfer_minutes", "backtest.transfer_minutes_p99", "half take longer than all but one in a hundred"),
)


class Rule(NamedTuple):
    """`check` is asked only when none of the fields it `reads` has a mistake of its own."""

    reads: tuple[str, ...]
    check: Callable[[Settings], Iterator[Mistake]]


def value_of(settings: Settings, dotted: str) -> Any:
    """Return the value of a dotted key: "limits.arbs_open_max"."""
    value: Any = settings
    for name in dotted.split("."):
        value = getattr(value, name)
    return value


def _not_above(small: str, large: str, why: str) -> Rule:
    def check(settings: Settings) -> Iterator[Mistake]:
        one, other = value_of(settings, small), value_of(settings, large)
        if one > other:
            yield Mistake(small, f"{fmt(one)} is above {large} = {fmt(other)}: {why}", f"lower it, or raise {large}")

    return Rule((small, large), check)


def _hedge_time(settings: Settings) -> Iterator[Mistake]:
    policy: Any = settings.execution
    if policy.leg_deadline_ms >= policy.hedge_seconds_max * 1_000:
        yield Mistake(
            "execution.hedge_seconds_max",
            f"{policy.hedge_seconds_max} s leave no time after the leg deadline of {policy.leg_deadline_ms} ms",
            "raise it above execution.leg_deadline_ms",
        )


def _maintenance(settings: Settings) -> Iterator[Mistake]:
    for number, row in enumerate(settings.health.maintenance):  # type: ignore[attr-defined]
        where = f"health.maintenance.{number}"
        if row.venue not in settings.venues:
            told = ", ".join(settings.venues)
            yield Mistake(f"{where}.venue", f"there is no venue {row.venue!r} here", f"name one of {told}")
        if moment_ns(row.ends_at) <= moment_ns(row.starts_at):
            yield Mistake(f"{where}.ends_at", "it is not after starts_at", "mend the two times")


def _news(settings: Settings) -> Iterator[Mistake]:
    """Refuse a news level that can never be met, if somebody wrote it: a low ceiling alone makes the default idle, not wrong."""
    level, ceiling = value_of(settings, "news.edge_news_bps"), value_of(settings, "limits.edge_gross_bps_max")
    if level > ceiling and "edge_news_bps" in value_of(settings, "news.model_fields_set"):
        yield Mistake(
            "news.edge_news_bps",
            f"{fmt(level)} is above limits.edge_gross_bps_max = {fmt(ceiling)}: no edge would ever be news",
            "lower it, or raise limits.edge_gross_bps_max",
        )


def _locks(settings: Settings) -> Iterator[Mistake]:
    if settings.run.live and settings.run.mode is not Mode.LIVE:
        yield Mistake(
            "run.live",
            f'it is true while run.mode is "{settings.run.mode}"',
            'set live = false, or mode = "live" if real money is meant',
        )


def _bind(settings: Settings) -> Iterator[Mistake]:
    if settings.http.bind not in LOOPBACK and not settings.http.allow_remote:
        yield Mistake(
            "http.bind",
            f"{settings.http.bind!r} can be reached from other machines",
            'use "127.0.0.1", or say allow_remote = true and put TLS before it',
        )


def _notify(settings: Settings) -> Iterator[Mistake]:
    table = settings.notify
    has_bot = table.telegram_token_file is not None
    if has_bot and not table.telegram_chat_id:
        yield Mistake(
            "notify.telegram_chat_id",
            "the bot does not know whom to write to",
            "give the chat's number (getUpdates shows it once you have written to the bot)",
        )
    if not has_bot and (table.telegram_chat_id or table.telegram_verbs):
        yield Mistake(
            "notify.telegram_token_file",
            "there is no bot to write with, or to listen to",
            "name a file of mode 0600 that holds its token, or remove the other telegram keys",
        )
    for key, whom in (("telegram_verb_chats", "chats"), ("telegram_verb_users", "users")):
        if table.telegram_verbs and not getattr(table, key):
            yield Mistake(
                f"notify.{key}",
                f"verbs are on, and no {whom} are allowed: anybody could write to the bot",
                f"list the numbers of the {whom} that may, or set telegram_verbs = false",
            )
    if table.webhook_secret_file is not None and table.webhook_url_file is None:
        yield Mistake(
            "notify.webhook_secret_file", "there is no webhook to sign for", "set webhook_url_file, or remove it"
        )
    parts = _split(table.telegram_api_url)
    if parts is None or not parts.hostname or not is_safe_address(table.telegram_api_url):
        yield Mistake(
            "notify.telegram_api_url",
            f"{table.telegram_api_url!r} is neither https nor on loopback: the token is part of every address",
            'write "https://api.telegram.org", or the loopback address of a server of your own',
        )


def is_safe_address(url: str) -> bool:
    """Return whether a secret may be sent to an address: over TLS, or without leaving this machine."""
    parts = _split(url)
    if parts is None or not parts.hostname:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)


def _store(settings: Settings) -> Iterator[Mistake]:
    try:
        driver = make_url(settings.store_url()).drivername
    except (ArgumentError, ValueError):
        driver = ""
    if driver not in ("sqlite", "postgresql+psycopg"):
        yield Mistake(
            "store.url",
            "it names neither SQLite nor PostgreSQL",
            'write "sqlite:///file" or "postgresql+psycopg://user@host/name", or leave it empty',
        )


def _currency(settings: Settings) -> Iterator[Mistake]:
    ccy = settings.run.ccy
    symbols = {symbol for config in settings.venue_configs() for symbol in config.symbols}
    if not any(symbol.endswith(f"/{ccy}") for symbol in symbols):
        yield Mistake(
            "run.ccy",
            f"no symbol is quoted in {ccy}: limits could not be measured",
            f"set it to a quote among {', '.join(sorted(symbols))}",
        )


def _venue_rules(settings: Settings) -> Iterator[Mistake]:
    for name, venue in settings.venues.items():
        where = f"venues.{name}"
        yield from _urls(settings.run.mode, where, venue)
        yield from _keys(settings, where, venue)
        if venue.adapter == "kraken" and venue.book_depth not in KRAKEN_DEPTHS:
            choices = ", ".join(map(str, KRAKEN_DEPTHS))
            yield Mistake(f"{where}.book_depth", f"Kraken has no depth {venue.book_depth}", f"use one of {choices}")
        if venue.adapter == "kraken" and venue.tier not in KRAKEN_TIERS:
            choices = ", ".join(KRAKEN_TIERS)
            yield Mistake(f"{where}.tier", f"Kraken has no tier {venue.tier!r}", f"use one of {choices}")
        depth = value_of(settings, "execution.depth_max")
        if depth > venue.book_depth:
            yield Mistake(
                f"{where}.book_depth",
                f"{venue.book_depth} levels are fewer than execution.depth_max = {depth}",
                "raise it, or lower execution.depth_max",
            )


def _urls(mode: Mode, where: str, venue: Venue) -> Iterator[Mistake]:
    given = {key: getattr(venue, key) for key in ("rest_url", "ws_public_url", "ws_private_url")}
    given = {key: url for key, url in given.items() if url}
    if given and mode is Mode.LIVE:
        yield Mistake(f"{where}.{next(iter(given))}", "live mode talks to the venue's own hosts only", "remove it")
        return
    own = VENUE_HOSTS.get(venue.adapter, ())
    for key, url in given.items():
        schemes = ("http", "https") if key == "rest_url" else ("ws", "wss")
        parts = _split(url)
        if parts is None or parts.scheme not in schemes or not parts.hostname:
            yield Mistake(f"{where}.{key}", f"{url!r} is no {schemes[0]} address", f'write "{schemes[1]}://host"')
        elif parts.hostname not in (*LOOPBACK, *own):
            yield Mistake(
                f"{where}.{key}",
                f"{parts.hostname} is neither loopback nor one of the venue's hosts",
                f"use {', '.join(own) or 'a loopback address'}, or leave it empty",
            )
        elif parts.hostname not in LOOPBACK and parts.scheme != schemes[1]:
            yield Mistake(f"{where}.{key}", f"{parts.scheme} is not encrypted", f'write "{schemes[1]}://"')
        elif parts.hostname not in LOOPBACK and mode is Mode.DEMO:
            yield Mistake(f"{where}.{key}", "the demo never leaves this machine", "use a loopback address or remove it")


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:
        return None


def _keys(settings: Settings, where: str, venue: Venue) -> Iterator[Mistake]:
    wanted = settings.run.mode is Mode.LIVE or (settings.run.mode is Mode.DEMO and not settings.simulates_venues())
    if not wanted and venue.key_file is not None:
        yield Mistake(
            f"{where}.key_file",
            f'mode "{settings.run.mode}" uses no API key, and a key that is not used should not be near',
            'remove it, or set run.mode = "live"',
        )


def _pretend_accounts(settings: Settings) -> Iterator[Mistake]:
    for name in settings.paper.venues:
        if name not in settings.venues:
            yield Mistake(f"paper.venues.{name}", "there is no such venue", f"use one of {', '.join(settings.venues)}")
    pretends = settings.run.mode is Mode.PAPER or settings.simulates_venues()
    for name in settings.venues:
        if pretends and name not in settings.paper.venues:
            yield Mistake(
                f"paper.venues.{name}",
                "its pretend account has no balances",
                f'add a table [paper.venues.{name}] with balances = {{ {settings.run.ccy} = "10000" }}',
            )


def _wanted_shares(settings: Settings) -> Iterator[Mistake]:
    shares = settings.rebalance.shares
    for name in shares:
        if name not in settings.venues:
            yield Mistake(
                f"rebalance.shares.{name}", "there is no such venue", f"use one of {', '.join(settings.venues)}"
            )
    for asset in dict.fromkeys(asset for wanted in shares.values() for asset in wanted):
        total = sum(wanted.get(asset, 0) for wanted in shares.values())
        if total > 1:
            yield Mistake(
                "rebalance.shares", f"the shares of {asset} come to {fmt(Decimal(total))}", "let them come to 1 at most"
            )


def _map(settings: Settings) -> Iterator[Mistake]:
    for name in settings.sim.map:
        if name not in settings.venues:
            yield Mistake(f"sim.map.{name}", "there is no such venue", f"use one of {', '.join(settings.venues)}")
    if settings.sim.map and settings.sim.market is None:
        yield Mistake("sim.map", "there is no recorded market to map", "set sim.market, or remove it")


def _modelled_latency(settings: Settings) -> Iterator[Mistake]:
    table = settings.backtest
    measured = table.latency == "measured" or any(venue.latency == "measured" for venue in table.venues.values())
    if table.latency_run and not measured:
        yield Mistake(
            "backtest.latency_run",
            f'nothing is measured: backtest.latency is "{table.latency}"',
            'set backtest.latency = "measured", or remove it',
        )
    for place, venue in (
        ("backtest", BacktestVenue()),
        *((f"backtest.venues.{n}", v) for n, v in table.venues.items()),
    ):
        p50 = table.request_ms if venue.request_ms is None else venue.request_ms
        p99 = table.request_ms_p99 if venue.request_ms_p99 is None else venue.request_ms_p99
        if (venue.latency or table.latency) == "lognormal" and not 0 < p50 <= p99:
            yield Mistake(
                f"{place}.request_ms",
                f"{fmt(p50)} cannot be the middle of delays of which 99 in 100 are at most {fmt(p99)} (request_ms_p99)",
                'give more than 0 and not more than request_ms_p99, or set latency = "fixed"',
            )


def _modelled_venues(settings: Settings) -> Iterator[Mistake]:
    table, known = settings.backtest, ", ".join(settings.venues)
    for name in table.venues:
        if name not in settings.venues:
            yield Mistake(f"backtest.venues.{name}", "there is no such venue", f"use one of {known}")
        account = settings.paper.venues.get(name)
        if table.venues[name].volume_opening and account is not None and account.rates_bps() is not None:
            yield Mistake(
                f"backtest.venues.{name}.volume_opening",
                f"[paper.venues.{name}] fixes the fees, so no volume changes them",
                "remove it, or remove maker_bps and taker_bps there",
            )
    symbols = {config.venue: config.symbols for config in settings.venue_configs()}
    for number, deposit in enumerate(table.deposits):
        assets = {asset for symbol in symbols.get(VenueId(deposit.venue), ()) for asset in symbol.split("/")}
        if deposit.venue not in settings.venues:
            yield Mistake(f"backtest.deposits.{number}.venue", "there is no such venue", f"use one of {known}")
        elif deposit.asset not in assets:
            yield Mistake(
                f"backtest.deposits.{number}.asset",
                f"no instrument at {deposit.venue} has {deposit.asset}",
                f"use one of {', '.join(sorted(assets))}",
            )


def _allow(settings: Settings) -> Iterator[Mistake]:
    seen: set[tuple[str, str, str]] = set()
    for number, row in enumerate(settings.transfers.allow):
        place, where = f"transfers.allow.{number}", (row.venue, row.asset, row.network)
        if row.venue not in settings.venues:
            yield Mistake(f"{place}.venue", "there is no such venue", f"use one of {', '.join(settings.venues)}")
        if where in seen:
            told = " ".join(where)
            yield Mistake(place, f"a second address for {told}", "keep one: which of two is meant is never guessed")
        seen.add(where)
    if settings.transfers.enabled and not settings.transfers.allow:
        yield Mistake(
            "transfers.enabled",
            "it is true and nothing is on the allow-list: keys that can withdraw would be accepted for nothing",
            "add a [[transfers.allow]] entry, or set it to false",
        )


def _allowed_networks(settings: Settings) -> Iterator[Mistake]:
    """Require that the registry knows each network: whether it needs a tag, and how long it takes, stands there."""
    path: Any = settings.exposure.registry  # type: ignore[attr-defined]
    if any(mistakes_in(path)):
        return  # told by the registry's own rule
    networks = load_registry(path).networks
    for number, row in enumerate(settings.transfers.allow):
        place, known = f"transfers.allow.{number}", networks.get(Network(row.network))
        if known is None:
            told = ", ".join(networks)
            yield Mistake(
                f"{place}.network",
                f"the registry has no network {row.network!r}",
                f"use one of {told}, or describe it in a registry of your own ([exposure] registry)",
            )
        elif known.needs_tag and not row.tag:
            yield Mistake(
                f"{place}.tag",
                f"{row.network} needs a tag (memo): without it the coins belong to nobody at {row.venue}",
                "give the tag that the venue shows with the address",
            )


def _registry(settings: Settings) -> Iterator[Mistake]:
    yield from mistakes_in(settings.exposure.registry)  # type: ignore[attr-defined]


RULES: tuple[Rule, ...] = (
    Rule(("exposure.registry",), _registry),
    *(_not_above(*row) for row in _NOT_ABOVE),
    Rule(("execution.leg_deadline_ms", "execution.hedge_seconds_max"), _hedge_time),
    Rule(("health.maintenance", "venues"), _maintenance),
    Rule(("transfers.allow", "transfers.enabled", "venues"), _allow),
    Rule(("transfers.allow", "exposure.registry"), _allowed_networks),
    Rule(("news.edge_news_bps", "limits.edge_gross_bps_max"), _news),
    Rule(("run.live", "run.mode"), _locks),
    Rule(("http.bind", "http.allow_remote"), _bind),
    Rule(("notify",), _notify),
    Rule(("store.url",), _store),
    Rule(("run.ccy", "run.symbols", "venues"), _currency),
    Rule(("run.mode", "venues", "execution.depth_max"), _venue_rules),
    Rule(("run.mode", "venues", "paper.venues"), _pretend_accounts),
    Rule(("venues", "sim.map", "sim.market"), _map),
    Rule(("venues", "rebalance.shares"), _wanted_shares),
    Rule(("backtest",), _modelled_latency),
    Rule(("venues", "run.symbols", "paper.venues", "backtest"), _modelled_venues),
)
