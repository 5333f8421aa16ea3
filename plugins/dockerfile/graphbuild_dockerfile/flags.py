"""An instruction's `--flags` against those that it has. Knows no instruction."""

from collections.abc import Mapping

from graphbuild.rules import GraphbuildError, Problem
from graphbuild_dockerfile.messages import suggesting
from graphbuild_dockerfile.text import Node

TEXT, BOOL, LIST = "text", "bool", "list"


def parse_flags(node: Node, file: str, known: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The values of each flag that was given, by its name without dashes; a LIST may be given several times.

    A BOOL without a value is "true"; with one it is "true" or "false", in any case.
    """
    given: dict[str, tuple[str, ...]] = {}
    for flag in node.flags:
        name, equals, value = flag.removeprefix("--").partition("=")
        kind = known.get(name, "")
        if not kind:
            message = suggesting(f"unknown flag: --{name}", name, known)
        elif name in given and kind != LIST:
            message = f"duplicate flag specified: --{name}"
        elif (kind != BOOL and not equals) or (kind == BOOL and equals and not value):
            message = f"missing a value on flag: --{name}"
        elif kind == BOOL and value.lower() not in ("", "true", "false"):
            message = f"expecting boolean value for flag --{name}, not: {value}"
        else:
            given[name] = (*given.get(name, ()), (value.lower() or "true") if kind == BOOL else value)
            continue
        raise GraphbuildError(Problem(message, node.place(file, f"--{name}")))
    return given
