"""Variable expansion and word splitting, as BuildKit's `shell.Lex` does them.

`$name`, `${name}` and the modifiers `:-` `-` `:+` `+` `:?` `?` `#` `##` `%` `%%` `/` `//`; single and double quotes; the
file's escape character. Owns the grammar of a word, and nothing else: which words of which instruction are expanded, and
with which environment, is said by `instructions`. A word without `$`, quotes and escapes expands to itself.

Errors are GraphbuildError without a place, in BuildKit's words; two guards are ours: modifiers nested more than 100 deep,
and a result of more than 4 MiB (a dozen doublings make one) are refused.
"""

from collections.abc import Mapping

import msgspec

from graphbuild_dockerfile.messages import SPACES, quoted, wrong
from graphbuild_dockerfile.patterns import replaced, without_prefix, without_suffix

MAX_SIZE = 4 << 20
_MAX_DEPTH = 100
_SPECIAL = "@*#?-$!0"


class Expansion(msgspec.Struct, frozen=True):
    """A word expanded: as one text and as words. `used` and `unset` are the names looked up, sorted; ${x:-y} looks up x."""

    text: str
    words: tuple[str, ...]
    used: tuple[str, ...]
    unset: tuple[str, ...]


class Mode(msgspec.Struct, frozen=True):
    """What is left as it stands: the quotes, the escapes, quotes as ordinary characters, variables that are not set."""

    raw_quotes: bool = False
    raw_escapes: bool = False
    skip_quotes: bool = False
    skip_unset: bool = False


# The content of a COPY or ADD heredoc is expanded with this and with `\\` as escape, whatever the file's directive says.
HEREDOC = Mode(skip_quotes=True)
_PLAIN = Mode()


def expansion(word: str, env: Mapping[str, str], escape: str = "\\", mode: Mode = _PLAIN) -> Expansion:
    """Everything there is to know of the expansion of a word."""
    if not any(char in word for char in ("$", '"', "'", "<<", escape)):
        word = word.removeprefix("\ufeff")
        return Expansion(word, tuple(_split(word)), (), ())
    lexer = _Lexer(word, env, escape, mode)
    try:
        text, words = lexer.until("", raw_escapes=mode.raw_escapes)
    except _LexError as error:
        raise wrong(f"failed to process {quoted(word)}: {error}") from None
    return Expansion(text, tuple(words), tuple(sorted(lexer.used)), tuple(sorted(lexer.unset)))


def expand(word: str, env: Mapping[str, str], escape: str = "\\") -> str:
    """The word as one text: quotes removed, variables replaced (unset ones by nothing), spaces kept."""
    return expansion(word, env, escape).text


def expand_words(word: str, env: Mapping[str, str], escape: str = "\\") -> list[str]:
    """The word split at spaces, after expansion; what quotes hold stays together. Empty words vanish."""
    return list(expansion(word, env, escape).words)


def _split(text: str) -> list[str]:
    return [word for word in text.translate(_TO_SPACE).split(" ") if word]


_TO_SPACE = str.maketrans(dict.fromkeys(SPACES, " "))


class _LexError(Exception):
    pass


class _Words:
    """Words in the making. Raw text joins the present word, whatever it is."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.word = ""

    def raw(self, text: str) -> None:
        self.word += text

    def split(self, text: str) -> None:
        for char in text:
            if char not in SPACES:
                self.word += char
            elif self.word:
                self.done.append(self.word)
                self.word = ""

    def all(self) -> list[str]:
        return [*self.done, self.word] if self.word else self.done


class _Lexer:
    """One pass over a word. The empty string stands for its end."""

    def __init__(self, word: str, env: Mapping[str, str], escape: str, mode: Mode) -> None:
        self.source = word.removeprefix("\ufeff")
        self.at = 0
        self.env = env
        self.escape = escape
        self.mode = mode
        self.raw_escapes = mode.raw_escapes
        self.depth = 0
        self.used: set[str] = set()
        self.unset: set[str] = set()

    def peek(self) -> str:
        return self.source[self.at : self.at + 1]

    def next(self) -> str:
        char = self.peek()
        self.at += 1
        return char

    def until(self, stop: str, *, raw_escapes: bool) -> tuple[str, list[str]]:
        """Text and words up to `stop`, which is consumed, or up to the end where `stop` is empty."""
        before, self.raw_escapes = self.raw_escapes, raw_escapes
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise _LexError("modifiers are nested too deeply")
        try:
            return self._until(stop)
        finally:
            self.raw_escapes = before
            self.depth -= 1

    def _until(self, stop: str) -> tuple[str, list[str]]:
        text: list[str] = []
        size = 0
        words = _Words()
        while (char := self.peek()) != "":
            if char == stop:
                self.at += 1
                return "".join(text), words.all()
            part = self._part(char, words)
            text.append(part)
            size += len(part)
            if size > MAX_SIZE:
                raise _LexError(f"the result is longer than {MAX_SIZE} characters")
        if stop:
            raise _LexError(f"unexpected end of statement while looking for matching {stop}")
        return "".join(text), words.all()

    def _part(self, char: str, words: _Words) -> str:
        """One variable, quotation, escape or character."""
        if char == "$":
            part = self.dollar()
            words.split(part)
        elif char in "'\"" and not self.mode.skip_quotes:
            part = self.single() if char == "'" else self.double()
            words.raw(part)
        elif self.source.startswith("<<", self.at):  # spaces before the name of a heredoc belong to its word
            part = self.source[self.at : len(self.source) - len(self.source[self.at + 2 :].lstrip(" \t\r"))]
            self.at += len(part)
            words.raw(part)
        elif self.next() != self.escape:
            part = char
            words.split(char)
        else:
            part = (char if self.raw_escapes else "") + self.next()
            words.raw(part)
        return part

    def single(self) -> str:
        start = self.at
        end = self.source.find("'", start + 1)
        if end < 0:
            self.at = len(self.source)
            raise _LexError("unexpected end of statement while looking for matching single-quote")
        self.at = end + 1
        return self.source[start : end + 1] if self.mode.raw_quotes else self.source[start + 1 : end]

    def double(self) -> str:
        quote = self.next() if self.mode.raw_quotes else self.next()[:0]
        text = [quote]
        while (char := self.peek()) != '"':
            if char == "":
                raise _LexError("unexpected end of statement while looking for matching double-quote")
            text.append(self.dollar() if char == "$" else self._quoted())
        self.at += 1
        return "".join([*text, quote])

    def _quoted(self) -> str:
        """One character between double quotes; the escape character escapes only `"`, `$` and itself."""
        char = self.next()
        if char != self.escape:
            return char
        kept = char if self.raw_escapes else ""
        following = self.peek()
        if following == "":
            return kept
        return kept + (self.next() if following in ('"', "$", self.escape) else char)

    def look_up(self, name: str) -> str | None:
        value = self.env.get(name)
        (self.unset if value is None else self.used).add(name)
        return value

    def dollar(self) -> str:
        self.at += 1
        if self.peek() == "{":
            self.at += 1
            return self._braces()
        name = self.name()
        if not name:
            return "$"
        value = self.look_up(name)
        if value is None:
            return f"${name}" if self.mode.skip_unset else ""
        return value

    def name(self) -> str:
        """A name: letters, digits and `_`; or a number; or one special character; or nothing."""
        start = self.at
        first = self.peek()
        if first.isdecimal():
            while self.peek().isdecimal():
                self.at += 1
        elif first and first in _SPECIAL:
            self.at += 1
        else:
            while (char := self.peek()).isalpha() or char.isdecimal() or char == "_":
                self.at += 1
        return self.source[start : self.at]

    def _braces(self) -> str:
        first = self.peek()
        if first == "":
            raise _LexError("syntax error: missing '}'")
        if first in "{}:":
            raise _LexError("syntax error: bad substitution")
        name = self.name()
        operator = self.next()
        if operator == "}":
            value = self.look_up(name)
            return value if value is not None else f"${{{name}}}" if self.mode.skip_unset else ""
        if operator == "/":
            return self._replacement(name)
        if operator == ":":
            operator += self.next()
            if operator in (":#", ":%"):
                raise _LexError(f"unsupported modifier ({operator}) in substitution")
        elif operator == "":
            raise _LexError("syntax error: missing '}'")
        elif operator not in "+-?#%":
            raise _LexError(f"unsupported modifier ({operator}) in substitution")
        return self._modified(name, operator)

    def _operand(self, stop: str, missing: str, *, raw_escapes: bool) -> str:
        try:
            return self.until(stop, raw_escapes=raw_escapes)[0]
        except _LexError:
            if self.peek() == "":
                raise _LexError(f"syntax error: missing {missing}") from None
            raise

    def _modified(self, name: str, operator: str) -> str:
        kind = operator[-1]
        word = self._operand("}", "'}'", raw_escapes=kind in "#%")
        value = self.look_up(name)
        if value is None and self.mode.skip_unset:
            return f"${{{name}{operator}{word}}}"
        absent = not value if operator[0] == ":" else value is None
        match kind:
            case "-":
                return word if absent else value or ""
            case "+":
                return "" if absent else word
            case "?":
                if absent:
                    raise _LexError(f"{name}: {word or 'is not allowed to be ' + ('unset' if value is None else 'empty')}")
                return value or ""
            case "#" | "%":
                trim = without_prefix if kind == "#" else without_suffix
                greedy = word.startswith(kind)
                return _matched(trim(word[greedy:], value or "", greedy=greedy), word[greedy:])
        raise _LexError(f"unsupported modifier ({operator}) in substitution")

    def _replacement(self, name: str) -> str:
        every = self.peek() == "/"
        self.at += every
        pattern = self._operand("/", "'/' in ${}", raw_escapes=True)
        replacement = self._operand("}", "'}'", raw_escapes=True)
        value = self.look_up(name)
        if value is None and self.mode.skip_unset:
            return f"${{{name}/{pattern}/{replacement}}}"
        return _matched(replaced(pattern, value or "", replacement, every=every), pattern)


def _matched(result: str | ValueError, pattern: str) -> str:
    if isinstance(result, ValueError):
        raise _LexError(f"invalid pattern ({pattern}) in substitution: {result}")
    return result
