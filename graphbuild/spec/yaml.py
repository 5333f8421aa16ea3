"""YAML as plain data, without its traps: what two readers could read differently is refused, with its place.

Mappings become dicts, sequences lists, scalars strings as they are written; plain `true`/`false` are booleans, plain
`null`, `~` and nothing are None. Numbers stay text: who wants one converts it. Refused: duplicate keys, keys that are
not text, plain scalars that some readers take for something else, tags, merge keys, aliases that blow up, more than one
document. Works on parser events, so that nesting costs no C stack. Knows nothing about what a spec may say.
"""

import re
from typing import Any

import msgspec

from graphbuild.spec.model import MAX_BYTES
from graphbuild.spec.syntax import syntax_problem
from graphbuild.values.errors import GraphbuildError, Place, Problem, SpecPath, clipped, mistake

MAX_DEPTH = 64
MAX_ALIASED = 1_000_000  # nodes and characters that aliases may add
MAX_PROBLEMS = 20

_ROOT = 1  # frames below the document's own node
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}
_UNREADABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]|\r(?!\n)")
_NOT_TEXT = re.compile("[\x00\ud800-\udfff]")
_TRAP = re.compile(
    r"""(?P<truth>(?i:yes|no|on|off|y|n|true|false))
    |(?P<null>(?i:null))
    |(?P<base60>[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?)
    |(?P<date>[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:(?:[Tt]|[ \t]+)[0-9]{1,2}:.*)?)
    |(?P<integer>-?(?:0|[1-9][0-9]*))
    |(?P<number>[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?
        |[-+]?0(?:x[0-9a-fA-F_]+|o[0-7_]+|b[01_]+)|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))
    |(?P<merge><<)
    |(?P<default>=)""",
    re.VERBOSE | re.DOTALL,
)
_TRAP_STARTS = frozenset("0123456789+-.yYnNoOtTfF<=")
_READ_AS = {
    "truth": "a truth value",
    "null": "nothing",
    "base60": "a number in base 60",
    "date": "a date",
    "number": "a number",
    "integer": "a number",
    "default": "a default value",
}


class Document(msgspec.Struct, frozen=True):
    """A file's plain data, and the line of every key of the second level (`lines["steps", "deps"]`)."""

    data: Any
    lines: dict[tuple[str, str], int]


class _Frame(msgspec.Struct):
    """An open collection. `key` is a mapping's key that waits for its value. `before`: weight when it was opened."""

    container: Any
    mapping: bool
    anchor: str | None = None
    before: int = 0
    height: int = 1
    key: str | None = None


class _Builder:
    """Turns parser events into plain data, collecting problems; `places` is filled when somebody wants to locate."""

    def __init__(self, file: str, places: dict[tuple[str | int, ...], tuple[Place | None, Place]] | None = None) -> None:
        self.file = file
        self.places = places
        self.lines: dict[tuple[str, str], int] = {}
        self.problems: list[Problem] = []
        self.stack = [_Frame([], mapping=False)]
        self.anchors: dict[str, tuple[Any, int, int] | None] = {}  # name → value, weight, height; None while it is open
        self.weight = 0
        self.aliased = 0
        self.documents = 0
        self.stopped = False
        self.key_place: Place | None = None

    def problem(self, message: str, event: Any, hint: str) -> None:
        self.problems.append(Problem(message, _place(self.file, event), hint))
        self.stopped = self.stopped or len(self.problems) >= MAX_PROBLEMS

    def attach(self, value: Any) -> None:
        frame = self.stack[-1]
        if not frame.mapping:
            frame.container.append(value)
        elif frame.key is None:
            frame.key = ""  # a key that was refused; its value is read for its own problems only
        else:
            frame.container[frame.key] = value
            frame.key = None

    def mark(self, event: Any, *, block: bool) -> None:
        """Remember where the value that comes next stands."""
        if self.places is None or (self.stack[-1].mapping and self.stack[-1].key is None):
            return
        path = tuple(frame.key or "" if frame.mapping else len(frame.container) for frame in self.stack[_ROOT:])
        key = self.key_place if self.stack[-1].mapping else None
        hidden = block or event.start_mark.index == event.end_mark.index
        self.places[path] = (key, key if key and hidden else _place(self.file, event))

    def node(self, event: Any) -> None:
        """What every node may carry and must not."""
        if event.tag is not None:
            hint = "values are text, lists and maps; quote it if it is text"
            self.problem(f"YAML tags are not supported: {_tag(event.tag)}", event, hint)

    def scalar(self, event: Any) -> None:
        if event.tag is not None:
            self.node(event)
        frame = self.stack[-1]
        self.weight += 1 + len(event.value)
        if frame.mapping and frame.key is None:
            self.key(event, frame)
            return
        self.mark(event, block=False)
        value = self.plain(event, "integer") if event.implicit[0] else self.quoted(event)
        if event.anchor is not None:
            self.anchors[event.anchor] = (value, 1 + len(event.value), 0)
        self.attach(value)

    def plain(self, event: Any, allowed: str) -> Any:
        """A plain scalar's value; `allowed` is the kind of number that stays text ("integer", or "" in a key)."""
        value: str = event.value
        if value in _WORDS:
            return _WORDS[value]
        if value[0] in _TRAP_STARTS and (found := _TRAP.fullmatch(value)) and found.lastgroup != allowed:
            if found.lastgroup == "merge":
                self.problem("merge keys (<<) are not supported", event, "write the keys out")
            else:
                kind = _READ_AS[found.lastgroup or ""]
                hint = f'quote it: "{value}"' + (", or write true or false" if found.lastgroup == "truth" and allowed else "")
                self.problem(f"YAML readers disagree on {clipped(value)}: text or {kind}", event, hint)
        return value

    def quoted(self, event: Any) -> str:
        value: str = event.value
        if event.style == '"' and _NOT_TEXT.search(value):
            self.problem("text with a NUL or half a surrogate pair", event, "leave the escape out")
            return ""
        return value

    def key(self, event: Any, frame: _Frame) -> None:
        value = self.plain(event, "") if event.implicit[0] else self.quoted(event)
        if not isinstance(value, str):
            text = event.value or '""'
            self.problem(f"a key must be text, not {text}", event, f'quote it: "{event.value}"')
            value = event.value
        elif value in frame.container:
            self.problem(f"duplicate key {clipped(value)}", event, "remove or rename one of them")
        if event.anchor is not None:
            self.anchors[event.anchor] = (value, 1 + len(value), 0)
        if self.places is not None:
            self.key_place = _place(self.file, event)
        if len(self.stack) == _ROOT + 2:
            self.lines[self.stack[_ROOT].key or "", value] = event.start_mark.line + 1
        frame.container.setdefault(value, None)
        frame.key = value

    def open(self, event: Any, *, mapping: bool) -> None:
        self.node(event)
        parent = self.stack[-1]
        if parent.mapping and parent.key is None:
            self.problem("a key must be text, not a list or a map", event, "quote it if it is text")
        if len(self.stack) > MAX_DEPTH:
            self.problem(f"nested more than {MAX_DEPTH} levels deep", event, "flatten it")
            self.stopped = True
            return
        self.mark(event, block=not event.flow_style)
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        self.weight += 1
        self.stack.append(_Frame({} if mapping else [], mapping, event.anchor, self.weight))

    def close(self) -> None:
        frame = self.stack.pop()
        parent = self.stack[-1]
        parent.height = max(parent.height, frame.height + 1)
        if frame.anchor is not None:
            self.anchors[frame.anchor] = (frame.container, 1 + self.weight - frame.before, frame.height)
        self.attach(frame.container)

    def alias(self, event: Any) -> None:
        frame = self.stack[-1]
        if frame.mapping and frame.key is None:
            self.problem("a key must be text, not an alias", event, "write the key out")
        self.mark(event, block=False)
        name = event.anchor
        known = self.anchors.get(name)
        if known is None:
            inside = name in self.anchors
            message = f"alias *{name} stands inside of what it names" if inside else f"unknown anchor: *{name}"
            self.problem(message, event, "write it out" if inside else f'define it before with &{name}, or quote it: "*{name}"')
            self.attach(None)
            return
        value, weight, height = known
        self.weight += weight
        self.aliased += weight
        frame.height = max(frame.height, height + 1)
        if self.aliased > MAX_ALIASED or len(self.stack) - 1 + height > MAX_DEPTH:
            self.problem("aliases expand to too much", event, "write out what is meant")
            self.stopped = True
        self.attach(value)

    def document(self, event: Any) -> None:
        self.documents += 1
        if self.documents > 1:
            self.problem("more than one YAML document", event, "keep one document a file; remove the `---`")
            self.stopped = True


def _place(file: str, event: Any) -> Place:
    """Where an event stands; what spans lines is underlined by its first character."""
    start, end = event.start_mark, event.end_mark
    length = end.column - start.column if end.line == start.line else 1
    return Place(file, start.line + 1, start.column + 1, max(length, 1))


def _tag(tag: str) -> str:
    return clipped(tag.replace("tag:yaml.org,2002:", "!!", 1))


def _parser(text: str, *, pure: bool) -> Any:
    """libyaml's event parser, or PyYAML's own where libyaml is missing (or `pure` asks for it)."""
    if not pure:
        try:
            from yaml._yaml import CParser

            return CParser(text)
        except ImportError:
            pass
    from yaml import SafeLoader

    return SafeLoader(text)


def _drive(parser: Any, builder: _Builder) -> None:
    from yaml import events

    scalar, mapping, sequence, ends, alias, document = (
        events.ScalarEvent,
        events.MappingStartEvent,
        events.SequenceStartEvent,
        (events.MappingEndEvent, events.SequenceEndEvent),
        events.AliasEvent,
        events.DocumentStartEvent,
    )
    while not builder.stopped and (event := parser.get_event()) is not None:
        kind = type(event)
        if kind is scalar:
            builder.scalar(event)
        elif kind is mapping or kind is sequence:
            builder.open(event, mapping=kind is mapping)
        elif kind in ends:
            builder.close()
        elif kind is alias:
            builder.alias(event)
        elif kind is document:
            builder.document(event)


def _build(text: str, builder: _Builder, *, pure: bool) -> None:
    from yaml import YAMLError

    try:
        _drive(_parser(text, pure=pure), builder)
    except (YAMLError, ValueError, OverflowError) as error:  # PyYAML's own scanner lets chr() raise
        builder.problems.append(syntax_problem(error, text, builder.file))


def decode(data: bytes, file: str) -> str:
    """The text of a file: UTF-8, a BOM is dropped. Too large, other encodings and control characters are mistakes."""
    if len(data) > MAX_BYTES:
        raise mistake(f"larger than {MAX_BYTES >> 20} MiB", Place(file, 1), "split it into several packages")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        raise mistake("not UTF-8", _at(file, before.removeprefix("\ufeff")), "save the file as UTF-8") from None
    if found := _UNREADABLE.search(text):
        code = ord(found[0])
        hint = f'in double quotes, write "\\u{code:04X}"' if code else "remove it"
        raise mistake(f"control character U+{code:04X}", _at(file, text[: found.start()]), hint)
    return text


def _at(file: str, before: str) -> Place:
    return Place(file, before.count("\n") + 1, len(before) - before.rfind("\n"))


def load(data: bytes, file: str, *, pure: bool = False) -> Document:
    """Parse a file; GraphbuildError holds all problems that were found, in the order of the file."""
    text = decode(data, file)
    builder = _Builder(file)
    _build(text, builder, pure=pure)
    if builder.problems:
        raise GraphbuildError(*builder.problems)
    root = builder.stack[0].container
    return Document(root[0] if root else None, builder.lines)


def locate(text: str, where: SpecPath) -> Place:
    """The place of a path in a file's text: of the last key with `where.key`, else of its value.

    A block map or list, and a value that is not written, stand where their key does. What cannot be found (the file has
    changed, an alias) is answered with the nearest thing around it.
    """
    places: dict[tuple[str | int, ...], tuple[Place | None, Place]] = {}
    _build(text, _Builder(where.file, places), pure=False)
    for length in range(len(where.path), -1, -1):
        if found := places.get(where.path[:length]):
            key, value = found
            return key if key and (where.key or length < len(where.path)) else value
    return Place(where.file, 1)
