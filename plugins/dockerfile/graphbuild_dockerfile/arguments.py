"""What follows an instruction's keyword: its flags, then its words, taken apart as BuildKit's line parsers do.

Nothing is expanded and no quotes go, but those of flags. Knows how each instruction splits its words, and nothing of what
they mean. Errors have no place.
"""

import json
import math
import re

from graphbuild_dockerfile.messages import SPACES, quoted, wrong

_BLANKS = re.compile(r"[\t\v\f\r ]+")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")

_WORDS = ("EXPOSE", "FROM")
_ONE = ("MAINTAINER", "STOPSIGNAL", "USER", "WORKDIR")
_ARRAY_OR_TEXT = ("CMD", "ENTRYPOINT", "RUN", "SHELL")
KEYWORDS = frozenset({*_WORDS, *_ONE, *_ARRAY_OR_TEXT, "ADD", "ARG", "COPY", "ENV", "HEALTHCHECK", "LABEL", "ONBUILD", "VOLUME"})


def split_line(line: str, escape: str) -> tuple[str, tuple[str, ...], str]:
    """A logical line's keyword as spelled, its flags, and the rest."""
    keyword, *rest = _BLANKS.split(line.strip(SPACES), maxsplit=1)
    if not rest:
        return keyword, (), ""
    flags, arguments = split_flags(rest[0], escape)
    return keyword, flags, arguments.strip(SPACES)


def split_flags(text: str, escape: str) -> tuple[tuple[str, ...], str]:
    """The words that begin with `--`, without their quotes and escapes, and what follows; a word `--` ends them."""
    flags: list[str] = []
    at = 0
    while True:
        while text[at : at + 1] and text[at] in SPACES:
            at += 1
        if not text.startswith("--", at):
            return tuple(flags), text[at:]
        flag, at = _flag(text, at, escape)
        if flag == "--":
            return tuple(flags), text[at:]
        flags.append(flag)


def _flag(text: str, at: int, escape: str) -> tuple[str, int]:
    """The flag that begins at `at`, and where it ends."""
    flag = quote = ""
    while at < len(text):
        char = text[at]
        at += 1
        if char == escape:
            flag += text[at : at + 1]
            at += 1
        elif quote:
            flag += char if char != quote else ""
            quote = quote if char != quote else ""
        elif char in SPACES:
            break
        elif char in "'\"":
            quote = char
        else:
            flag += char
    return flag, min(at, len(text))


def split_arguments(keyword: str, rest: str, escape: str) -> tuple[tuple[str, ...], bool]:
    """The words of an instruction, and whether they came as a JSON array.

    ENV and LABEL give three words a pair: name, value, and "=" or "" (the old form). ONBUILD gives the keyword of its trigger
    as spelled, then the trigger's words. An unknown instruction gives none.
    """
    if keyword in _ARRAY_OR_TEXT:
        return _array_or_text(rest)
    match keyword:
        case "ONBUILD":
            return _trigger(rest, escape)
        case "HEALTHCHECK":
            return _healthcheck(rest)
        case "ADD" | "COPY" | "VOLUME":
            array = json_array(rest)
            return (_split(rest), False) if array is None else (array, True)
    return _plain(keyword, rest, escape), False


def _plain(keyword: str, rest: str, escape: str) -> tuple[str, ...]:
    if keyword in ("ENV", "LABEL"):
        return _pairs(keyword, rest, escape)
    if keyword == "ARG":
        return tuple(split_quoted(rest, escape))
    if keyword in _WORDS:
        return _split(rest)
    return (rest,) if rest and keyword in _ONE else ()


def _trigger(rest: str, escape: str) -> tuple[tuple[str, ...], bool]:
    if not rest:
        return (), False
    keyword, _, arguments = split_line(rest, escape)
    words, is_array = split_arguments(keyword.upper(), arguments, escape)
    return (keyword, *words), is_array


def _healthcheck(rest: str) -> tuple[tuple[str, ...], bool]:
    kind = re.match(f"[^{SPACES}]*", rest)
    assert kind is not None
    if not kind[0]:
        return (), False
    words, is_array = _array_or_text(rest[kind.end() :].lstrip(SPACES))
    return (kind[0], *words), is_array


def _array_or_text(rest: str) -> tuple[tuple[str, ...], bool]:
    array = json_array(rest)
    if array is not None:
        return array, True
    return ((rest,) if rest else ()), False


def _split(rest: str) -> tuple[str, ...]:
    return tuple(_BLANKS.split(rest)) if rest else ()


def json_array(rest: str) -> tuple[str, ...] | None:
    """The strings of a JSON array; None for what is no JSON array, by Go's rules: it is then something for a shell.

    An array that holds anything else than strings is an error, not text.
    """
    rest = rest.lstrip(SPACES)
    if not rest.startswith("["):
        return None
    try:
        found = json.loads(rest, parse_int=_number, parse_float=_number, parse_constant=_number)
    except ValueError:
        return None
    except RecursionError:
        found = [None]
    if not all(isinstance(word, str) for word in found):
        raise wrong("when using JSON array syntax, arrays must be comprised of strings only")
    return tuple(_LONE_SURROGATE.sub("\ufffd", word) for word in found)


def _number(text: str) -> float:
    """A number as Go takes it: no NaN, no infinity, nothing beyond a float."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _pairs(keyword: str, rest: str, escape: str) -> tuple[str, ...]:
    words = split_quoted(rest, escape)
    if not words:
        return ()
    if "=" not in words[0]:
        name, *value = _BLANKS.split(rest, maxsplit=1)
        if not value:
            raise wrong(f"{keyword} must have two arguments")
        return name, value[0], ""
    triples = []
    for word in words:
        name, equals, value_ = word.partition("=")
        if not equals:
            raise wrong(f"Syntax error - can't find = in {quoted(word)}. Must be of the form: name=value")
        triples += [name, value_, "="]
    return tuple(triples)


def split_quoted(rest: str, escape: str) -> list[str]:
    """Words separated by spaces that are neither quoted nor escaped; quotes and escapes stay in them."""
    words: list[str] = []
    word = quote = ""
    at = 0
    while at < len(rest):
        char = rest[at]
        at += 1
        if not quote and char in SPACES:
            if word:
                words.append(word)
            word = ""
            continue
        if char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
        if char == escape and quote != "'":
            char = rest[at - 1 : at + 1]
            at += 1
            if len(char) == 1:  # an escape at the very end vanishes
                break
        word += char
    return [*words, word] if word else words
