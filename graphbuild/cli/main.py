"""`graphbuild COMMAND`: parses, dispatches, and turns errors into text and exit codes. Nobody else catches them."""

import contextlib
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from graphbuild.layers.cancel import Cancelled
from graphbuild.values.errors import EXIT_BUG, EXIT_INTERRUPTED, EXIT_MACHINE, EXIT_OK, GraphbuildError, is_full, lacking

if TYPE_CHECKING:
    from graphbuild.rules.commands import Command  # with all of the rules: 10 ms
    from graphbuild.values.certificate import Stale


def main(arguments: list[str], stale: "Stale | None" = None) -> int:
    """Run a command line (without the program's name). Returns the exit code. `stale`: its certificate, if that nearly holds."""
    return ending(lambda: _dispatch(arguments, stale))


def ending(work: Callable[[], int]) -> int:
    """The exit code of a piece of work; what it raises is said, and has one too."""
    try:
        return work()
    except GraphbuildError as error:
        show_problems(error)
        return error.exit_code
    except (KeyboardInterrupt, Cancelled):
        sys.stderr.write("graphbuild: interrupted\n")
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # whoever read our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except Exception as error:  # noqa: BLE001 - the last resort: a bug of ours, said as such
        return _full(error) if isinstance(error, OSError) and is_full(error) else _bug(error)


def _dispatch(arguments: list[str], stale: "Stale | None") -> int:
    if not sys.platform.startswith("linux"):
        raise lacking("graphbuild runs on Linux: it needs overlayfs and namespaces", "run it in a Linux machine or container")
    if arguments[:1] == ["container"]:  # as Docker reads it, and sooner than a parser of everything is made
        from graphbuild.cli.container import container

        return container(arguments[1:])
    from graphbuild.cli.parser import OWN, parse, parser

    if arguments[:1] == ["__complete"]:
        from graphbuild.cli.inspect import complete_words

        return complete_words(arguments[1:])
    plugins = [] if arguments and arguments[0] in OWN else _plugin_commands()
    options = parse(arguments, plugins)
    if options.command is None:
        parser(plugins).print_help()
        return EXIT_OK
    options.stale = stale
    if getattr(options, "directory", None):
        _change_directory(options.directory)
    command: Callable[..., int] = _plugin_command(options, plugins) or _command(options.command)
    return command(options) if getattr(options, "repeats", False) else perform(command, options)


def perform(command: Callable[..., int], options: Any) -> int:
    """Do what a command does, and write the reports of it that somebody wants."""
    if getattr(options, "report", None) or not _CI.isdisjoint(os.environ):
        return _in_ci(command, options)
    return command(options)


_CI = frozenset(("GITHUB_ACTIONS", "GRAPHBUILD_CI"))
_READ = frozenset(("run", "plan", "push", "load", "explain", "lock", "check"))  # commands whose stdout is for people


def _in_ci(command: Callable[..., int], options: Any) -> int:
    """Run a command that somebody wants a report of, or whose words a CI service reads."""
    from graphbuild.cli.reports import reporting
    from graphbuild.ui.ci import service, shielded

    log = service(os.environ)
    if log == "github":
        sys.stderr = shielded(sys.stderr)
        if options.command in _READ:
            sys.stdout = shielded(sys.stdout)
    with reporting(options, log):
        return command(options)


def _plugin_command(options: Any, plugins: "Sequence[Command]") -> Callable[..., int] | None:
    for added in plugins:
        if added.name == options.command:
            from graphbuild.cli.commands import CommandHost

            run = added.run
            return lambda options: run(CommandHost(options), options)
    return None


def _plugin_commands() -> "list[Command]":
    from graphbuild.cli.commands import plugin_commands

    return plugin_commands()


def _change_directory(folder: str) -> None:
    try:
        os.chdir(folder)
    except OSError as error:
        from graphbuild.values.errors import mistake

        raise mistake(f"cannot change to {folder}: {error.strerror}") from None


_COMMANDS = {  # name → module of this package, its function
    "affected": ("affected", "affected_since"),
    "cache": ("cache", "cache"),
    "check": ("inspect", "check"),
    "ci": ("ci", "ci"),
    "completion": ("inspect", "completion"),
    "diff": ("diff", "diff"),
    "explain": ("inspect", "explain"),
    "graph": ("inspect", "graph"),
    "image": ("image", "image"),
    "images": ("images", "images"),
    "load": ("load", "load_images"),
    "lock": ("lock", "lock"),
    "plan": ("build", "run"),
    "push": ("push", "push"),
    "query": ("query", "query"),
    "run": ("build", "run"),
    "schema": ("inspect", "schema"),
    "shell": ("shell", "shell"),
    "test": ("test", "test"),
    "watch": ("watch", "watch"),
}


def _command(name: str) -> Callable[..., int]:
    """The function of a command; only its own module is imported."""
    module, function = _COMMANDS[name]
    found: Callable[..., int] = getattr(importlib.import_module(f"graphbuild.cli.{module}"), function)
    return found


def show_problems(error: GraphbuildError) -> None:
    """Every problem on stderr, with its place, line, caret and hint."""
    from graphbuild.cli.problems import shown

    for problem in error.problems:
        sys.stderr.write(shown(problem) + "\n")


def _full(error: OSError) -> int:
    """What was written to, stdout most likely, is full: no bug. What stdout still holds is not tried again when the process ends."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"cannot write {error.filename or 'all output'}: {error.strerror}\n  hint: make room where it goes\n")
        sys.stderr.flush()
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
            continue
        os.dup2(null, stream.fileno())
    return EXIT_MACHINE


def _bug(error: Exception) -> int:
    import traceback

    text = "".join(traceback.format_exception(error))
    sys.stderr.write(f"{text}\ngraphbuild: this is a bug of graphbuild or of a plugin. Please report it with the lines above.\n")
    return EXIT_BUG
