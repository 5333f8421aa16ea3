"""The one exception for what is not a bug: a user's mistake, hostile input, a machine that lacks something.

Whoever notices says *what* (message), *where* (place) and *what to do* (hint). Only the CLI catches it and renders it.
"""

import errno

import msgspec

EXIT_OK = 0
EXIT_FAILED = 1  # a step failed
EXIT_USAGE = 2  # bad usage, spec or input
EXIT_TEST = 3
EXIT_INTERRUPTED = 8
EXIT_MACHINE = 36  # the machine lacks something
EXIT_BUG = 37


_SHOWN = 60  # characters of a user's word in a message


class Place(msgspec.Struct, frozen=True):
    """A position in a text file. `line` and `column` count from 1; `length` is how much the caret underlines."""

    file: str
    line: int
    column: int = 1
    length: int = 1


class SpecPath(msgspec.Struct, frozen=True):
    """A position in a YAML file by its path of keys and indexes; lines are looked up only when somebody must see them.

    `key=True` points at the last mapping key itself, not at its value.
    """

    file: str
    path: tuple[str | int, ...] = ()
    key: bool = False


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong. `hint` says what to do about it; `notes` are further lines, verbatim."""

    message: str
    place: Place | SpecPath | None = None
    hint: str = ""
    notes: tuple[str, ...] = ()


class GraphbuildError(Exception):
    """One or several problems, and the exit code they end the process with."""

    def __init__(self, *problems: Problem, exit_code: int = EXIT_USAGE) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems
        self.exit_code = exit_code


def mistake(message: str, place: Place | SpecPath | None = None, hint: str = "") -> GraphbuildError:
    """A mistake in the user's input: exit code 2."""
    return GraphbuildError(Problem(message, place, hint))


def is_full(error: OSError) -> bool:
    """Whether a disk or a quota has no room left: nobody's mistake, and told by whoever knows which disk it was."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def lacking(message: str, fix: str) -> GraphbuildError:
    """Something this machine lacks, with its fix: exit code 36."""
    return GraphbuildError(Problem(message, None, fix), exit_code=EXIT_MACHINE)


def clipped(text: str) -> str:
    """Text of a user in quotes, short enough for a message."""
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")
