"""`arbot backtest TAPE` up to its first event: prints the monotonic clock there, in ns, and ends.

python start_up.py TAPE [options of arbot backtest]
"""

from __future__ import annotations

import os
import sys
from time import CLOCK_MONOTONIC, clock_gettime_ns

from arbot.market import scan


def stop(*_: object) -> None:
    """Say when it was."""
    os.write(1, f"{clock_gettime_ns(CLOCK_MONOTONIC)}\n".encode())
    os._exit(0)


if __name__ == "__main__":
    scan.Scanner.feed = stop  # type: ignore[method-assign]
    sys.argv = ["arbot", "backtest", *sys.argv[1:]]
    from arbot.cli.main import main

    main()
