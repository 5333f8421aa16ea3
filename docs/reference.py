"""Writes reference.md, beside this file: what a build.yaml, a graphbuild.yaml and a command line may say, read from the code.

`make docs` runs it; a test compares. The built-in rules are described, not those of plugins, so that the page is the same
on every machine. What it adds to the code is prose about names, patterns and exit codes; everything in a table is read.
"""

import argparse
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from graphbuild.build.builtins import NAMES
from graphbuild.cli.parser import parser
from graphbuild.rules import Rule
from graphbuild.rules.builtin import RULES
from graphbuild.spec.model import MOUNTS, SECTIONS, CommonText, SecretEntryText
from graphbuild.spec.workspace import LimitsText, RegistryText, SettingsText
from graphbuild.values import errors

PAGE = Path(__file__).with_name("reference.md")

BUILTINS = {
    "git.commit": "The commit that is checked out, from `.git` of the workspace. Files that differ from it do not matter.",
    "git.short": "Its first 12 digits.",
    "git.branch": "The branch; `HEAD` where none is checked out.",
    "platform": "What the target is built for, `linux/arm64`: its output's platform, what `--platform` says, or this machine's.",
    "platform.os": "`linux`.",
    "platform.arch": "Its architecture as OCI names it: `amd64`, `arm64` …",
    "platform.variant": "Its variant: `v7`; mostly empty.",
    "build.platform": "This machine's, whatever is built for.",
    "build.arch": 'Its architecture: for a base that cross-compiles, `debian: {arch: "${build.arch}"}`.',
    "package": "The folder of the `build.yaml`, from the workspace's root; empty in the root.",
    "env.NAME": "The variable `NAME` of the caller's environment, which must be set. The only way in for it.",
}

EXITS = {
    "EXIT_OK": "Done.",
    "EXIT_FAILED": "A step failed; or, of `cache verify`, something is damaged; or, of `explain`, the target was never built.",
    "EXIT_USAGE": "The command line, a spec, a lock or an input is wrong.",
    "EXIT_TEST": "A test failed, and all that it needs was built.",
    "EXIT_INTERRUPTED": "Interrupted.",
    "EXIT_MACHINE": "The machine lacks something; the message names it, and the fix.",
    "EXIT_BUG": "A bug, of graphbuild or of a plugin.",
}

_EVERYWHERE = ("store", "set", "directory")  # options that nearly every command has

HEAD = """\
# Reference

Made from the code by `make docs`. `graphbuild schema` prints the same as JSON Schema, with the rules of your plugins.

## build.yaml
A folder with a `build.yaml` is a **package**. Its sections, all optional, are `bases`, `steps`, `outputs` and `tests`, which map names to
**targets**; `vars`; `extends`, the [templates](configuration.md) whose vars and targets it has too; and `visibility`, that of targets which say none.
Exactly one key of a target is the name of its **rule**; the others are attributes that
every target may have. A base that needs nothing else may be written as the rule's name alone: `empty: scratch`.

- **Names** hold letters, digits and `_ . + -`, and begin with a letter, a digit or `_`. They are unique in a package; `all` is none.
- **Labels**: `//web:app` from anywhere; `:app` or `app` in the same package; `//web` is short for `//web:web`; targets of the
  root package are `//:app`. A cell of a matrix is `//web:app[py=3.11]`. A target with a matrix that names another one takes its own cell of it.
- **Patterns**, on the command line: `//...` everything · `//svc/...` all at and below a folder · `//web:all` a package ·
  `-//x:y` takes away what came before. Targets that are tagged `manual` are in no pattern but by name. Tests
  are in the patterns of `graphbuild test` and of commands that build nothing; `run` and its like take them by name.
- **Paths** are relative to the package and stay in it; a leading `//` starts at the workspace's root.
- **Globs**: `*` and `?` stay within a name, `**` crosses folders, `[a-z]` is a class; `!` takes away, the last match decides; a
  folder means all below it. `.graphbuildignore`, in the workspace or a package, reads as `.gitignore` does.
- **YAML** is read strictly: duplicate keys and tags are errors, and `1.10`, `yes` and `0755` stay the text that was written.
- **Durations** are `90s`, `5m`, `1h30m` or seconds; **sizes** `64k`, `64m`, `2g` (powers of 1024); **modes** octal, in quotes.

### Variables
`${name}` anywhere in a target's values: the matrix cell's, then `--set`, then the target's `vars`, then those of the package, then those of
`graphbuild.yaml`, then built-in ones. `$${` is a literal `${`. A variable counts only for targets that mention it. In the place of any value,
but for `matrix`, `platforms`, `vars` and `visibility`, there may be a [`select`](configuration.md#select): `{select: {NAME=VALUE: …, default: …}}`.
"""


def page() -> str:
    """The whole page."""
    return "\n".join(
        [
            HEAD,
            *_table(("Built-in", ""), ((f"`{name}`", BUILTINS[name]) for name in NAMES)),
            *_struct("Attributes of every target", CommonText, 3, "Besides its rule, a target may say:"),
            "### Mounts",
            "An entry of `mounts` is a map with exactly one of these keys besides its own attributes.",
            "",
            *(line for name, kind in MOUNTS.items() for line in _struct(f"`{name}`", kind, 4)),
            *_struct("Entries of `secrets`", SecretEntryText, 4, "The secret's id alone, or a map:"),
            "The value comes from `graphbuild run --secret id=ID,src=FILE` or `--secret id=ID,env=NAME`.",
            "",
            *(line for section, kind in SECTIONS.items() for line in _rules(section, kind)),
            "## graphbuild.yaml",
            "The topmost folder at or above the current one that has a `graphbuild.yaml` or a `.git` is the **workspace**. The file may be empty.",
            "",
            *_fields(SettingsText),
            *_struct("`limits`", LimitsText, 3, "What one step may use; 0, or nothing, is no limit but for `output`."),
            *_struct("`registries`", RegistryText, 3, "A map of registries by host[:port]; see [registries.md](registries.md)."),
            *_commands(),
            *_exits(),
        ]
    )


def _rules(section: str, kind: str) -> Iterator[str]:
    yield from (f"## Rules of `{section}`", "")
    for rule in RULES:
        if rule.kind == kind:
            yield from _rule(rule)
    if section == "bases":
        yield from ("### `debian`", "A plugin; see [debian.md](debian.md).", "")


def _rule(rule: Rule) -> Iterator[str]:
    yield from _struct(f"`{rule.name}`", rule.attributes, 3, " ".join(rule.doc.split()))
    if rule.short:
        yield from (f"Short form: `{rule.name}: VALUE` means `{rule.name}: {{{rule.short}: VALUE}}`.", "")
    for name, inner in _inner(rule.attributes, ()):
        yield from _struct(f"`{name}` of `{rule.name}`", inner, 4)


def _inner(kind: type, above: tuple[str, ...]) -> Iterator[tuple[str, type[msgspec.Struct]]]:
    """The Structs inside a Struct, by the path of their field."""
    for field in msgspec.structs.fields(kind):
        path = (*above, field.encode_name)
        for part in _parts(field.type):
            if _is_struct(part):
                yield ".".join(path), part
                yield from _inner(part, path)


def _struct(title: str, kind: type, level: int, text: str = "") -> Iterator[str]:
    """A section for a Struct: `text`, or else its docstring, and its fields."""
    yield from (f"{'#' * level} {title}", text or " ".join((kind.__doc__ or "").split()), "")
    yield from _fields(kind)


def _fields(kind: type) -> Iterator[str]:
    fields = msgspec.structs.fields(kind)
    if not fields:
        return
    rows = []
    for field in fields:
        default = "required" if field.required else _default(field.default)
        rows.append((f"`{field.encode_name}`", _type(field.type), default, _description(field.type)))
    yield from _table(("", "Type", "Default", ""), rows)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    cells = list(head)
    yield f"| {' | '.join(cells)} |"
    yield "|---" * len(cells) + "|"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |".replace("|  |", "| |")
    yield ""


def _is_struct(kind: object) -> typing.TypeGuard[type[msgspec.Struct]]:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _parts(kind: object) -> Iterator[object]:
    """A type and those that its annotations, unions and containers are made of."""
    yield kind
    for part in typing.get_args(kind):
        yield from _parts(part)


def _description(kind: object) -> str:
    found = (part.description for part in _parts(kind) if isinstance(part, msgspec.Meta) and part.description)
    return next(found, "")


def _type(kind: object) -> str:
    """A type in the words of someone who writes YAML."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return _type(arguments[0])
    if origin in (types.UnionType, typing.Union):
        parts = [part for part in arguments if part is not type(None) and not (part is bool and str in arguments)]
        return " or ".join(_type(part) for part in parts)
    if origin is typing.Literal:
        return ", ".join(f"`{value}`" for value in arguments if value)
    if origin is tuple:
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return f"map to {_type(arguments[1])}"
    names: Mapping[object, str] = {str: "text", int: "number", float: "number", bool: "true, false", typing.Any: "maps"}
    return "map" if _is_struct(kind) else names[kind]


def _default(value: object) -> str:
    """A default as YAML has it; nothing for one that says nothing."""
    if value is msgspec.NODEFAULT or value in (None, "", ()) or isinstance(value, (msgspec.Struct, dict)):
        return ""
    shown = value[0] if isinstance(value, tuple) else value
    return f"`{str(shown).lower() if isinstance(shown, bool) else shown}`"


def _commands() -> Iterator[str]:
    yield from ("## Commands", "Results go to stdout, everything else to stderr. Every command but `completion` takes, too:", "")
    commands = dict(_subcommands(parser()))
    yield from _table(("", ""), (_option(option) for option in commands["check"]._actions if option.dest in _EVERYWHERE))  # noqa: SLF001
    for name, command in commands.items():
        yield from _command(f"graphbuild {name}", command)


def _subcommands(top: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in top._actions:  # noqa: SLF001 - argparse has no public way to ask
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            yield from action.choices.items()


def _command(name: str, command: argparse.ArgumentParser) -> Iterator[str]:
    yield from (f"### `{name}`", command.description or "", "")
    inner = list(_subcommands(command))
    for action, below in inner:
        yield from _command(f"{name} {action}", below)
    if not inner:
        own = [option for option in command._actions if option.dest not in ("help", *_EVERYWHERE)]  # noqa: SLF001
        yield from _table(("", ""), map(_option, own)) if own else ()
        example = (command.epilog or "").removeprefix("example: ")
        yield from (f"Example: `{example}`", "") if example else ()


def _option(option: argparse.Action) -> tuple[str, str]:
    value = option.metavar if isinstance(option.metavar, str) else "|".join(map(str, option.choices or ())) or option.dest.upper()
    if not option.option_strings:
        shown = {"*": f"[{value}…]", "+": f"{value}…"}.get(str(option.nargs), value)
        return f"`{shown}`", option.help or ""
    suffix = "" if option.nargs == 0 else f"[={value}]" if option.nargs == "?" else f" {value}"
    return ", ".join(f"`{text}{suffix if text.startswith('--') else ''}`" for text in option.option_strings), option.help or ""


def _exits() -> Iterator[str]:
    yield from ("## Exit codes", "")
    names = [name for name in vars(errors) if name.startswith("EXIT_")]
    yield from _table(("Code", ""), ((str(getattr(errors, name)), EXITS[name]) for name in names))
    yield "Where failures of several kinds come together, the code is 1."
    yield ""


if __name__ == "__main__":
    PAGE.write_text(page().rstrip("\n") + "\n", encoding="utf-8")
