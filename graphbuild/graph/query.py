"""The query language over targets: Bazel's, as far as it applies (Bazel's "Query reference").

`parse` makes an expression of a text, `evaluate` a set of labels of an expression. Pure: what targets there are and what they need is
asked of a `World`. All binary operators have the same precedence and group to the left, as Bazel's do; words that hold anything but
letters, digits and `*/@.-_:$~+` are quoted, but for the variants of a matrix: `web[py=3.11,os=a]` is a word.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import msgspec

from graphbuild.values.errors import GraphbuildError, mistake
from graphbuild.values.label import Label, without_platform

_TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>"[^"]*"|'[^']*')|(?P<word>[A-Za-z0-9_/@.:$~][A-Za-z0-9_/@.:$~*+-]*(?:\[[^\]]*\])?)|(?P<sign>[()^+,=-])|(?P<wrong>\S))"""
)
_OPERATORS = {"+": "union", "union": "union", "-": "except", "except": "except", "^": "intersect", "intersect": "intersect"}
_DEEPEST = 200  # parentheses and operators within each other
_KEYWORDS = {"union", "except", "intersect", "let", "in", "set"}

Labels = frozenset[Label]


class World(Protocol):
    """The targets that an expression is about."""

    def select(self, pattern: str) -> Iterable[Label]:
        """The targets of a label or pattern. GraphbuildError where it names none."""
        ...

    def needs(self, label: Label) -> Iterable[Label]: ...

    def kind(self, label: Label) -> str:
        """`RULE KIND`, such as `image output`."""
        ...

    def attribute(self, label: Label, name: str) -> str | None:
        """An attribute's value as text; None where the target does not say it."""
        ...


class Targets(msgspec.Struct, frozen=True):
    """The targets of a pattern."""

    pattern: str


class Variable(msgspec.Struct, frozen=True):
    name: str


class Let(msgspec.Struct, frozen=True):
    """`let NAME = VALUE in BODY`."""

    name: str
    value: "Expression"
    body: "Expression"


class Binary(msgspec.Struct, frozen=True):
    """`operator`: union, except or intersect."""

    operator: str
    left: "Expression"
    right: "Expression"


class Call(msgspec.Struct, frozen=True):
    """A function with its arguments; those that are text or numbers are strings. `at`: where its name stands, for errors."""

    name: str
    arguments: "tuple[Expression | str, ...]"
    at: int


Expression = Targets | Variable | Let | Binary | Call

# name → what each argument is: e(xpression), t(ext), n(umber); a capital one may be left out. `set` takes words instead.
FUNCTIONS: dict[str, str] = {
    "deps": "eN",
    "rdeps": "eeN",
    "allpaths": "ee",
    "somepath": "ee",
    "some": "eN",
    "kind": "te",
    "attr": "tte",
    "filter": "te",
    "tests": "e",
}


def parse(text: str) -> Expression:
    """GraphbuildError, which shows the place, for what is no expression."""
    parser = _Parser(text)
    found = parser.expression(0)
    if parser.token is not None:
        raise parser.wrong(f"{parser.token!r} is not expected here")
    return found


def evaluate(expression: Expression, world: World) -> list[Label]:
    """The labels, sorted; those of `somepath` in the order of the path. GraphbuildError for patterns that name nothing, and bad ones."""
    if isinstance(expression, Call) and expression.name == "somepath":
        return _Evaluation(world).path(expression, {})
    return sorted(_Evaluation(world).value(expression, {}))


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._matches = [match for match in _TOKEN.finditer(text) if match.lastgroup]
        self._next = 0

    @property
    def token(self) -> str | None:
        """The next token as it is written; None at the end."""
        return self._matches[self._next][0].strip() if self._next < len(self._matches) else None

    def wrong(self, what: str) -> GraphbuildError:
        at = self._at()
        return mistake(f"query: {what}", hint=f"here: {self._text[max(0, at - 40) : at]}⟨?⟩{self._text[at : at + 40]}")

    def expression(self, depth: int) -> Expression:
        if depth > _DEEPEST:
            raise self.wrong("the expression is nested too deeply")
        left = self._operand(depth)
        while (operator := _OPERATORS.get(self.token or "")) is not None:
            self._next += 1
            left = Binary(operator, left, self._operand(depth))
        return left

    def _operand(self, depth: int) -> Expression:
        token = self.token
        if token is None:
            raise self.wrong("the expression ends where a target or a function is expected")
        if token == "(":
            self._next += 1
            inner = self.expression(depth + 1)
            self._expect(")")
            return inner
        if token == "let":
            return self._let(depth)
        if token.startswith("$"):
            self._next += 1
            return Variable(token[1:])
        following = self._matches[self._next + 1][0].strip() if self._next + 1 < len(self._matches) else ""
        if following == "(":
            return self._call(token, depth)
        return Targets(self._word())

    def _let(self, depth: int) -> Expression:
        self._next += 1
        name = self._word()
        self._expect("=")
        value = self.expression(depth + 1)
        self._expect("in")
        return Let(name, value, self.expression(depth + 1))

    def _call(self, name: str, depth: int) -> Expression:
        at = self._at()
        if name != "set" and name not in FUNCTIONS:
            raise self.wrong(f"{name!r} is no function; there are {', '.join(sorted((*FUNCTIONS, 'set')))}")
        self._next += 2
        if name == "set":
            words = []
            while self.token not in (")", None):
                words.append(self._word())
            self._expect(")")
            return Call("set", tuple(words), at)
        wanted = FUNCTIONS[name]
        arguments: list[Expression | str] = []
        while len(arguments) < len(wanted) and not (wanted[len(arguments)].isupper() and self.token != ","):
            if arguments:
                self._expect(",")
            arguments.append(self.expression(depth + 1) if wanted[len(arguments)] == "e" else self._value(wanted[len(arguments)]))
        self._expect(")")
        return Call(name, tuple(arguments), at)

    def _value(self, kind: str) -> str:
        text = self._word()
        if kind in "nN" and not (text.isascii() and text.isdigit()):
            self._next -= 1
            raise self.wrong(f"{text!r} is not a number")
        return text

    def _word(self) -> str:
        token = self.token
        kind = self._matches[self._next].lastgroup if token is not None else None
        if token is None or kind not in ("word", "quoted") or (kind == "word" and token in _KEYWORDS):
            raise self.wrong("a word is expected" + (f", not {token!r}" if token else ""))
        self._next += 1
        return token[1:-1] if kind == "quoted" else token

    def _expect(self, sign: str) -> None:
        if self.token != sign:
            raise self.wrong(f"{sign!r} is expected" + (f", not {self.token!r}" if self.token else ""))
        self._next += 1

    def _at(self) -> int:
        if self._next >= len(self._matches):
            return len(self._text)
        match = self._matches[self._next]
        return match.end() - len(match[0].strip())


class _Evaluation:
    def __init__(self, world: World) -> None:
        self._world = world
        self._functions: Mapping[str, Callable[[Call, dict[str, Labels]], Labels]] = {
            "set": lambda call, _: frozenset(label for word in call.arguments for label in self._world.select(str(word))),
            "deps": self._deps,
            "rdeps": self._rdeps,
            "allpaths": self._allpaths,
            "somepath": lambda call, names: frozenset(self.path(call, names)),
            "some": self._some,
            "kind": lambda call, names: self._matching(call, names, self._world.kind),
            "filter": lambda call, names: self._matching(call, names, str),
            "attr": self._attr,
            "tests": lambda call, names: frozenset(
                label for label in self._set(call, 0, names) if self._world.kind(label).endswith(" test")
            ),
        }

    def value(self, expression: Expression | str, names: dict[str, Labels]) -> Labels:
        match expression:
            case Targets(pattern):
                return frozenset(self._world.select(pattern))
            case Variable(name):
                if name not in names:
                    raise mistake(f"query: ${name} is not defined", hint="`let name = EXPRESSION in EXPRESSION` defines it")
                return names[name]
            case Let(name, value, body):
                return self.value(body, {**names, name: self.value(value, names)})
            case Binary(operator, left, right):
                one, other = self.value(left, names), self.value(right, names)
                return one | other if operator == "union" else one - other if operator == "except" else one & other
            case Call():
                return self._functions[expression.name](expression, names)
            case str():
                raise AssertionError("text is no expression")

    def path(self, call: Call, names: dict[str, Labels]) -> list[Label]:
        """A shortest path from one of the first to one of the second, none where there is none. The same at every call."""
        starts, ends = self._set(call, 0, names), self._set(call, 1, names)
        came: dict[Label, Label | None] = dict.fromkeys(sorted(starts))
        queue = list(came)
        for label in queue:  # grows while it is walked
            if label in ends:
                found = [label]
                while (before := came[found[-1]]) is not None:
                    found.append(before)
                return found[::-1]
            for need in sorted(self._world.needs(label)):
                if need not in came:
                    came[need] = label
                    queue.append(need)
        return []

    def _set(self, call: Call, index: int, names: dict[str, Labels]) -> Labels:
        return self.value(call.arguments[index], names)

    def _deps(self, call: Call, names: dict[str, Labels]) -> Labels:
        return _reached(self._set(call, 0, names), self._world.needs, _depth(call, 1))

    def _rdeps(self, call: Call, names: dict[str, Labels]) -> Labels:
        universe = _reached(self._set(call, 0, names), self._world.needs, None)
        return _reached(_for_any_platform(self._set(call, 1, names), universe), self._users(universe), _depth(call, 2))

    def _allpaths(self, call: Call, names: dict[str, Labels]) -> Labels:
        below = _reached(self._set(call, 0, names), self._world.needs, None)
        return _reached(_for_any_platform(self._set(call, 1, names), below), self._users(below), None)

    def _users(self, universe: Labels) -> Callable[[Label], Iterable[Label]]:
        users: dict[Label, list[Label]] = {}
        for label in universe:
            for need in self._world.needs(label):
                users.setdefault(need, []).append(label)
        return lambda label: users.get(label, ())

    def _some(self, call: Call, names: dict[str, Labels]) -> Labels:
        found = sorted(self._set(call, 0, names))
        if not found:
            raise mistake("query: some() of nothing")
        count = _depth(call, 1)
        return frozenset(found[: 1 if count is None else count])

    def _attr(self, call: Call, names: dict[str, Labels]) -> Labels:
        name, pattern = str(call.arguments[0]), _compiled(str(call.arguments[1]))
        values = ((label, self._world.attribute(label, name)) for label in self._set(call, 2, names))
        return frozenset(label for label, value in values if value is not None and pattern.search(value))

    def _matching(self, call: Call, names: dict[str, Labels], text: Callable[[Label], str]) -> Labels:
        pattern = _compiled(str(call.arguments[0]))
        return frozenset(label for label in self._set(call, 1, names) if pattern.search(text(label)))


def _for_any_platform(labels: Labels, universe: Labels) -> Labels:
    """Those of the universe that are the labels, also as they are for a platform: who names an index, or a base, means all of it."""
    return frozenset(found for found in universe if found in labels or without_platform(found) in labels)


def _depth(call: Call, index: int) -> int | None:
    return int(str(call.arguments[index])) if index < len(call.arguments) else None


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise mistake(f"query: {pattern!r} is no regular expression: {error}") from None


def _reached(start: Labels, following: Callable[[Label], Iterable[Label]], depth: int | None) -> Labels:
    """All that is at most `depth` steps away; whatever is reachable without one."""
    seen = set(start)
    front = list(start)
    while front and depth != 0:
        depth = None if depth is None else depth - 1
        front = list(dict.fromkeys(each for label in front for each in following(label) if each not in seen))
        seen.update(front)
    return frozenset(seen)
