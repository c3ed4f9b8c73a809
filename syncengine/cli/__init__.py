"""The command line. A command lives here in a module of its name, as `command`, and is loaded when it is asked for."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from pkgutil import iter_modules

import click

from syncengine import __version__
from syncengine.errors import SyncError

__all__ = ["main"]

INTERRUPTED = 130
WRONG = 2


class LazyGroup(click.Group):
    """Finds its commands by the modules of this package, so that `--version` loads none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Names of all commands, sorted; `_` in a module's name is `-` here."""
        return sorted(module.name.replace("_", "-") for module in iter_modules(__path__) if module.name[0] != "_")

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, None if there is none."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = import_module(f"{__name__}.{cmd_name.replace('-', '_')}").command
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="syncengine")
def commands() -> None:
    """Keeps Brightpearl and SYSPRO in step: nothing lost, nothing created twice, every record's way visible."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit: 0 if it went well, 1 if the command says no, 2 if it cannot run, 130 if interrupted.

    The one error boundary of the command line: what the engine knows as an error is one line, never a traceback.
    """
    try:
        code = commands.main(args=arguments, prog_name="syncengine", standalone_mode=False)
    except SyncError as error:
        _say(str(error))
        sys.exit(WRONG)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # `syncengine trace ... | head`
        sys.stderr.close()
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


def _say(text: str) -> None:
    click.echo(f"syncengine: {' '.join(text.split())}", err=True)
