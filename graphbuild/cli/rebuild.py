"""One build of `graphbuild watch`, in a process of its own: what `graphbuild run` would do, without starting an interpreter.

A build enters its namespaces once a process, may load plugins that are edited meanwhile, and must never see what an earlier build
left in memory. So each is a fork of a process that has imported everything and read nothing; it answers through a pipe, and ends.
"""

import contextlib
import importlib
import marshal
import os
import signal
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import msgspec

from graphbuild.build.certificate import unpacked
from graphbuild.build.inputs import Inputs, Watched
from graphbuild.cli import build
from graphbuild.cli.main import ending, perform
from graphbuild.cli.session import Session
from graphbuild.sandbox import kernel
from graphbuild.start import certificate_path, changed_paths, read_certificate
from graphbuild.ui.summary import Results
from graphbuild.values.certificate import ABSENT, Certificate, Changed
from graphbuild.values.errors import EXIT_BUG, EXIT_FAILED
from graphbuild.values.events import Exported

_PR_SET_PDEATHSIG = 1


class Answer(msgspec.Struct, frozen=True):
    """How it went. `watched` is what it saw, `everything` that this is all its targets need; `counts` how many actions were built, cached,
    failed and skipped, or () where it did not come to that; `modules` what it imported.
    """

    code: int
    everything: bool = False
    watched: Watched = {}
    outputs: list[bytes] = []
    counts: tuple[int, ...] = ()
    modules: list[str] = []


class Rebuild:
    """A running build. `wait` for it, or `stop` it."""

    def __init__(self, options: Namespace, *, first: bool) -> None:
        self._reader, writer = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self._child = os.fork()
        if not self._child:
            os.close(self._reader)
            _child(options, writer, first=first)
        os.close(writer)

    def wait(self) -> Answer:
        """Its answer; of one that was killed, that it failed."""
        with open(self._reader, "rb", closefd=False) as pipe:
            data = pipe.read()
        _, status = os.waitpid(self._child, 0)
        os.close(self._reader)
        code = os.waitstatus_to_exitcode(status)
        if not data:
            sys.stderr.write(f"the build was killed by signal {-code}\n" if code < 0 else "")
            return Answer(code if code >= 0 else EXIT_FAILED)
        try:
            answer = Answer(*marshal.loads(data))
        except (EOFError, ValueError, TypeError):  # killed while it answered
            return Answer(EXIT_FAILED)
        _import(answer.modules)
        return answer

    def stop(self) -> None:
        """Ask it to stop, once, and wait until it did."""
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(self._child, signal.SIGINT)
            os.waitpid(self._child, 0)


def _child(options: Namespace, writer: int, *, first: bool) -> None:
    """The build. A terminal's Ctrl-C is told to our parent alone, who passes it on: twice would be once too often."""
    code = EXIT_BUG
    try:
        os.setpgid(0, 0)
        seeing = _Seeing(options, first=first)
        code = ending(seeing.build)
        sys.stdout.flush()
        sys.stderr.flush()
        with open(writer, "wb") as pipe:
            pipe.write(marshal.dumps(msgspec.structs.astuple(seeing.answer(code))))
    finally:
        os._exit(code)


class _Quiet(Results):
    """Says nothing in the end: a line of `graphbuild watch` does."""

    def shown(self) -> str:
        return ""

    def totals(self) -> str:
        return ""


class _Seeing:
    """A build that notes what it looks at."""

    def __init__(self, options: Namespace, *, first: bool) -> None:
        self._options = options
        self._first = first
        self._before = set(sys.modules)
        self._root: Path | None = None
        self._inputs: Inputs | None = None
        self._results = Results() if first else _Quiet()
        self._certificate: Certificate | None = None
        self._changed: Changed | None = None

    def build(self) -> int:
        path = certificate_path(sys.argv[1:])
        self._certificate = read_certificate(path)
        self._changed = changed_paths(self._certificate[0]) if self._certificate else None
        if self._certificate and self._changed == []:
            if self._first:
                sys.stdout.write(self._certificate[2][0])
                sys.stderr.write(self._certificate[2][1])
            return 0
        self._options.stale = (path, self._certificate, self._changed) if self._certificate and self._changed else None
        return perform(lambda options: build.run(options, meet=self._meet, results=self._results), self._options)

    def answer(self, code: int) -> Answer:
        modules = [name for name in sorted(set(sys.modules) - self._before) if self._may_share(sys.modules[name])]
        known = unpacked(self._certificate[0]) if self._certificate and self._first else {}
        for path, sign in self._changed or ():
            folder, slash, name = path.rpartition(b"/")
            known.setdefault(folder + slash, {})[name] = None if sign == ABSENT else sign
        if self._inputs is None:
            return Answer(code, watched=known, modules=modules)
        for folder, names in self._inputs.watched.items():
            known[folder] = known.get(folder, {}) | names
        finished = self._results.finished
        outputs = [os.path.join(self._inputs.root, event.path) for event in self._results.events if isinstance(event, Exported)]
        counts = (finished.built, finished.cached, finished.failed, finished.skipped) if finished else ()
        everything = finished is not None and finished.status == "ok" and self._options.stale is None
        return Answer(code, everything, known, list(map(os.fsencode, outputs)), counts, modules)

    def _meet(self, opened: Session) -> None:
        self._root, self._inputs = opened.project.root, opened.project.inputs
        kernel.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # only now: entering a user namespace clears it

    def _may_share(self, module: ModuleType) -> bool:
        """Whether every build may share it: a plugin of the workspace may be edited before the next."""
        file = getattr(module, "__file__", None)
        return not file or self._root is None or not Path(file).is_relative_to(self._root / "plugins")


def _import(names: Sequence[str]) -> None:
    """Have what this build imported there for the next one."""
    for name in names:
        with contextlib.suppress(Exception):
            importlib.import_module(name)
