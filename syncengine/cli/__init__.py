"""The command line. Each command is the object `command` of the module with its name, and is imported when it is used."""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Sequence
from importlib import import_module
from pkgutil import iter_modules

import click

from syncengine import __version__
from syncengine.cli._exit import Exit
from syncengine.errors import SyncError

__all__ = ["main"]

OBJECTS_BETWEEN_COLLECTIONS = 100_000
"""A command mostly imports, which makes many objects and no garbage: by default the collector takes a fifth of its time."""


class LazyGroup(click.Group):
    """Finds its commands by the names of this package's modules, so that `--version` imports none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Names of all commands, sorted; `_` in a module's name becomes `-`."""
        return sorted(module.name.replace("_", "-") for module in iter_modules(__path__) if module.name[0] != "_")

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command with this name, or None."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = import_module(f"{__name__}.{cmd_name.replace('-', '_')}").command
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="syncengine")
def commands() -> None:
    """Sync Brightpearl and SYSPRO: nothing is lost, nothing is created twice, and every record's history can be traced.

    Is everything all right? `health` says whether everything is making progress, `doctor` what is wrong and what to do,
    `status` how many records are done, due, held and dead.

    Exit codes: 0 done, 1 the answer is no, 2 the command could not run, 130 interrupted.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with a code of `Exit`.

    The only error boundary of the command line: an error that the engine knows is printed in one line, without a traceback.
    """
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    atexit.register(gc.freeze)  # otherwise the interpreter visits every object several times before it ends
    try:
        code = commands.main(args=arguments, prog_name="syncengine", standalone_mode=False)
    except SyncError as error:
        _say(str(error))
        sys.exit(Exit.ERROR)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(Exit.INTERRUPTED)
    except BrokenPipeError:  # `syncengine trace ... | head`
        sys.stderr.close()
        sys.exit(Exit.NO)
    sys.exit(code if isinstance(code, int) else Exit.OK)


def _say(text: str) -> None:
    click.echo(f"syncengine: {' '.join(text.split())}", err=True)
