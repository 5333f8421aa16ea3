"""The command line's grammar, and its help. What a command does is in `cli.main` and its neighbours."""

import argparse
from collections.abc import Sequence

from graphbuild import __version__
from graphbuild.cli.grammar import GRAMMAR, Formatter, declare_plugin
from graphbuild.rules.commands import Command
from graphbuild.spec.problem import suggest
from graphbuild.values.errors import mistake

OWN = tuple(GRAMMAR)

_EXAMPLES = """\
examples:
  graphbuild run                    build the outputs of the package in this folder
  graphbuild run //... -//slow:x    build everything but one target
  graphbuild run :web -j 8 -k       one target, eight steps at once, go on after a failure
  graphbuild test //...             run all tests that did not pass yet
  graphbuild plan                   say what would run, and why
  graphbuild explain :web           say why the last run built it, or did not
  graphbuild shell :deps            look around in a step, or in the ruins of one that failed
"""

_DOCKERS = {  # what is typed by habit → what it is here
    "build": "run",
    **{word: f"container {word}" for word in ("attach", "commit", "cp", "create", "exec", "kill", "logs", "ps", "rm", "start", "stop")},
    **{word: f"image {word}" for word in ("history", "import", "inspect", "pull", "save", "tag")},
    "rmi": "image rm",
}


def parse(arguments: Sequence[str], plugins: Sequence[Command] = ()) -> argparse.Namespace:
    """The options of a command line; `plugins` are the commands that plugins add. Exits with 2 for a wrong one, with 0 after a help text.

    What argparse alone would get wrong: a pattern that takes away, `-//x:y`, looks like an option; labels may come after
    options, and so may `-- WORD…`; and `--no-cache :web` is no cache for anything, not for `:web` alone.
    """
    top = parser(plugins, arguments[0] if arguments and arguments[0] in OWN else "")
    _check_command(arguments, plugins)
    arguments = _joined(arguments)
    end = arguments.index("--") if "--" in arguments else len(arguments)
    marked = [
        f" {word}"
        if word.startswith(("-//", "-:"))
        else "--no-cache="
        if word == "--no-cache" and arguments[0] in ("run", "test", "plan")
        else word
        for word in arguments[:end]
    ]
    options, rest = top.parse_known_args(marked)
    literal = list(arguments[end + 1 :])
    if "words" in options:
        options.words += literal
    else:
        rest += literal
    if rest and ("labels" not in options or any(word.startswith("-") for word in rest)):
        top.error(f"unrecognized arguments: {' '.join(rest)}")
    if "labels" in options:
        options.labels = [word.strip() for word in (*options.labels, *rest)]
    return options


def _joined(arguments: Sequence[str]) -> list[str]:
    """`--tags -slow` as `--tags=-slow`: what begins with a - looks like an option."""
    joined: list[str] = []
    for word in arguments:
        if joined and joined[-1] == "--tags":
            joined[-1] = f"--tags={word}"
        else:
            joined.append(word)
    return joined


def _check_command(arguments: Sequence[str], plugins: Sequence[Command]) -> None:
    """GraphbuildError for a command that is none: argparse would list all of them, and name nothing near."""
    commands = [*OWN, *(command.name for command in plugins)]
    if not arguments or arguments[0].startswith("-") or arguments[0] in commands:
        return
    word = arguments[0]
    theirs = _DOCKERS.get(word)
    hint = f"did you mean `graphbuild {theirs}`?" if theirs else suggest(word, commands) or "`graphbuild --help` lists them"
    raise mistake(f"there is no command {word!r}", hint=hint)


def parser(plugins: Sequence[Command] = (), only: str = "") -> argparse.ArgumentParser:
    """The whole grammar, or that of one command of ours alone: making all of it takes 10 ms. Every sub-parser sets `command`."""
    top = argparse.ArgumentParser(
        "graphbuild",
        description="Container images from a graph: independent layers in parallel, cached by content, without a daemon.",
        epilog=_EXAMPLES,
        formatter_class=Formatter,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"graphbuild {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    for name, declare in GRAMMAR.items():
        if only in ("", name):
            declare(commands)
    for command in plugins:
        declare_plugin(commands, command)
    return top


def flags(top: argparse.ArgumentParser) -> dict[str, Sequence[str]]:
    """Every command's flags in the form that `cli.completion.complete` takes."""
    found: dict[str, Sequence[str]] = {}
    for action in top._actions:  # noqa: SLF001 - argparse has no public way to ask
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for name, parser_ in action.choices.items():
                found[name] = [text for option in parser_._actions for text in _flag(option)]  # noqa: SLF001
                found |= {f"{name} {below}": texts for below, texts in flags(parser_).items()}
    return found


def _flag(option: argparse.Action) -> list[str]:
    takes_none = option.nargs in (0, "*")  # after one that takes any number of words, they complete as arguments do
    value = "" if takes_none else "=" + "|".join(map(str, option.choices or ()))
    return [f"{text}{value}" for text in option.option_strings if text.startswith("--")]
