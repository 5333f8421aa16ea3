"""A Dockerfile's text as nodes, one an instruction: its lines joined, its comments, flags, words and heredocs told apart.

Follows BuildKit's parser line by line, oddities included: comments and blank lines inside a continuation vanish, every
instruction can have flags, only the first lines can be directives. Knows the names of the instructions and how their words
are split, not what any of it means. Nothing is expanded. All mistakes that can be seen at once are reported at once.
"""

import re
from collections.abc import Sequence

import msgspec

from graphbuild.rules import GraphbuildError, Place, Problem
from graphbuild_dockerfile.arguments import KEYWORDS, split_arguments, split_line
from graphbuild_dockerfile.messages import SPACES, nearest, placed, wrong
from graphbuild_dockerfile.words import Mode, expansion

LONGEST_LINE = 65535  # bytes, without the line's end
_DIRECTIVE = re.compile(rf"#[{SPACES}]*([a-zA-Z][a-zA-Z0-9]*)[\t\f\r ]*=[\t\f\r ]*(.+?)[\t\f\r ]*")
_HEREDOC = re.compile(r"([0-9]*)<<(-?)[\t\n\f\r ]*([^<]*)")
_HEREDOC_KEYWORDS = ("ADD", "COPY", "RUN")


class Heredoc(msgspec.Struct, frozen=True):
    """A document inside the file. `content` is as it stands there, with its last newline; see `body`.

    `chomp` is `<<-`; `expand` is false where any part of the name was quoted; `fd` is the number before `<<`.
    """

    name: str
    content: str
    expand: bool = True
    chomp: bool = False
    fd: int = 0

    @property
    def body(self) -> str:
        """What the document says: the content, without leading tabs where it is chomped."""
        return re.sub(r"^\t+", "", self.content, flags=re.MULTILINE) if self.chomp else self.content


class Node(msgspec.Struct, frozen=True):
    """An instruction as written.

    `keyword` is upper case, `spelling` as in the file. `code` is the logical line; `rest` what follows keyword and flags in
    it. `words` are unexpanded, see `arguments.split_arguments`; `is_array` says that they were a JSON array. Lines count from
    1; `source` are the lines `line` to `end_line` as they stand; `comments` the comment lines since the instruction before,
    as they stand, without directives. `empty_continuation` is the last line of the logical line if blank lines stood in it,
    else 0.
    """

    keyword: str
    spelling: str
    flags: tuple[str, ...]
    rest: str
    words: tuple[str, ...]
    is_array: bool
    code: str
    line: int
    end_line: int
    source: tuple[str, ...]
    comments: tuple[str, ...] = ()
    heredocs: tuple[Heredoc, ...] = ()
    empty_continuation: int = 0

    def place(self, file: str, fragment: str = "") -> Place:
        """Where the first occurrence of `fragment` stands in the node's lines; the keyword if it is not found as it is."""
        for number, line in enumerate(self.source):
            column = line.find(fragment or self.spelling)
            if column >= 0:
                return Place(file, self.line + number, column + 1, max(1, len(fragment or self.spelling)))
        return self.place(file) if fragment else Place(file, self.line)


class Directives(msgspec.Struct, frozen=True):
    """The parser directives of the first lines. `syntax` is an image that we do not run; `check` goes to the linter."""

    syntax: str = ""
    escape: str = "\\"
    check: str = ""
    check_line: int = 0


class Script(msgspec.Struct, frozen=True):
    """A whole file. There is at least one node."""

    file: str
    directives: Directives
    nodes: tuple[Node, ...]


def read(text: str, file: str) -> Script:
    """The text's script; GraphbuildError with every mistake that was found."""
    script, problems = scan(text, file)
    if problems:
        raise GraphbuildError(*problems)
    return script


def scan(text: str, file: str) -> tuple[Script, list[Problem]]:
    """What could be read, and what could not."""
    if not text:
        raise GraphbuildError(Problem("the Dockerfile cannot be empty", Place(file, 1)))
    lines = _lines(text.removeprefix("\ufeff"))
    directives, count = _directives(lines, file)
    problems = [
        Problem(f"dockerfile line greater than max allowed size of {LONGEST_LINE}", Place(file, number))
        for number, line in enumerate(lines, 1)
        if len(line) * 4 > LONGEST_LINE and len(line.rstrip("\n").encode(errors="surrogatepass")) > LONGEST_LINE
    ]
    if problems:
        raise GraphbuildError(*problems)
    reader = _Reader(lines, directives.escape, file)
    nodes = reader.nodes(count)
    if not nodes and not reader.problems:
        raise GraphbuildError(Problem("file with no instructions", Place(file, len(lines)), "the first instruction is FROM"))
    return Script(file, directives, tuple(nodes)), reader.problems


def _lines(text: str) -> list[str]:
    """The lines with their ends, which are newlines only: a carriage return before one belongs to the line."""
    return [line for line in re.split(r"(?<=\n)", text) if line]


def _directives(lines: Sequence[str], file: str) -> tuple[Directives, int]:
    """The directives, and how many lines they take.

    Behind a first line `#!…`, `syntax` and `check` still count, but not `escape`; where a space stands before a `#`, `escape`
    counts, but from there on not `syntax` and `check`. Of those two only the first word counts.
    """
    shebang = int(bool(lines) and lines[0].startswith("#!"))
    found: dict[str, str] = {}
    strict, count, check_line = True, shebang, 0
    for line in lines[shebang:]:
        match = _DIRECTIVE.fullmatch(line.rstrip("\r\n").lstrip(SPACES))
        name = match[1].lower() if match else ""
        if match is None or name not in ("syntax", "escape", "check") or (shebang and name in found):
            break
        count += 1
        strict = strict and line.startswith("#")
        if name in found:
            raise GraphbuildError(Problem(f"only one {name} parser directive can be used", Place(file, count)))
        if name == "escape":
            found[name] = "\\" if shebang else _escape(match[2], Place(file, count, line.find(match[2]) + 1, len(match[2])))
        else:
            found[name] = match[2].partition(" ")[0] if strict else ""
            check_line = count if name == "check" else check_line
    return Directives(found.get("syntax", ""), found.get("escape", "\\"), found.get("check", ""), check_line), count


def _escape(value: str, place: Place) -> str:
    if value not in ("\\", "`"):
        raise GraphbuildError(Problem(f"invalid escape token '{value}' does not match ` or \\", place))
    return value


class _Reader:
    """Goes through the lines of a file once. `problems` are those of single instructions, which do not stop it."""

    def __init__(self, lines: Sequence[str], escape: str, file: str) -> None:
        self.lines = lines
        self.escape = escape
        self.file = file
        self.at = 0
        self.problems: list[Problem] = []
        token = re.escape(escape)
        self.continuation = re.compile(rf"(?:(?<!{token})|^){token}[ \t]*\Z")

    def nodes(self, directives: int) -> list[Node]:
        nodes = []
        comments: list[str] = []
        while self.at < len(self.lines):
            start = self.at
            line = self.lines[start].rstrip("\r\n").lstrip(SPACES)
            self.at += 1
            if line.startswith("#"):
                if start >= directives:
                    comments.append(self.lines[start].rstrip("\r\n"))
            elif line:
                node = self._node(start, line, comments)
                comments = []
                if node is not None:
                    nodes.append(node)
        return nodes

    def _node(self, start: int, first: str, comments: Sequence[str]) -> Node | None:
        code, empty = self._joined(first)
        empty_continuation = self.at if empty else 0
        spelling, flags, rest = split_line(code, self.escape)
        place = Place(self.file, start + 1, self.lines[start].find(spelling) + 1, max(1, len(spelling)))
        keyword = spelling.upper()
        try:
            if keyword not in KEYWORDS:
                raise wrong(suggested_instruction(spelling))
            words, is_array = split_arguments(keyword, rest, self.escape)
            heredocs = self._heredocs(code, keyword, words, is_array=is_array)
        except GraphbuildError as error:
            self.problems += placed(error, place)
            return None
        source = tuple(line.rstrip("\r\n") for line in self.lines[start : self.at])
        return Node(
            *(keyword, spelling, flags, rest, words, is_array, code, start + 1, self.at, source),
            tuple(comments),
            heredocs,
            empty_continuation,
        )

    def _joined(self, first: str) -> tuple[str, bool]:
        """The logical line that begins with `first`, and whether blank lines stood inside it."""
        part, ends = self._continued(first)
        parts, empty = [part], False
        while not ends and self.at < len(self.lines):
            line = self.lines[self.at].rstrip("\r\n")
            self.at += 1
            stripped = line.lstrip(SPACES)
            if stripped and not stripped.startswith("#"):
                part, ends = self._continued(line)
                parts.append(part)
            empty = empty or not stripped
        return "".join(parts), empty

    def _continued(self, line: str) -> tuple[str, bool]:
        """The line without its continuation character, and whether it had none. A doubled one is none."""
        found = self.continuation.search(line)
        return (line[: found.start()], False) if found else (line, True)

    def _heredocs(self, code: str, keyword: str, words: Sequence[str], *, is_array: bool) -> tuple[Heredoc, ...]:
        holder = words[0].upper() if keyword == "ONBUILD" and words else keyword
        if holder not in _HEREDOC_KEYWORDS or is_array or "<<" not in code:
            return ()
        return tuple(self._document(each) for each in _announced(code))

    def _document(self, heredoc: Heredoc) -> Heredoc:
        content: list[str] = []
        while self.at < len(self.lines):
            line = self.lines[self.at]
            self.at += 1
            end = line.rstrip("\r\n")
            if (end.lstrip("\t") if heredoc.chomp else end) == heredoc.name:
                return msgspec.structs.replace(heredoc, content="".join(content))
            content.append(line)
        raise wrong("unterminated heredoc", f"a line {heredoc.name!r} ends it")


_RAW = Mode(raw_quotes=True, raw_escapes=True, skip_unset=True)


def _announced(code: str) -> list[Heredoc]:
    """The heredocs of a logical line, without their content. Quoting that is wrong hides them all."""
    try:
        words = expansion(code, {}, "\\", _RAW).words
    except GraphbuildError:
        return []
    return [heredoc for heredoc in map(heredoc_of, words) if heredoc is not None]


def heredoc_of(word: str) -> Heredoc | None:
    """The heredoc that a word such as `<<EOF`, `<<-"EOF"` or `3<<EOF` announces; None for another word."""
    found = _HEREDOC.fullmatch(word)
    if found is None or not found[3]:
        return None
    plain = expansion(found[3], {}, "\\", Mode(skip_unset=True)).words
    if len(plain) != 1:
        return None
    raw = expansion(found[3], {}, "\\", Mode(raw_quotes=True, skip_unset=True)).words
    expand = _quotes("".join(raw)) == _quotes(plain[0])
    return Heredoc(plain[0], "", expand, bool(found[2]), int(found[1] or 0))


def _quotes(word: str) -> int:
    return word.count("'") + word.count('"')


def suggested_instruction(spelling: str) -> str:
    """BuildKit's message for an instruction that does not exist."""
    match = nearest(spelling.lower(), (keyword.lower() for keyword in KEYWORDS))
    if match and spelling == spelling.upper():
        match = match.upper()
    return f"unknown instruction: {spelling}" + (f" (did you mean {match}?)" if match else "")
