"""Is every setting read? A knob that nothing turns is worse than none."""

from __future__ import annotations

import ast
import re

import msgspec
import pytest
from pydantic import BaseModel

from arbot import ports
from arbot.engine import config
from arbot.settings import model
from tests.tidy.test_architecture import PRODUCT, ROOT


def read_attributes(*, outside: str) -> set[str]:
    """Return every attribute name read anywhere in the product but in one file."""
    names = set()
    for path in PRODUCT:
        if str(path.relative_to(ROOT)) != outside:
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                    names.add(node.attr)
    return names


@pytest.mark.parametrize(
    ("struct", "home"),
    [
        (config.RiskLimits, "arbot/engine/config.py"),
        (config.ExecutionPolicy, "arbot/engine/config.py"),
        (config.HealthPolicy, "arbot/engine/config.py"),
        (config.MaintenanceRule, "arbot/engine/config.py"),
        (config.PegPolicy, "arbot/engine/config.py"),
        (config.NewsPolicy, "arbot/engine/config.py"),
        (config.EngineConfig, "arbot/engine/config.py"),
        (ports.VenueConfig, "arbot/ports.py"),
    ],
)
def test_every_field_of_a_config_struct_is_read(struct: type[msgspec.Struct], home: str) -> None:
    """Read each field as an attribute outside the file that defines it and outside the settings that fill it."""
    read = read_attributes(outside=home)

    assert [f.name for f in msgspec.structs.fields(struct) if f.name not in read] == []


def models() -> list[type[BaseModel]]:
    """Return every settings model."""
    found = [value for value in vars(model).values() if isinstance(value, type) and issubclass(value, BaseModel)]
    return [value for value in found if value.__module__ == model.__name__]


def test_every_setting_is_read() -> None:
    """Read each field of each settings model somewhere, or fill a struct with it (whose fields are read, see above)."""
    read = read_attributes(outside="")
    structs = {
        f.name
        for s in (config.RiskLimits, config.ExecutionPolicy, ports.VenueConfig)
        for f in msgspec.structs.fields(s)
    }
    dead = [f"{m.__name__}.{name}" for m in models() for name in m.model_fields if name not in read | structs]

    assert dead == []


def test_every_setting_is_documented() -> None:
    """Name each setting in the settings reference."""
    text = (ROOT / "docs" / "guide" / "settings.md").read_text(encoding="utf-8")
    words = set(re.findall(r"[a-z_0-9]+", text))
    fields = {name for m in models() for name in m.model_fields}

    assert sorted(fields - words) == []
