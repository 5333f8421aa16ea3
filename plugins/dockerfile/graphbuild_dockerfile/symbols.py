"""Build arguments kept as variables: where a value of the converted data is made of one, `${NAME}` stands for it.

The Dockerfile is evaluated twice, with the values and with marks in their place; where both agree but for the marks, a variable may
stand there. An argument whose mark changes anything else keeps its value.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from graphbuild.rules import GraphbuildError
from graphbuild_dockerfile.evaluation import Evaluation
from graphbuild_dockerfile.instructions import Run
from graphbuild_dockerfile.program import Program

_MARK = re.compile("\ue000([^\ue001]*)\ue001")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BUILTIN = {
    "TARGETARCH": "${platform.arch}",
    "BUILDARCH": "${build.arch}",
    "TARGETOS": "${platform.os}",
    "BUILDOS": "${platform.os}",
    "TARGETPLATFORM": "${platform.os}/${platform.arch}",
    "BUILDPLATFORM": "${build.platform}",
}


class Symbols(msgspec.Struct, frozen=True):
    """`values` of the arguments that are variables; `written` of those that are not; `unset` have no value.

    `builtin`: those that are variables of graphbuild's own, by what they are in a build.yaml.
    """

    values: Mapping[str, str] = {}
    builtin: Mapping[str, str] = {}
    written: tuple[str, ...] = ()
    unset: tuple[str, ...] = ()


class Differs(Exception):  # noqa: N818 - found out by trying
    """A mark changed more than the text that it stands in."""


def mark(name: str) -> str:
    return f"\ue000{name}\ue001"


def escaped(text: str) -> str:
    """A text in which nothing is a variable."""
    return text.replace("${", "$${")


def rendered(text: str, symbols: Symbols) -> str:
    """A text with marks, as a build.yaml says it."""
    parts = _MARK.split(text)
    return "".join(symbols.builtin.get(part, f"${{{part}}}") if number % 2 else escaped(part) for number, part in enumerate(parts))


def filled(text: str, values: Mapping[str, str]) -> str:
    return _MARK.sub(lambda found: values.get(found[1], found[0]), text)


def merged(concrete: Any, marked: Any, symbols: Symbols) -> Any:
    """The data with variables; Differs where the marks changed its shape."""
    if isinstance(concrete, dict) and isinstance(marked, dict):
        if list(concrete) != list(marked):
            raise Differs
        return {name: merged(value, marked[name], symbols) for name, value in concrete.items()}
    if isinstance(concrete, list) and isinstance(marked, list):
        if len(concrete) != len(marked):
            raise Differs
        return [merged(one, other, symbols) for one, other in zip(concrete, marked, strict=True)]
    if isinstance(concrete, str) and isinstance(marked, str):
        return rendered(marked, symbols) if filled(marked, symbols.values) == concrete else escaped(concrete)
    if concrete != marked:
        raise Differs
    return concrete


def arguments(program: Program, evaluation: Evaluation, platform: str) -> Symbols:
    """The declared arguments: with one value wherever they are declared, with several, with none."""
    found: dict[str, set[str | None]] = {}
    for said in program.arguments:
        for argument in said.arguments:
            found.setdefault(argument.name, set()).add(evaluation.globals.get(argument.name))
    for result in evaluation.stages:
        for name, value in result.args.items():
            found.setdefault(name, set()).add(value)
    modified = {name for node in _texts(program) for name in re.findall(r"\$\{([A-Za-z_][A-Za-z0-9_]*)[^}A-Za-z0-9_]", node)}
    values, written, unset = {}, [], []
    for name, known in found.items():
        texts = {value for value in known if value is not None}
        if not texts:
            unset.append(name)
        elif len(known) > 1 or name in modified or not _NAME.fullmatch(name):
            written.append(name)
        else:
            values[name] = next(iter(texts))
    system, _, machine = platform.partition("/")
    own = {
        **dict.fromkeys(("${platform.arch}", "${build.arch}"), machine),
        **dict.fromkeys(("${platform.os}/${platform.arch}", "${build.platform}"), platform),
        "${platform.os}": system,
    }
    builtin = {name: text for name, text in _BUILTIN.items() if values.get(name) == own[text]}
    return Symbols(values, builtin, tuple(written), tuple(unset))


def _texts(program: Program) -> Iterable[str]:
    """What of the file is expanded before anything runs."""
    instructions = [*program.arguments, *(each for stage in program.stages for each in (stage.start, *stage.instructions))]
    for instruction in instructions:
        if isinstance(instruction, Run):
            yield from instruction.mounts
        else:
            yield instruction.node.code
            yield from (heredoc.content for heredoc in instruction.node.heredocs)


def chosen(names: Iterable[str], attempt: Callable[[frozenset[str]], Any]) -> tuple[frozenset[str], Any]:
    """The most names that can be variables at once, and what `attempt` makes of them."""
    wanted = frozenset(names)
    result = _tried(wanted, attempt)
    if result is not None:
        return wanted, result
    wanted = frozenset(name for name in wanted if _tried(frozenset([name]), attempt) is not None)
    result = _tried(wanted, attempt)
    return (wanted, result) if result is not None else (frozenset(), attempt(frozenset()))


def _tried(names: frozenset[str], attempt: Callable[[frozenset[str]], Any]) -> Any:
    try:
        return attempt(names)
    except (Differs, GraphbuildError):
        return None


def variables(symbols: Symbols, wanted: frozenset[str], default: Callable[[str], str]) -> dict[str, str]:
    """`vars` of a package; `default` gives an argument's value with marks of the others."""
    found = {}
    for name, value in symbols.values.items():
        if name in wanted and name not in symbols.builtin:
            text = default(name)
            found[name] = rendered(text, symbols) if filled(text, symbols.values) == value else escaped(value)
    return found
