"""Make the parts of the docs that come from the code. `python -m tests.support.reference` writes them; a tidy test compares."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

import msgspec
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from arbot.domain import decisions
from arbot.domain.decisions import ARB_LIFE, Reason
from arbot.domain.order import ORDER_LIFE
from arbot.engine.risk.caps import CAPS
from arbot.engine.risk.gates import GATES
from arbot.settings import model
from arbot.tape.importing.formats import FORMATS
from arbot.tape.inspect.findings import RULES
from arbot.treasury.files import read
from arbot.treasury.plan import make
from arbot.treasury.problem import Transit
from arbot.treasury.words import told
from tests.support import metric_tables

ROOT = Path(__file__).resolve().parents[2]
BEGIN, END = "<!-- from the code: {name} -->", "<!-- end -->"


def life(table: Mapping[StrEnum, tuple[StrEnum, ...]]) -> str:
    """Return a life table as a Mermaid state diagram."""
    lines = [f"    {state.value} --> {after.value}" for state, afters in table.items() for after in afters]
    lines += [f"    {state.value} --> [*]" for state, afters in table.items() if not afters]
    first = next(iter(table)).value
    return "\n".join(["```mermaid", "stateDiagram-v2", f"    [*] --> {first}", *lines, "```"])


def rules() -> str:
    """Return the risk rules in their order with the first line of each docstring."""
    lines = ["| # | rule | what it does |", "|---|---|---|"]
    for number, rule in enumerate((*GATES, *CAPS), 1):
        lines.append(f"| {number} | `{rule.__name__}` | {(rule.__doc__ or '').splitlines()[0]} |")
    return "\n".join(lines)


def reasons() -> str:
    """Return every reason for which an opportunity is declined."""
    return ", ".join(f"`{reason.value}`" for reason in Reason)


def words() -> str:
    """Return every decision with the first line of its docstring."""
    kinds = [k for k in vars(decisions).values() if isinstance(k, type) and issubclass(k, decisions._Decision)]
    named = [k for k in kinds if not k.__name__.startswith("_")]
    lines = ["| decision | meaning |", "|---|---|"]
    return "\n".join(lines + [f"| `{k.__name__}` | {(k.__doc__ or '').splitlines()[0]} |" for k in named])


def settings() -> str:
    """Return every table and key of the config file with its default."""
    tables: list[type[BaseModel]] = [
        value
        for value in vars(model).values()
        if isinstance(value, type) and issubclass(value, BaseModel) and value not in (model.Table, BaseModel)
    ]
    parts = []
    for table in tables:
        title = (table.__doc__ or table.__name__).splitlines()[0]
        rows = [f"| `{name}` | {default(field.default)} |" for name, field in table.model_fields.items()]
        parts.append(
            "\n".join([f"### {table.__name__.strip('_')}", "", title, "", "| key | default |", "|---|---|", *rows])
        )
    return "\n\n".join(parts)


def default(value: object) -> str:
    """Return a default as the file would write it."""
    if value is PydanticUndefined:
        return "required"
    if value is None or value in ("", (), {}):
        return "none"
    if isinstance(value, BaseModel):
        return "as above"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def formats() -> str:
    """Return every format of `arbot data import` with the names that a folder is searched for."""
    lines = ["| `--format` | what it reads | in a folder, files named |", "|---|---|---|"]
    patterns = {one.name: " ".join(f"`{pattern}`" for pattern in one.files) for one in FORMATS.values()}
    return "\n".join(lines + [f"| `{one.name}` | {one.about} | {patterns[one.name]} |" for one in FORMATS.values()])


def findings() -> str:
    """Return every rule of the inspector: its code, how bad it is, what it finds, and what to do."""
    lines = ["| code | severity | what it finds | what to do |", "|---|---|---|---|"]
    for rule in RULES:
        finds = (rule.find.__doc__ or "").splitlines()[0].removeprefix("Find ").rstrip(".")
        lines.append(f"| `{rule.code}` | {rule.severity.value} | {finds} | {rule.remedy} |")
    return "\n".join(lines)


def rebalance_example(*, with_stuck: bool = False) -> str:
    """Return what `arbot rebalance plan` prints of the example in the guide, and with half a bitcoin stuck on its way."""
    given = read(ROOT / "docs" / "guide" / "rebalance-example.toml")
    if with_stuck:
        stuck = Transit(
            source="kraken", target="coinbase", asset="BTC", network="bitcoin", qty=Decimal("0.5"), is_stuck=True
        )
        given = msgspec.structs.replace(given, transits=(stuck,))
    return "\n".join(["```text", *told(make(given)), "```"])


def disasters() -> str:
    """Return what each disaster costs with and without what it is about, as `arbot stress all --write-expected` kept it."""
    from arbot.backtest.stress.table import as_markdown

    kept = ROOT / "backtests" / "disasters" / "expected.json"
    return as_markdown(json.loads(kept.read_text(encoding="utf-8")))


def disaster_kinds() -> str:
    """Return every kind of event of a disaster with the keys it needs."""
    from arbot.backtest.stress.kinds import KINDS

    lines = ["| kind | needs | what happens |", "|---|---|---|"]
    return "\n".join(
        lines
        + [
            f"| `{name}` | {', '.join(f'`{key}`' for key in kind.needs)} | {kind.about} |"
            for name, kind in KINDS.items()
        ]
    )


def country_rules(code: str) -> str:
    """Return the rules that a country's figures follow, each with its source and when that was read."""
    from arbot.ledger.jurisdictions.registry import country

    lines = ["| rule | source | read on |", "|---|---|---|"]
    return "\n".join(lines + [f"| {rule.text} | {rule.source} | {rule.date} |" for rule in country(code).rules])


PARTS: dict[str, tuple[str, Callable[[], str]]] = {
    "metrics": ("docs/guide/metrics.md", metric_tables.families),
    "metric labels": ("docs/guide/metrics.md", metric_tables.labels),
    "metric buckets": ("docs/guide/metrics.md", metric_tables.buckets),
    "disasters": ("docs/guide/risk.md", disasters),
    "disaster kinds": ("docs/guide/stress.md", disaster_kinds),
    "order life": ("docs/ARCHITECTURE.md", lambda: life(ORDER_LIFE)),
    "arb life": ("docs/ARCHITECTURE.md", lambda: life(ARB_LIFE)),
    "risk rules": ("docs/guide/risk.md", rules),
    "reasons": ("docs/guide/risk.md", reasons),
    "decisions": ("docs/GLOSSARY.md", words),
    "settings": ("docs/guide/settings.md", settings),
    "formats": ("docs/guide/data.md", formats),
    "findings": ("docs/guide/data.md", findings),
    "rebalance example": ("docs/guide/rebalance.md", rebalance_example),
    "rules uk": ("docs/guide/tax-uk.md", lambda: country_rules("uk")),
    "rules de": ("docs/guide/tax-experimental.md", lambda: country_rules("de")),
    "rules ca": ("docs/guide/tax-experimental.md", lambda: country_rules("ca")),
    "rules au": ("docs/guide/tax-experimental.md", lambda: country_rules("au")),
    "rebalance stuck": ("docs/guide/rebalance.md", lambda: rebalance_example(with_stuck=True)),
}


def rendered(name: str) -> tuple[Path, str, str]:
    """Return (file, its text as it is, its text as it should be) for one part."""
    where, make = PARTS[name]
    path = ROOT / where
    text = path.read_text(encoding="utf-8")
    begin = BEGIN.format(name=name)
    head, rest = text.split(begin, 1)
    _, tail = rest.split(END, 1)
    return path, text, f"{head}{begin}\n{make()}\n{END}{tail}"


def main() -> None:
    """Write every part into its file."""
    for name in PARTS:
        path, _, wanted = rendered(name)
        path.write_text(wanted, encoding="utf-8")


if __name__ == "__main__":
    main()
