"""`graphbuild container COMMAND`: which command it is, where its store is, and what does it. Only that is imported."""

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

import msgspec

from graphbuild.cli.containers.commands import ALIASES, COMMANDS, GRAMMARS, STORE
from graphbuild.cli.containers.grammar import Grammar, Parsed, parse, show_help
from graphbuild.engine.containers.place import Place
from graphbuild.values.errors import EXIT_OK, GraphbuildError, mistake

_WHERE = {
    "create": "making.create_command",
    "run": "making.run_command",
    "start": "making.start_command",
    "attach": "making.attach_command",
    "exec": "inside.exec_command",
    "logs": "saying.logs",
    **{name: f"listing.{name}" for name in ("ps", "inspect", "top")},
    **{name: f"keeping.{name}" for name in ("cp", "diff", "commit", "export")},
}
_SETTINGS = "graphbuild.yaml"


def container(arguments: Sequence[str]) -> int:
    """Run a command on containers. Returns its exit code."""
    words = list(arguments)
    store = None
    while words and words[0].startswith("--store"):  # also before the command
        store = words.pop(0).partition("=")[2] or (words.pop(0) if words else "")
    if not words or words[0] in ("--help", "-h", "help"):
        _show_commands()
        return EXIT_OK
    name = ALIASES.get(words[0], words[0])
    if name not in GRAMMARS:
        raise _unknown(words[0])
    grammar = msgspec.structs.replace(GRAMMARS[name], options=(*GRAMMARS[name].options, STORE))
    if "--help" in _own(grammar, words[1:]):
        show_help(grammar)
        return EXIT_OK
    options = parse(grammar, words[1:])
    act = _action(name)
    return act(Place(_store(options.text("store") or store)), grammar, options)


def _own(grammar: Grammar, words: Sequence[str]) -> Sequence[str]:
    """The words that are ours and not a command's in the container."""
    if grammar.open:
        return words
    own = []
    values = {name for option in grammar.options if option.kind in ("value", "list") for name in option.names}
    skip = False
    for word in words:
        if not skip and not word.startswith("-"):
            break
        own.append("" if skip else word)
        skip = not skip and word in values
    return own


def _action(name: str) -> Callable[[Place, Grammar, Parsed], int]:
    module, _, function = _WHERE.get(name, f"acting.{name}").partition(".")
    found: Callable[[Place, Grammar, Parsed], int] = getattr(import_module(f"graphbuild.cli.containers.{module}"), function)
    return found


def _unknown(word: str) -> GraphbuildError:
    import difflib

    close = difflib.get_close_matches(word, GRAMMARS, 1)
    hint = f"did you mean {close[0]}?" if close else "`graphbuild container --help` lists them"
    return mistake(f"there is no command `container {word}`", hint=hint)


def _show_commands() -> None:
    lines = ["usage: graphbuild container COMMAND [OPTION…] …", "", "Containers: a writable layer on an image, without a daemon.", ""]
    lines += [f"  {grammar.name:10} {grammar.help}" for grammar in COMMANDS]
    sys.stdout.write("\n".join([*lines, "", "`graphbuild container COMMAND --help` lists the options of one."]) + "\n")


def _store(named: str | None) -> Path:
    """The store that builds in this folder use. A workspace's settings are read only where there are some: that takes longer than an `exec`."""
    named = named or os.environ.get("GRAPHBUILD_STORE")
    if named:
        return Path(named).absolute()
    here = Path.cwd()
    if any((folder / _SETTINGS).exists() for folder in (here, *here.parents)):
        from graphbuild.build.project import find_site

        return find_site(here, None).store
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")  # as `build.project.default_store`
    return Path(cache).absolute() / "graphbuild"


def complete(words: Sequence[str]) -> list[str]:
    """Candidates for the last word after `container`: commands, options, and names of containers."""
    *before, current = words
    if not before:
        return sorted(name for name in GRAMMARS if name.startswith(current))
    grammar = GRAMMARS.get(ALIASES.get(before[0], before[0]))
    if grammar is None:
        return []
    if current.startswith("-"):
        names = {name for option in (*grammar.options, STORE) for name in option.names if name.startswith("--")}
        return sorted(name for name in names if name.startswith(current))
    if "CONTAINER" not in grammar.usage:
        return []
    try:
        with Place(_store(None)).open() as opened:
            return sorted(each.name for each in opened.shelf.all() if each.name.startswith(current))
    except GraphbuildError:
        return []
