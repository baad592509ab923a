"""The entry point: puts the commands together and turns every error into words and an exit code, never a traceback."""

from __future__ import annotations

import sys

import typer

from arbot.cli import (
    backtest,
    config,
    data,
    drill,
    healthcheck,
    ledger,
    notify,
    operate,
    rebalance,
    record,
    replay,
    risk,
    running,
    sim,
    stress,
    sweep,
    tax,
    tax_export,
    tax_figures,
    tax_orders,
    transfers,
)
from arbot.cli.errors import DaemonRefused, NotAnswering, NotRunning
from arbot.cli.exit_codes import ExitCode
from arbot.cli.output import tell, tell_mistakes
from arbot.domain.errors import ArbotError, UserError

app = typer.Typer(
    name="arbot",
    help="Cross-exchange crypto arbitrage that respects the steamroller.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
running.register(app)
operate.register(app)
record.register(app)
backtest.register(app)
sweep.register(app)
stress.register(app)
drill.register(app)
healthcheck.register(app)
replay.register(app)
risk.register(app)
transfers.register(app)
rebalance.register(app)
app.add_typer(data.app)
app.add_typer(config.app)
app.add_typer(notify.app)
app.add_typer(ledger.app)
app.add_typer(tax.app)
tax_export.register(tax.app)
tax_figures.register(tax.app)
tax_orders.register(tax.app)
app.add_typer(sim.app)


@app.command()
def version() -> None:
    """Print the version."""
    from arbot import __version__
    from arbot.cli.output import say

    say(__version__)


def main() -> None:
    """Run the command line and exit with a code of exit_codes.py."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Return the exit code of a command line. Usage errors are told and answered by typer itself, with USAGE."""
    try:
        app(arguments, prog_name="arbot")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else ExitCode.FAILURE
    except UserError as error:
        tell_mistakes(error)
        return ExitCode.USAGE
    except NotAnswering as error:
        tell(f"{error}\n    -> {error.remedy}")
        return ExitCode.NOT_RUNNING
    except NotRunning as error:
        tell(
            f"no daemon runs: {error}\n    -> start one with `arbot demo` or `arbot run -c FILE`, or name its config: -c"
        )
        return ExitCode.NOT_RUNNING
    except DaemonRefused as error:
        tell(f"the daemon refused: {error}")
        return ExitCode.FAILURE
    except ArbotError as error:
        tell(f"{type(error).__name__}: {error}")
        return ExitCode.FAILURE
    except PermissionError as error:
        tell(f"{error.filename}: {error.strerror}\n    -> give the command as the user whose file or folder it is")
        return ExitCode.FAILURE
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    return ExitCode.OK
