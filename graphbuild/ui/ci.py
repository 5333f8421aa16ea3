"""The CI service that reads our log, and what a line of its log may say that is more than text.

GitHub takes a line for a command if it begins with `::` after spaces, or holds `##[` anywhere, on stdout and on stderr
(actions/runner, ActionCommand.cs); `Shield` lets no text be one. Our own commands go past it. GitLab's markers of sections need
a carriage return and an escape sequence, which `text.clean` takes out of everything that comes from outside.
"""

import re
from collections.abc import Mapping
from typing import Any, Literal, TextIO, cast

from graphbuild.values.errors import mistake

Service = Literal["github", "gitlab", "none"]

VARIABLE = "GRAPHBUILD_CI"
# Between the colons: what .NET may take for nothing when it compares text. A space goes before the second colon, or the bracket.
_COMMAND = r"(?:^|(?<=[\r\n]))([^\w:\r\n]*:[^\w:\s]*)(?=:)|(##)(?=\[)"  # compiled when it is needed: start-up
_BEGINNING = 200  # characters of a line; what stands further on does not begin it


def service(environ: Mapping[str, str]) -> Service:
    """Whose log it is: what GRAPHBUILD_CI says, else what the variables of the services do. GraphbuildError for one that is none."""
    match environ.get(VARIABLE, ""):
        case "github" | "gitlab" | "none" as said:
            return said
        case "" | "auto":
            return "github" if environ.get("GITHUB_ACTIONS") == "true" else "gitlab" if environ.get("GITLAB_CI") else "none"
        case other:
            raise mistake(f"{VARIABLE}={other!r} is no CI service", hint="it is auto, github, gitlab or none")


def harmless(text: str) -> str:
    """The text, with a space in whatever GitHub would take for a command."""
    return re.sub(_COMMAND, r"\1\2 ", text)


def escaped(text: str) -> str:
    """Text as the data of a GitHub command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def command(name: str, text: str, **properties: str | int) -> str:
    """A line that is a GitHub command: `::name key=value,…::text`. Properties that are empty or 0 are left out."""
    said = ",".join(f"{key}={escaped(str(value)).replace(':', '%3A').replace(',', '%2C')}" for key, value in properties.items() if value)
    return f"::{name}{' ' if said else ''}{said}::{escaped(text)}\n"


class Shield:
    """A text stream that writes nothing which GitHub would take for a command. `stream` is the one below.

    A command that arrives in pieces is found as well.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self._line = ""  # what was written of it

    def write(self, text: str) -> int:
        whole = harmless(self._line + text)
        self.stream.write(whole[len(self._line) :])
        line = re.split(r"[\r\n]", whole)[-1]
        self._line = line if len(line) <= _BEGINNING else f"x{line[-2:]}"
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def shielded(stream: TextIO) -> TextIO:
    return cast("TextIO", Shield(stream))


def unshielded(stream: TextIO) -> TextIO:
    """Where our own commands go."""
    return stream.stream if isinstance(stream, Shield) else stream
