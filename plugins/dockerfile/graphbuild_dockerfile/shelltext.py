"""A RUN's command as lines: split where the Dockerfile splits it, if a shell reads the lines as it reads the whole.

A Dockerfile's continuation vanishes before the shell sees it; a shell's own, a backslash at a line's end, does the same, but not inside of
single quotes and comments. Where that makes a difference the command stays one line.
"""

import posixpath
import re
from collections.abc import Sequence

from graphbuild_dockerfile.messages import SPACES
from graphbuild_dockerfile.text import Node

_SHELLS = ("sh", "ash", "bash", "dash", "ksh", "zsh")


def is_shell(argv: Sequence[str] | None) -> bool:
    """Whether a text is handed to a shell that reads as sh does; None is the default, /bin/sh."""
    return argv is None or (bool(argv) and posixpath.basename(argv[0]) in _SHELLS)


def split_command(node: Node, text: str, escape: str) -> str:
    """The command with the line breaks of its source, or as it is."""
    pieces = _pieces(node, text, escape)
    if len(pieces) < 2 or not all(_ends_safely("".join(pieces[:count])) for count in range(1, len(pieces))):
        return text
    return "\\\n".join(pieces) + "\n"


def _pieces(node: Node, text: str, escape: str) -> list[str]:
    """The parts of the text, a line of the source each; [text] where they cannot be told."""
    lines: list[str] = []
    for line in node.source[: node.end_line - node.line + 1]:
        stripped = line.lstrip(SPACES)
        if lines and (not stripped or stripped.startswith("#")):
            continue
        found = re.search(rf"(?:(?<!{re.escape(escape)})|^){re.escape(escape)}[ \t]*\Z", line)
        lines.append(line[: found.start()] if found else line)
        if not found:
            break
    joined = "".join(lines).strip(SPACES)
    if not text or not joined.endswith(text):
        return [text]
    missing = len(joined) - len(text)
    lines[0] = lines[0].lstrip(SPACES)
    pieces = []
    for line in lines:
        pieces.append(line[missing:])
        missing = max(0, missing - len(line))
    while pieces and not pieces[0].strip():
        pieces.pop(0)
    while pieces and not pieces[-1].strip():
        pieces.pop()
    if not pieces:
        return [text]
    pieces[0], pieces[-1] = pieces[0].lstrip(SPACES), pieces[-1].rstrip(SPACES)
    return pieces if "".join(pieces) == text and all(pieces) else [text]


def _ends_safely(text: str) -> bool:
    """Whether a backslash and a newline may follow the text, and vanish."""
    quote, at = "", 0
    while at < len(text):
        char = text[at]
        if quote == "'":
            quote = "" if char == "'" else quote
        elif char == "\\":
            at += 1
            if at == len(text):
                return False
        elif char == '"':
            quote = "" if quote else char
        elif char == "'" and not quote:
            quote = char
        elif char == "#" and not quote and (at == 0 or text[at - 1] in " \t;&|("):
            return False
        at += 1
    return quote != "'" and not (quote and ("$(" in text or "`" in text)) and "<<" not in text


def inner_comments(node: Node) -> list[str]:
    """The comments inside of a continued line, which vanish from the command."""
    if len(node.source) < 2 or node.heredocs:
        return []
    return [line.strip() for line in node.source[1:] if line.lstrip(SPACES).startswith("#")]
