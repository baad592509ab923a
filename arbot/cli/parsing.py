"""Reads what options pack into one text."""

from __future__ import annotations

import typer


def reason(text: str) -> str:
    """Return a reason that says something: it stands in the journal for good. Raises: typer.BadParameter."""
    if not any(letter.isalpha() for letter in text):
        raise typer.BadParameter("say why, in words: it is written into the journal")
    return text


def pairs(text: str, option: str, *, needs_value: bool = True) -> dict[str, str]:
    """Return "a=b,c=d" as a dict; without `needs_value` "a,c=d" is fine, too. Raises: typer.BadParameter."""
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = part.partition("=")
        if needs_value and not value:
            raise typer.BadParameter(f"{part!r} is not name=value", param_hint=option)
        if name in found:
            raise typer.BadParameter(f"{name!r} is named twice", param_hint=option)
        found[name] = value
    return found
