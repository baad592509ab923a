"""From a file to Settings, or to every mistake in it at once, each with its line, what is wrong and what to do next."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from arbot.domain.errors import Mistake, UserError
from arbot.settings.model import Settings
from arbot.settings.rules import RULES, Rule

_BYTES_MAX = 1_000_000

_UNIT_WORDS = {
    "s": "ms", "sec": "ms", "seconds": "ms", "minutes": "ms",
    "pct": "bps", "percent": "bps", "ratio": "bps", "fraction": "bps",
    "usd": "", "eur": "", "quote": "",
}  # fmt: skip
"""Unit words people put into a key, and the one that arbot's keys use ("" = no unit: money is in run.ccy)."""

_PLAIN = {
    "missing": ("it is missing", "add it"),
    "int_type": ("{input} is not a whole number", "write digits without quotes or decimal point"),
    "string_type": ("{input} is not a text", "put it in quotes"),
    "bool_type": ("{input} is neither true nor false", "write true or false, without quotes"),
    "dict_type": ("{input} is not a table", "write it as a [table]"),
    "model_type": ("{input} is not a table", "write it as a [table]"),
    "tuple_type": ("{input} is not a list", 'write a list such as ["BTC/USD"]'),
    "literal_error": ("{input} is not one of the choices", "use {expected}"),
    "enum": ("{input} is not one of the choices", "use {expected}"),
    "greater_than": ("{input} is too small", "give more than {gt}"),
    "greater_than_equal": ("{input} is too small", "give {ge} or more"),
    "less_than_equal": ("{input} is too large", "give {le} or less"),
    "too_short": ("there are {actual_length} entries", "give at least {min_length}"),
}
"""pydantic's error types in our words; a type that is not here is told in pydantic's."""


def load(
    path: Path, overrides: Mapping[str, Mapping[str, object]] | None = None, rules: Sequence[Rule] = RULES
) -> Settings:
    """Return the settings of a TOML file. `overrides` replace keys table by table, as if written in the file.

    `rules` are asked of it: more than RULES by whoever wants to know of mistakes beside the file, too.

    Raises: UserError with every mistake.
    """
    try:
        if path.stat().st_size > _BYTES_MAX:
            raise UserError(Mistake(str(path), "it is too large for a config file", "name the right file"))
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(
            Mistake(str(path), f"cannot be read: {error.strerror}", "name a config file you can read")
        ) from error
    except UnicodeDecodeError as error:
        raise UserError(Mistake(str(path), "it is not UTF-8 text", "save it as UTF-8")) from error
    try:
        document = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise UserError(Mistake(str(path), f"not valid TOML: {error}", "mend the line named above")) from error
    except RecursionError as error:
        raise UserError(
            Mistake(str(path), "tables or lists lie too deep in each other", "name the right file")
        ) from error
    return parse(
        merged(document, overrides or {}), base=path.parent.resolve(), source=str(path), text=text, rules=rules
    )


def merged(document: Mapping[str, Any], overrides: Mapping[str, Mapping[str, object]]) -> dict[str, Any]:
    """Return the document with these keys replaced, table by table."""
    result = dict(document)
    for table, keys in overrides.items():
        present = result.get(table, {})
        result[table] = {**present, **keys} if isinstance(present, dict) else present
    return result


def parse(
    document: Mapping[str, Any],
    *,
    base: Path,
    source: str = "settings",
    text: str = "",
    rules: Sequence[Rule] = RULES,
) -> Settings:
    """Return the settings of a parsed document; relative paths count from `base`. Raises: UserError."""
    settings, details = _validated(document, base)
    mistakes = [_translated(detail) for detail in details]
    if settings is None:
        # Follow-up rules are asked of what remains when the wrong values are taken back to their defaults.
        settings, _ = _validated(_without(document, [detail["loc"] for detail in details]), base)
    if settings is not None:
        wrong = [".".join(map(str, detail["loc"])) for detail in details]
        mistakes.extend(found for rule in rules if not _touches(rule.reads, wrong) for found in _asked(rule, settings))
        mistakes = list(dict.fromkeys(mistakes))
    if mistakes or settings is None:
        placed = sorted(((_line_of(mistake.where, text), mistake) for mistake in mistakes), key=lambda pair: pair[0])
        raise UserError(*(_located(mistake, line, source) for line, mistake in placed))
    return settings


def _asked(rule: Rule, settings: Settings) -> list[Mistake]:
    """Return what a rule finds; when a file that it needs cannot be used, what is wrong with that file."""
    try:
        return list(rule.check(settings))
    except UserError as error:
        return list(error.mistakes)


def _validated(document: Mapping[str, Any], base: Path) -> tuple[Settings | None, list[ErrorDetails]]:
    try:
        return Settings.model_validate(document, context={"base": base}), []
    except ValidationError as error:
        return None, error.errors(include_url=False)


def _without(document: Mapping[str, Any], places: Sequence[tuple[str | int, ...]]) -> dict[str, Any]:
    """Return a copy of the document without the keys at these places (a list with a wrong entry goes as a whole)."""
    copied = {key: _without(value, []) if isinstance(value, dict) else value for key, value in document.items()}
    for place in places:
        table: Any = copied
        for step in place[:-1]:
            if not isinstance(table.get(step), dict):
                table.pop(step, None)
                break
            table = table[step]
        else:
            table.pop(place[-1], None)
    return copied


def _touches(reads: Sequence[str], wrong: Sequence[str]) -> bool:
    return any(
        one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.") for one in reads for other in wrong
    )


def _translated(detail: ErrorDetails) -> Mistake:
    where = ".".join(str(step) for step in detail["loc"] if step != "[key]")
    context = {**detail.get("ctx", {}), "input": _shown(detail["input"])}
    if detail["type"] == "extra_forbidden":
        return Mistake(where, "there is no such key", _suggestion(detail["loc"]))
    if detail["type"] == "arbot":
        return Mistake(where, str(context["what"]), str(context["remedy"]))
    what, remedy = _PLAIN.get(detail["type"], (detail["msg"].replace("{", "{{").replace("}", "}}"), "mend it"))
    return Mistake(where, what.format_map(context), remedy.format_map(context))


def _shown(value: object) -> str:
    text = json.dumps(value) if isinstance(value, (str, bool)) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _suggestion(place: tuple[str | int, ...]) -> str:
    """Return what the user may have meant by an unknown key."""
    key, known = str(place[-1]), sorted(_keys_at(place[:-1]))
    words = key.split("_")
    for position, word in enumerate(words):
        if word in _UNIT_WORDS:
            replaced = [*words[:position], *filter(None, [_UNIT_WORDS[word]]), *words[position + 1 :]]
            if close := difflib.get_close_matches("_".join(replaced), known, n=1, cutoff=0.75):
                return f"did you mean {close[0]}? mind the unit: {_unit_told(close[0])}"
    if homes := [home for home in _homes() if home.endswith(f".{key}")]:
        return f"it belongs to {homes[0].rpartition('.')[0]}: move it there"
    if close := difflib.get_close_matches(key, known, n=1, cutoff=0.6):
        return f"did you mean {close[0]}?"
    return f"remove it; the keys here are {', '.join(known)}"


def _unit_told(key: str) -> str:
    units = {"ms": "milliseconds", "bps": "basis points (1 percent = 100)", "seconds": "seconds"}
    return next((told for word, told in units.items() if word in key.split("_")), "an amount of run.ccy")


def _keys_at(place: tuple[str | int, ...]) -> set[str]:
    model: Any = Settings
    for step in place:
        if isinstance(model, type) and issubclass(model, BaseModel):
            model = model.model_fields[str(step)].annotation
        else:  # dict[name, table] or tuple[table, ...]
            model = get_args(model)[0 if isinstance(step, int) else 1]
    return set(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else set()


def _homes() -> Iterator[str]:
    for table, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from (f"[{table}].{key}" for key in field.annotation.model_fields)


def _located(mistake: Mistake, line: int, source: str) -> Mistake:
    return mistake._replace(where=f"{source}:{line} {mistake.where}" if line else f"{source} {mistake.where}")


def _line_of(where: str, text: str) -> int:
    """Return the line of a dotted key, or of the nearest table that is written there; 0 when there is neither."""
    line = 0
    heading = ""
    rows_of: Counter[str] = Counter()  # how many [[name]] there were
    for number, row in enumerate(text.splitlines(), start=1):
        stripped = row.strip()
        if table := re.match(r"(\[+)\s*([^\]]+?)\s*\]+", stripped):
            heading = table[2].replace('"', "")
            if table[1] == "[[":
                rows_of[heading] += 1
                heading = f"{heading}.{rows_of[heading] - 1}"
            name = heading
        elif key := re.match(r'"?([A-Za-z0-9_-]+)"?\s*=', stripped):
            name = f"{heading}.{key[1]}"
        else:
            continue
        if where == name or where.startswith(f"{name}."):
            line = number
    return line
