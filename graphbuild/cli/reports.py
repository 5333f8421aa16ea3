"""`--report KIND=FILE`, and what CI services are told without being asked: annotations and the summary of a job on GitHub."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from graphbuild.layers.cancel import Cancelled
from graphbuild.spec.problem import find_place, reader, suggest
from graphbuild.spec.workspace import find_workspace
from graphbuild.ui.ci import Service, unshielded
from graphbuild.ui.files import replace, writable
from graphbuild.ui.reports.forms import annotations, as_json, code_quality
from graphbuild.ui.reports.markdown import markdown
from graphbuild.ui.reports.record import Finding, Kind, Record
from graphbuild.values.errors import EXIT_FAILED, EXIT_MACHINE, GraphbuildError, Problem, mistake

_FORMS: Mapping[str, Callable[[Record], bytes]] = {
    "markdown": lambda record: markdown(record).encode(),
    "json": as_json,
    "codequality": lambda record: code_quality(record.findings),
    "github": lambda record: annotations(record.findings).encode(),
}

_KINDS: Mapping[int, Kind] = {EXIT_MACHINE: "machine", EXIT_FAILED: "failed"}
_TITLES: Mapping[Kind, str] = {"machine": "the machine lacks something", "failed": "it failed", "spec": "a mistake"}


class Wanted(msgspec.Struct, frozen=True):
    """A report to write: its kind, and a file, or - for stdout."""

    kind: str
    path: str


def wanted_reports(texts: list[str]) -> list[Wanted]:
    """What `--report` asks for. GraphbuildError for what is no KIND=FILE, or a place where no file can be."""
    found = []
    for text in texts:
        kind, equals, path = text.partition("=")
        if kind not in _FORMS:
            raise mistake(f"--report {text}: there is no report {kind!r}", hint=suggest(kind, _FORMS) or f"there are {', '.join(_FORMS)}")
        if not equals or not path:
            raise mistake(f"--report {text} is not KIND=FILE", hint=f"for example --report {kind}=report, or {kind}=- for stdout")
        if path != "-" and not writable(path):
            raise mistake(f"cannot write a report to {path!r}", hint="--report takes a file in an existing, writable folder")
        found.append(Wanted(kind, path if path == "-" else os.path.abspath(path)))
    return found


@contextlib.contextmanager
def reporting(options: Any, service: Service) -> Iterator[None]:
    """Keep a record of what the command does, in `options.record`, and write the reports of it, however it ends."""
    wanted = wanted_reports(getattr(options, "report", None) or [])
    root = find_workspace(Path.cwd())
    record = Record(lambda file: repository_path(root, file))
    options.record = record
    try:
        yield
    except GraphbuildError as error:
        for problem in error.problems:
            record.find(_finding(problem, error.exit_code, root))
        raise
    except BaseException as error:
        record.broken = "interrupted" if isinstance(error, (KeyboardInterrupt, Cancelled)) else "failed"
        raise
    finally:
        for report in wanted:
            _write(report.path, _FORMS[report.kind](record))
        if service == "github":
            _tell_github(record)


def warn(options: Any, problems: tuple[Problem, ...]) -> None:
    """Keep warnings that have a place, where anybody keeps a record."""
    record: Record | None = getattr(options, "record", None)
    if record is not None:
        root = find_workspace(Path.cwd())
        for problem in problems:
            record.find(msgspec.structs.replace(_finding(problem, 0, root), kind="warning"))


def repository_path(root: Path, file: str) -> str:
    """A file of a workspace by its path from the root of the git repository that has it; from the workspace's where none has.

    "" for no file, and for one of another repository.
    """
    place = Path(os.path.normpath(root / file))
    if not place.is_file():
        return ""
    top = next((folder for folder in place.parents if (folder / ".git").exists()), root)
    related = root.is_relative_to(top) or top.is_relative_to(root)
    return str(place.relative_to(top)) if related and place.is_relative_to(top) else ""


def _finding(problem: Problem, exit_code: int, root: Path) -> Finding:
    text = "\n".join(line for line in (problem.message, *problem.notes, f"hint: {problem.hint}" if problem.hint else "") if line)
    kind = _KINDS.get(exit_code, "spec")
    title = _TITLES[kind]
    if problem.place is None or not (path := repository_path(root, problem.place.file)):
        return Finding(kind, title, text)
    place = find_place(problem.place, reader(root)(problem.place.file))
    return Finding(kind, title, text, path, place.line, place.column)


def _write(path: str, data: bytes) -> None:
    """A report that cannot be written is told, and changes nothing else."""
    try:
        if path == "-":
            sys.stdout.flush()
            unshielded(sys.stdout).buffer.write(data)
            sys.stdout.flush()
        else:
            replace(path, data)
    except OSError as error:
        sys.stderr.write(f"no report was written to {path}: {error.strerror}\n")


def _tell_github(record: Record) -> None:
    with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
        sys.stderr.flush()
        stream = unshielded(sys.stderr)
        stream.write(annotations(record.findings))
        stream.flush()
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if not summary or not (record.builds or record.findings):
        return
    try:
        with open(summary, "ab") as file:
            file.write(markdown(record).encode() + b"\n")
    except (OSError, ValueError) as error:
        sys.stderr.write(f"no summary was written to {summary}: {getattr(error, 'strerror', None) or error}\n")
