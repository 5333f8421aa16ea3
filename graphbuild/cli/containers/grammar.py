"""Command lines as Docker reads them: options end at the first word that is none, short ones may be joined (`-it`), flags may say `=false`.

Not argparse, which would take an option of the command in the container for one of ours, and as long to import as the command takes.
"""

import sys
from collections.abc import Sequence
from typing import Literal

import msgspec

from graphbuild.values.errors import GraphbuildError, mistake


class Option(msgspec.Struct, frozen=True):
    """`names` with their dashes, the long one last: it is the key of the value, with `_` for `-`. "may": a value only after `=`."""

    names: tuple[str, ...]
    help: str
    kind: Literal["flag", "value", "list", "may"] = "flag"
    metavar: str = ""
    choices: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return self.names[-1].lstrip("-").replace("-", "_")


class Grammar(msgspec.Struct, frozen=True):
    """A command. `usage`: its positional words. `open`: options may come after them too; else all that follows the first is its own."""

    name: str
    usage: str
    help: str
    options: tuple[Option, ...] = ()
    least: int = 0
    most: int | None = None
    open: bool = True
    example: str = ""


class Parsed:
    """The options by key, and the other words."""

    def __init__(self, values: dict[str, str | bool | list[str]], words: list[str]) -> None:
        self.values = values
        self.words = words

    def flag(self, key: str) -> bool:
        return self.values.get(key) is True

    def text(self, key: str) -> str | None:
        value = self.values.get(key)
        return value if isinstance(value, str) else None

    def texts(self, key: str) -> list[str]:
        value = self.values.get(key)
        return value if isinstance(value, list) else []


def parse(grammar: Grammar, words: Sequence[str]) -> Parsed:
    """GraphbuildError (2) for a wrong command line."""
    known = {name: option for option in grammar.options for name in option.names}
    values: dict[str, str | bool | list[str]] = {}
    rest: list[str] = []
    line = list(words)
    while line:
        word = line.pop(0)
        if word == "--":
            rest += line
            break
        if word == "-" or not word.startswith("-"):
            rest.append(word)
            if not grammar.open:
                rest += line
                break
        elif word.startswith("--"):
            name, equals, value = word.partition("=")
            _take(grammar, known, name, value if equals else None, values, line)
        else:
            _take_short(grammar, known, word, values, line)
    if len(rest) < grammar.least or (grammar.most is not None and len(rest) > grammar.most):
        raise wrong(grammar, f"{grammar.name} takes {grammar.usage or 'no further words'}")
    return Parsed(values, rest)


def wrong(grammar: Grammar, message: str) -> GraphbuildError:
    return mistake(message, hint=f"`graphbuild container {grammar.name} --help` lists what it takes")


def _take_short(grammar: Grammar, known: dict[str, Option], word: str, values: dict[str, str | bool | list[str]], line: list[str]) -> None:
    """`-it`, `-eA=1`, `-e A=1`, `-e=A=1`, `-it=false`."""
    at = 1
    while at < len(word):
        name = f"-{word[at]}"
        at += 1
        option = known.get(name)
        if option is None:
            raise _unknown(grammar, known, name)
        after = word[at:]
        if option.kind == "flag" and not after.startswith("="):
            _take(grammar, known, name, None, values, line)
            continue
        _take(grammar, known, name, after.removeprefix("=") if after else None, values, line)
        return


def _unknown(grammar: Grammar, known: dict[str, Option], name: str) -> GraphbuildError:
    import difflib

    close = difflib.get_close_matches(name, known, 1, cutoff=0.7)
    message = f"{grammar.name} has no option {name}"
    return mistake(message, hint=f"did you mean {close[0]}?") if close else wrong(grammar, message)


def _take(
    grammar: Grammar,
    known: dict[str, Option],
    name: str,
    value: str | None,
    values: dict[str, str | bool | list[str]],
    line: list[str],
) -> None:
    option = known.get(name)
    if option is None:
        raise _unknown(grammar, known, name)
    if option.kind == "flag":
        if value not in (None, "true", "false", "1", "0"):
            raise wrong(grammar, f"{name} is true or false, not {value!r}")
        values[option.key] = value in (None, "true", "1")
        return
    if option.kind == "may":
        values[option.key] = value or ""
        return
    if value is None:
        if not line:
            raise wrong(grammar, f"{name} needs a value")
        value = line.pop(0)
    if option.choices and value not in option.choices:
        raise wrong(grammar, f"{name} is one of {', '.join(option.choices)}, not {value!r}")
    if option.kind == "list":
        listed = values.setdefault(option.key, [])
        if isinstance(listed, list):
            listed.append(value)
    else:
        values[option.key] = value


def show_help(grammar: Grammar) -> None:
    """The help of one command on stdout."""
    import textwrap

    lines = [f"usage: graphbuild container {grammar.name} [OPTION…] {grammar.usage}".rstrip(), "", grammar.help, ""]
    for option in grammar.options:
        value = "" if option.kind == "flag" else f" {option.metavar or 'VALUE'}" if option.kind != "may" else f"[={option.metavar}]"
        text = option.help + (f" ({', '.join(option.choices)})" if option.choices else "")
        first, *others = textwrap.wrap(text, 68)
        left = ("" if option.names[0][1] != "-" else "    ") + ", ".join(option.names) + value
        if len(left) > 28:
            lines.append(f"  {left}")
            left = ""
        lines.append(f"  {left:28}  {first}")
        lines += [f"  {'':28}  {other}" for other in others]
    if grammar.example:
        lines += ["", f"example: graphbuild container {grammar.example}"]
    sys.stdout.write("\n".join(lines) + "\n")
