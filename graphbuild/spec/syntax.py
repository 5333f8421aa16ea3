"""What YAML's parsers say about broken syntax, in words that tell a user what to do. Knows libyaml's and PyYAML's texts."""

from graphbuild.values.errors import Place, Problem

# (part of the parser's message, our message, hint); the first that fits wins.
_TEXTS = (
    ("nesting depth", "nested more than 64 levels deep", "flatten it"),  # libyaml's own limit is higher, but it may read ahead
    ("tab character that violates", "a tab where YAML wants spaces", "indent with spaces"),
    ("alphabetic or numeric character", "`*` and `&` start an alias and an anchor", "quote the text"),
    ("unexpected end of stream", "the quote is never closed", "close it"),
    ("document indicator", "the quote is never closed", "close it"),
    ("document separator", "the quote is never closed", "close it"),
    ("expected ',' or ']'", "expected , or ] in this list", "close the list with ], or quote the text"),
    ("expected ',' or '}'", "expected , or } in this map", "close the map with }, or quote the text"),
    (
        "mapping values are not allowed",
        "a key is not expected here",
        "check the indentation; quote text that holds `: `; write a space after `key:`",
    ),
    ("sequence entries are not allowed", "a list item is not expected here", "start the list on a line of its own"),
    ("expected '-' indicator", "expected a list item (- …)", "check the indentation"),
    ("expected <block end>", "expected a key", "check the indentation and the quotes"),
    ("expected key", "expected a key", "check the indentation and the quotes"),
    ("could not find expected ':'", "expected `:` after the key", "check the indentation and the quotes"),
    ("unknown escape", "unknown escape in double quotes", "double the backslash, or use single quotes"),
    ("escape", "invalid escape in double quotes", "double the backslash, or use single quotes"),
    ("node content", "expected a value", "quote the text"),
    ("comment or line break", "unexpected text after | or >", "start the text on the next line"),
    ("chomping or indentation", "unexpected text after | or >", "start the text on the next line"),
    ("directive", "YAML directives (%) are not supported", "remove it"),
    ("<document start>", "text after the end of the document", "check the indentation and the brackets"),
)
_QUOTE = "quote text that holds any of : # { } [ ] , & * ! | > ' \" % @ `"
_AT_OPENING = ("end of stream", "document indicator", "document separator")


def syntax_problem(error: Exception, text: str, file: str) -> Problem:
    """The problem behind an error of a YAML parser, placed where the mistake is rather than where it was noticed."""
    said = str(getattr(error, "problem", None) or "invalid YAML")
    mark, context = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    lines = text.split("\n")
    at_end = (
        mark is None
        or not lines[mark.line : mark.line + 1]
        or not "".join((lines[mark.line][mark.column :], *lines[mark.line + 1 :])).strip()
    )
    if context is not None and (at_end or any(part in said for part in _AT_OPENING)):
        mark = context
    place = _end(lines, file) if mark is None or mark.line >= len(lines) else Place(file, mark.line + 1, mark.column + 1)
    if "cannot start any token" in said:
        return _bad_start(place, lines)
    message, hint = next(((ours, hint) for part, ours, hint in _TEXTS if part in said), (f"YAML: {said}", _QUOTE))
    return Problem(message, place, hint)


def _end(lines: list[str], file: str) -> Place:
    """The end of the last line that says something."""
    number = next((number for number in range(len(lines), 1, -1) if lines[number - 1].strip()), 1)
    return Place(file, number, max(len(lines[number - 1].rstrip()), 1))


def _bad_start(place: Place, lines: list[str]) -> Problem:
    character = lines[place.line - 1][place.column - 1 : place.column]
    if character == "\t":
        return Problem("a tab where YAML wants spaces", place, "indent with spaces")
    return Problem(f"text cannot start with {character}", place, "quote the text")
