"""`graphbuild run` and `plan`: opens everything, builds, says how it went."""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from graphbuild.build.certificate import Unchanged, certificate_of, code_files, refreshed_certificate, remove_certificate, write_certificate
from graphbuild.build.loop import Loop, Result, outputs_of
from graphbuild.build.parts import Part, affected, read_parts, write_parts
from graphbuild.build.world import BuildSettings, World, machine_of
from graphbuild.cli.session import Session, agents, report, secrets, session
from graphbuild.graph.analyze import Graph
from graphbuild.graph.select import select
from graphbuild.rules.actions import Image, is_test, is_volatile
from graphbuild.rules.refs import Ref
from graphbuild.sandbox.job import ClosableSandbox, DeferredSandbox, Limits
from graphbuild.sandbox.namespace import Identity, enter
from graphbuild.spec.model import BUILT, PackageSpec
from graphbuild.start import certificate_path
from graphbuild.ui.log import LogSink
from graphbuild.ui.progress import progress, wants_color
from graphbuild.ui.summary import Results
from graphbuild.ui.terminal import size_of
from graphbuild.ui.together import Together
from graphbuild.values.certificate import Proof
from graphbuild.values.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, GraphbuildError, Problem
from graphbuild.values.events import VERSION, BuildFinished, BuildStarted, Listener, Message
from graphbuild.values.label import Label

LOG_KEPT = 16 << 20  # bytes of a step's log that are kept where the workspace says nothing


class Summary(Listener, Protocol):
    """Hears of a build, and says it in the end: results for stdout, a line of totals, and what an unchanged build is to say of both."""

    finished: BuildFinished | None

    def shown(self) -> str: ...

    def totals(self) -> str: ...

    def unchanged(self) -> tuple[str, str]: ...


def run(
    options: Any,
    spec: PackageSpec | None = None,
    *,
    choose: Callable[[Session, Sequence[Label]], Sequence[Label]] = lambda _opened, labels: labels,
    then: Callable[[Session, Graph, World, Sequence[Label]], int] | None = None,
    results: Summary | None = None,
    begins: Callable[[Graph, Sequence[str]], None] = lambda _graph, _labels: None,
    meet: Callable[[Session], None] = lambda _opened: None,
) -> int:
    """Build what the options name, or say what would be built. Returns the exit code. `spec`: a package that no file declares.

    `choose` says which of the targets it is about; `then` does something with what was built, if all was; `results` hears of all and
    says it in the end; `begins` is told what is built, and the labels of all that was asked for, of which that may be a part. `meet` is
    shown the session before anything is read.
    """
    results = results or Results()
    started = time.monotonic()
    certificate = certificate_path(sys.argv[1:])  # as `start` looks for it: outside of the namespaces, where the user has another id
    identity = enter()  # before any thread: the mounts of this build are its own, and end with it
    with interruptible() as stop, session(options, report, stop.asked, spec) as opened:
        meet(opened)
        part = _part(options, opened) if then is None else None
        labels = part.labels if part else choose(opened, _wanted(options, opened))
        graph = opened.graph(labels, locked=options.locked)
        if graph.warnings:
            _warn(options, graph.warnings)
        given = secrets(options.secret)
        try:
            with new_world(opened, graph, identity, given, options, stop.asked) as world:
                if options.command == "plan" or options.dry_run:
                    from graphbuild.cli.plan import show_plan

                    return show_plan(opened, graph, world, fresh(options, opened, graph))
                stop.gently = True
                if part is None:  # else it is true still, and says so until there is a newer one
                    remove_certificate(certificate)
                begins(graph, part.selected if part else tuple(map(str, labels)))
                with _listener(options, opened, results, given, started) as listener:
                    others = part.actions - len(graph.nodes) if part else 0
                    result = _build(opened, graph, world, labels, listener, options, started, others)
                if then is not None:
                    opened.store.sync()
                    _say(results, options.progress)
                    return then(opened, graph, world, labels) if result.finished.status == "ok" else _exit_code(result)
            with _meanwhile(opened.store.sync):
                with contextlib.suppress(GraphbuildError):  # the sweep below meets it again, when the results are said
                    opened.store.sweep()
                proof = _certificate(certificate, options, opened, graph, result, results, part)
            _say(results, options.progress)
            if proof is not None:
                write_certificate(*proof)
            return _exit_code(result)
        finally:
            opened.store.sweep()  # also when it failed: what fills the disk may be what it threw away


@contextlib.contextmanager
def _meanwhile(work: Callable[[], None]) -> Iterator[None]:
    """Have the disk's work done while the block is; its error is raised at the end of the block."""
    errors: list[Exception] = []

    def perform() -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - raised below
            errors.append(error)

    thread = threading.Thread(target=perform)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    for error in errors:
        raise error


def _build(
    opened: Session,
    graph: Graph,
    world: World,
    labels: Sequence[Label],
    listener: Listener,
    options: Any,
    started: float,
    others: int,
) -> Result:
    workspace, jobs = str(opened.project.root), world.settings.jobs
    listener.handle(BuildStarted(VERSION, workspace, tuple(map(str, labels)), jobs, len(graph.nodes) + others), 0.0)
    again = fresh(options, opened, graph)
    return Loop(
        graph, world, listener, workspace=workspace, keep_going=options.keep_going, fresh=again, started=started, others=others
    ).run()


def fresh(options: Any, opened: Session, graph: Graph) -> Callable[[Ref], bool]:
    """Which actions `--no-cache` is about: all of the build's, or of `test` all that test; or those of the targets it names."""
    named: list[str] | None = options.no_cache
    if not named:
        return lambda _ref: False
    every = "" in named
    if every and options.command != "test":
        return lambda _ref: True
    labels = set(select([name for name in named if name], opened.project.package, opened.project.workspace))
    return lambda ref: ref.label in labels or (every and is_test(graph.nodes[ref].action))


@contextlib.contextmanager
def new_world(
    opened: Session, graph: Graph, identity: Identity, given: dict[str, bytes], options: Any, interrupted: Callable[[], bool]
) -> Iterator[World]:
    """What a build is performed with, for as long as the context lasts."""
    project = opened.project
    limits = project.settings.limits
    settings = BuildSettings(
        epoch=project.settings.source_date_epoch,
        ids=identity.ids,
        compression=project.settings.compression,
        limits=Limits(limits.memory, limits.processes, limits.output or LOG_KEPT),
        jobs=getattr(options, "jobs", None) or project.settings.jobs or os.cpu_count() or 1,
        timeout=limits.timeout,
        offline=bool(getattr(options, "offline", False)),
        output_folder=os.path.abspath(options.output) if getattr(options, "output", None) else "",
        delivers=getattr(options, "delivers", True),
    )
    machine = machine_of(os.environ, agents(getattr(options, "ssh", [])))
    with opened.store.scratch() as folder, contextlib.closing(DeferredSandbox(lambda: _sandbox(identity, folder))) as sandbox:
        world = World(
            opened.store, sandbox, opened.network, project.inputs, settings, given, machine, interrupted, graph.nodes, opened.images
        )
        with contextlib.closing(world.forms):
            yield world


def _sandbox(identity: Identity, folder: Path) -> ClosableSandbox:
    from graphbuild.sandbox.sandbox import LocalSandbox

    return LocalSandbox(identity, folder)


@contextlib.contextmanager
def _listener(options: Any, opened: Session, results: Summary, given: dict[str, bytes], started: float) -> Iterator[Listener]:
    """Everyone who wants to know: files first, so that the display is drawn when they have heard."""
    display = progress(
        options.progress, sys.stderr, color=wants_color(sys.stderr, os.environ), terminal=size_of(sys.stderr), environ=os.environ
    )

    def warn(text: str) -> None:
        display.handle(Message("warning", text), time.monotonic() - started)

    secret_texts = {value.decode("utf-8", "replace") for value in given.values()}
    listeners: list[Listener] = [results, LogSink(opened.store.root / "log" / "graphbuild.log", secrets=secret_texts)]
    record = getattr(options, "record", None)
    if record is not None:
        record.secrets |= secret_texts
        listeners.append(record)
    if options.events:
        from graphbuild.ui.events import open_events

        listeners.append(open_events(options.events, warn))
    if options.profile:
        from graphbuild.ui.profile import open_profile

        listeners.append(open_profile(options.profile, warn))
    everyone = Together(*listeners, display)
    try:
        yield everyone
    finally:
        everyone.close()


def _warn(options: Any, problems: tuple[Problem, ...]) -> None:
    if getattr(options, "record", None) is not None:
        from graphbuild.cli.reports import warn

        warn(options, problems)


def _say(results: Summary, mode: str) -> None:
    """Results to stdout, the totals to stderr."""
    sys.stdout.write(results.shown())
    sys.stdout.flush()
    if results.finished is not None and (mode != "quiet" or results.finished.status != "ok"):
        sys.stderr.write(results.totals())


def _wanted(options: Any, opened: Session) -> Sequence[Label]:
    """The targets that the command line names; with --tags and --affected-since, those of them that have these, and that changed."""
    labels: Sequence[Label] = opened.tests(options.labels) if options.command == "test" else opened.selected(options.labels, BUILT)
    if getattr(options, "tags", None):
        labels = opened.tagged(options.tags, labels)
    if not getattr(options, "affected_since", None):
        return labels
    from graphbuild.cli.affected import only_affected

    return only_affected(options.affected_since, opened, labels)


def _part(options: Any, opened: Session) -> Part | None:
    """The targets that matter, where the certificate of this command line nearly holds; None: all of them."""
    if options.stale is None or not _repeatable(options) or options.command not in ("run", "test") or options.dry_run:
        return None
    path, (_, _, _, token, _), changed = options.stale
    parts = read_parts(path, token)
    part = affected(parts, changed, opened.project.root, opened.project.settings.ignore) if parts else None
    if part is not None:
        opened.project.inputs.known = Unchanged(options.stale)
    return part


def _certificate(
    path: str, options: Any, opened: Session, graph: Graph, result: Result, results: Summary, part: Part | None
) -> Proof | None:
    """What to write so that it answers this command line from now on; None where only a build can. `part`: what alone was looked at again."""
    if result.finished.status != "ok" or not _repeatable(options) or graph.warnings or volatile(graph):
        return None
    project = opened.project
    places = [project.root / path for path in outputs_of(graph)]
    if part is not None:
        return refreshed_certificate(options.stale, project.inputs, places)
    if project.inputs.racy:
        return None
    token = write_parts(path, graph, project.inputs, map(os.fsencode, (*code_files(), str(opened.store.generation))))
    return certificate_of(path, project.inputs, places, opened.store.generation, project.builtins.named, results.unchanged(), token)


def _repeatable(options: Any) -> bool:
    """Whether the same command line, run again, may be answered from nothing but stats."""
    asked = [options.no_cache, options.events, options.profile, options.output, options.directory, options.secret, options.ssh]
    asked.append(getattr(options, "report", None))
    asked.append(getattr(options, "affected_since", None))  # what git says of a revision is in no stat
    asked.append(getattr(options, "junit", None))
    return not any(asked) and getattr(options, "repeatable", True)


def volatile(graph: Graph) -> bool:
    """Whether it asks the network, or an engine, what there is now: then no stat can say that nothing changed."""
    return any(is_volatile(node.action) or (isinstance(node.action, Image) and node.action.engines) for node in graph.nodes.values())


def _exit_code(result: Result) -> int:
    if result.finished.status == "interrupted":
        return EXIT_INTERRUPTED
    if not result.errors:
        return EXIT_OK
    codes = {error.exit_code for error in result.errors}
    return codes.pop() if len(codes) == 1 else EXIT_FAILED


class Stop:
    """Whether somebody asked to stop. `gently`: whoever works looks for it; until then asking raises KeyboardInterrupt."""

    def __init__(self) -> None:
        self.gently = False
        self._asked = threading.Event()

    def asked(self) -> bool:
        return self._asked.is_set()

    def ask(self, _signal: int, _frame: FrameType | None) -> None:
        """A signal's handler. When it comes twice the process ends at once; what it started dies with it."""
        if self.asked():
            os._exit(EXIT_INTERRUPTED)
        self._asked.set()
        if not self.gently:
            raise KeyboardInterrupt


@contextlib.contextmanager
def interruptible() -> Iterator[Stop]:
    """SIGINT, SIGTERM and SIGHUP ask to stop, those that were not ignored (nohup) when we started."""
    stop = Stop()
    signals = [number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, stop.ask) for number in signals}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
