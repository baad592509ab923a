"""What a run needs to be left alone: word to the service manager, and its config read anew on SIGHUP."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from arbot.runtime.daemon import Service
    from arbot.settings.model import Settings


def lasting(
    settings: Settings, config: Path | None, overrides: Mapping[str, Mapping[str, object]]
) -> tuple[Service, ...]:
    """Return the services that have to come after all others: READY then means that all of them serve.

    In a terminal SIGHUP means that it was closed, and the run ends in good order; so it does without a config file.
    """
    from arbot.runtime.reload import reloadable
    from arbot.runtime.service_manager import ServiceManager, watched

    manager = ServiceManager.of(os.environ, os.getpid())
    can_reload = config is not None and not sys.stderr.isatty()
    reload = (reloadable(config.absolute(), overrides, settings, manager),) if config and can_reload else ()
    return (*reload, watched(manager))
