"""Find a strategy by dotted name ("strategies.cross_venue") or by the path of a .py file. The one user of importlib.

The module must define exactly one class that fits the Strategy protocol. Nothing is loaded that the config did not name.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from arbot.domain.errors import Mistake, UserError
from arbot.engine.strategy import Strategy

_WHERE = "strategy.name"


def load_strategy(name: str, params: Mapping[str, object], base: Path) -> Strategy:
    """Return a strategy made with its parameters; a relative path counts from `base`. Raises: UserError."""
    module = _load_file(base / name) if name.endswith(".py") else _load_name(name)
    found = list(
        dict.fromkeys(
            value
            for value in vars(module).values()
            if isinstance(value, type) and value.__module__ == module.__name__ and hasattr(value, "on_books")
        )
    )
    if len(found) != 1:
        raise UserError(
            Mistake(_WHERE, f"{name} defines {len(found)} strategy classes", "leave one class with the method on_books")
        )
    try:
        strategy: Strategy = found[0](params)
    except ValueError as error:
        raise UserError(
            *(Mistake("strategy.params", str(told), f"see the parameters of {name}") for told in error.args)
        ) from error
    return strategy


def _load_name(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise UserError(
            Mistake(_WHERE, f"there is no module {error.name}", "give a dotted name such as strategies.cross_venue")
        ) from error


def _load_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"arbot_strategy_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise UserError(Mistake(_WHERE, f"there is no file {path}", "give the path of a .py file"))
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (ImportError, SyntaxError) as error:
        raise UserError(Mistake(_WHERE, f"{path} cannot be loaded: {error}", "mend the file")) from error
    return module
