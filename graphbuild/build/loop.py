"""The loop: it asks the schedule what is ready, decides hits itself, gives misses to worker threads, and tells the listener.

One thread owns the schedule, the results and the listener; workers only get an action and send messages back. A worker
thread lives as long as the build: the sandbox dies with the thread that started it.
"""

import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from graphbuild.build.explain import reasons
from graphbuild.build.keys import Fields, decode_fields, encode_fields, key_of
from graphbuild.build.origins import line_of
from graphbuild.build.perform import Prepared, prepare, reads_workspace, warm_up
from graphbuild.build.turns import Turns
from graphbuild.build.world import World
from graphbuild.graph.analyze import Graph, Node
from graphbuild.layers.cancel import Cancelled
from graphbuild.rules.actions import command_of, exported, is_test, is_volatile
from graphbuild.rules.refs import Ref
from graphbuild.schedule import Schedule, longest_chain
from graphbuild.store.actions import LastRun, Outputs, Record
from graphbuild.values.digest import Digest
from graphbuild.values.errors import EXIT_FAILED, GraphbuildError, Problem, is_full, lacking
from graphbuild.values.events import (
    ActionFinished,
    ActionOutput,
    ActionProgress,
    ActionStarted,
    ActionWaiting,
    BuildFinished,
    CriticalAction,
    Event,
    Exported,
    Failure,
    Listener,
    Outcome,
    Status,
)

_TICK = 0.1  # seconds between two ticks of the display
_TAIL = 40  # lines of a failed step's output that its failure holds
_TAIL_BYTES = 16 << 10  # what of its output is kept in memory for that
_SHOWN_BYTES = 2 << 20  # what of a step's output the listener hears of: a display is no place for a flood


class Done(msgspec.Struct, frozen=True):
    """How an action ended."""

    outputs: Outputs | None
    finished: ActionFinished
    last: LastRun | None = None
    error: GraphbuildError | None = None


class Result(msgspec.Struct, frozen=True):
    """How a build ended. `problems` are the failures, in the order in which they happened."""

    finished: BuildFinished
    errors: tuple[GraphbuildError, ...]


class Loop:
    """One build of one graph."""

    def __init__(
        self,
        graph: Graph,
        world: World,
        listener: Listener,
        *,
        workspace: str,
        keep_going: bool,
        fresh: Callable[[Ref], bool],
        started: float,
        others: int = 0,
    ) -> None:
        """`others`: actions beside the graph's that are known to be cached. `fresh(ref)`: build it even if its result is known (`--no-cache`). `started`: time.monotonic() of the build's start."""
        self._nodes: Sequence[Node] = list(graph.nodes.values())
        numbers = {node.ref: number for number, node in enumerate(self._nodes)}
        self._needs = [[numbers[need] for need in node.needs] for node in self._nodes]
        self._schedule = Schedule(self._needs, keep_going=keep_going)
        self._world = world
        self._listener = listener
        self._workspace = workspace
        self._jobs = world.settings.jobs
        self._fresh = fresh
        self._started = started
        self._work: queue.SimpleQueue[tuple[int, Prepared | None] | None] = queue.SimpleQueue()
        self._inbox: queue.SimpleQueue[Event | tuple[int, Done] | Exception] = queue.SimpleQueue()
        self._turns = Turns()
        self._threads: list[threading.Thread] = []
        self._running = 0
        self._counts = {"built": 0, "cached": others, "failed": 0, "skipped": 0}
        self._saved = 0.0
        self._ended: dict[int, ActionFinished] = {}  # what ran, in the order in which it ended
        self._errors: list[GraphbuildError] = []
        self._lasts: list[tuple[str, LastRun]] = []

    def run(self) -> Result:
        """Build. Returns when every action is in a final state, also after a failure or a cancellation."""
        try:
            while not self._schedule.finished:
                self._start_ready()
                if not self._schedule.finished:
                    self._receive()
        finally:
            for _ in self._threads:
                self._work.put(None)
            for thread in self._threads:
                thread.join()
        while not self._inbox.empty():
            self._receive()
        self._world.store.set_lasts(self._workspace, self._lasts)
        status: Outcome = "interrupted" if self._world.cancelled() else "failed" if self._errors else "ok"
        finished = BuildFinished(status, **self._counts, seconds=self._now(), saved=self._saved, critical=self._critical())
        self._tell(finished)
        return Result(finished, tuple(self._errors))

    def _critical(self) -> tuple[CriticalAction, ...]:
        if not self._counts["built"] and not self._counts["failed"]:
            return ()
        chain = longest_chain({number: done.seconds for number, done in self._ended.items()}, self._needs)
        ran = [done for number in chain if (done := self._ended[number]).status in ("built", "failed")]
        return tuple(CriticalAction(done.label, done.action, done.start, done.seconds) for done in ran)

    def _now(self) -> float:
        return time.monotonic() - self._started

    def _tell(self, event: Event) -> None:
        self._listener.handle(event, self._now())

    def _start_ready(self) -> None:
        """Finish what is cached; hand out the rest as long as there are workers for it."""
        while self._running < self._jobs and (number := self._schedule.take()) is not None:
            if self._world.cancelled():
                self._skip([number, *self._schedule.stop()], "interrupted", running=number)
                return
            node = self._nodes[number]
            prepared = None if reads_workspace(node.action) else self._prepared(node)
            if prepared is not None and (done := self._hit(node, prepared)) is not None:
                self._end(number, done)
                continue
            self._running += 1
            if len(self._threads) < self._running:
                self._hire()
            self._work.put((number, prepared))

    def _prepared(self, node: Node) -> Prepared | None:
        """What `prepare` says of an action for which it takes an instant; None where it fails: a worker meets that again and reports it."""
        try:
            return prepare(node.action, self._world)
        except GraphbuildError:
            return None

    def _hit(self, node: Node, prepared: Prepared) -> Done | None:
        """The end of an action whose result is known and needs nothing more; None when a worker must look at it."""
        key = key_of(prepared.fields)
        record = self._record(node, key)
        return self._cached(node, prepared, key, record) if record else None

    def _record(self, node: Node, key: Digest) -> Record | None:
        """What the store knows of an action's result, if it may be used."""
        return None if self._fresh(node.ref) else self._world.store.lookup(key)

    def _cached(self, node: Node, prepared: Prepared, key: Digest, record: Record) -> Done | None:
        if prepared.current is not None and prepared.current(record.outputs):
            return None
        label, action = str(node.ref.label), node.ref.action
        event = ActionFinished(label, action, "cached", str(key), size=record.outputs.size, saved=record.seconds, start=self._now())
        last = LastRun(key, encode_fields(prepared.fields), "cached", ("its key is the same as that of a result in the store",), 0.0)
        return Done(record.outputs, event, last)

    def _hire(self) -> None:
        if not self._threads:
            threading.Thread(target=self._warm_up, daemon=True).start()
        thread = threading.Thread(target=self._serve, args=(len(self._threads) + 1,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _warm_up(self) -> None:
        """While the first steps run there is time; while they start there is none."""
        time.sleep(_TICK)
        warm_up(node.action for node in self._nodes)

    def _serve(self, worker: int) -> None:
        """A worker: performs what it is given until it is given None."""
        while (given := self._work.get()) is not None:
            number, prepared = given
            node = self._nodes[number]
            performance = Performance(node, self, worker, prepared)
            try:
                with self._turns.turn() if command_of(node.action) is None else contextlib.nullcontext():
                    done = performance.done()
                self._inbox.put((number, done))
            except Exception as error:  # noqa: BLE001 - a bug: raised in the loop's thread, which would wait for us for ever
                self._inbox.put(error)

    def _receive(self) -> None:
        """Take one message, or let the display tick."""
        try:
            message = self._inbox.get(timeout=_TICK)
        except queue.Empty:
            self._listener.tick(self._now())
            return
        if isinstance(message, Exception):
            raise message
        if isinstance(message, tuple):
            self._running -= 1
            self._end(*message)
        else:
            self._tell(message)

    def _end(self, number: int, done: Done) -> None:
        """Take over how an action ended."""
        node = self._nodes[number]
        self._counts[done.finished.status] += 1
        self._saved += done.finished.saved
        self._ended[number] = done.finished
        if done.last is not None:
            self._lasts.append((str(node.ref), done.last))
        self._tell(done.finished)
        if done.outputs is not None:
            self._world.results[node.ref] = done.outputs
            self._schedule.succeed(number)
            return
        if done.error is not None:
            self._errors.append(done.error)
        self._skip(self._schedule.fail(number, stops=not is_test(node.action)), f"{node.ref} {done.finished.status}")

    def _skip(self, numbers: Sequence[int], reason: str, running: int | None = None) -> None:
        if running is not None:
            self._schedule.fail(running)
        for number in numbers:
            ref = self._nodes[number].ref
            self._counts["skipped"] += 1
            self._tell(ActionFinished(str(ref.label), ref.action, "skipped", reason=reason))

    # What workers call: nothing here touches what the loop's thread owns.

    def send(self, event: Event) -> None:
        self._inbox.put(event)

    def elapsed(self) -> float:
        return self._now()


class Performance:
    """One action in a worker thread: prepare, wait for others who build the same, look up, perform, record. `prepared`: if it is already."""

    def __init__(self, node: Node, loop: Loop, worker: int, prepared: Prepared | None) -> None:
        self._node = node
        self._prepared = prepared
        self._loop = loop
        self._world = loop._world  # noqa: SLF001 - a worker is the loop's own hand
        self._worker = worker
        self._label = str(node.ref.label)
        self._begun = loop.elapsed()
        self._announced = False
        self._tail = b""
        self._shown = 0
        self._log: BinaryIO | None = None
        self._key: Digest | None = None
        self._reasons: tuple[str, ...] = ()
        self._exit_code: int | None = None

    def done(self) -> Done:
        """Perform it; whatever happens becomes a Done."""
        try:
            return self._performed()
        except Cancelled:
            return Done(None, self._finished("skipped", reason="interrupted"))
        except GraphbuildError as error:
            return self._failed(error)
        except MemoryError:
            return self._failed(GraphbuildError(Problem("graphbuild ran out of memory"), exit_code=EXIT_FAILED))
        except OSError as error:
            said = f"{error.strerror}: {os.fsdecode(error.filename or b'')}".rstrip(": ")
            if is_full(error):
                return self._failed(lacking(said, f"free space for the store {self._world.store.root} and where outputs go"))
            return self._failed(GraphbuildError(Problem(said), exit_code=EXIT_FAILED))

    def output(self, data: bytes) -> None:
        self._tail = (self._tail + data)[-_TAIL_BYTES:]
        if self._log is not None:
            self._log.write(data)
        if self._shown < _SHOWN_BYTES:
            self._loop.send(ActionOutput(self._label, self._node.ref.action, data.decode("utf-8", "replace")))
            self._shown += len(data)
            if self._shown >= _SHOWN_BYTES:
                note = f"\n[more than {_SHOWN_BYTES >> 20} MiB of output: the rest is in the log alone]\n"
                self._loop.send(ActionOutput(self._label, self._node.ref.action, note))

    def progress(self, done: int, total: int, what: str) -> None:
        self._loop.send(ActionProgress(self._label, self._node.ref.action, done, total, what))

    def previous(self) -> Fields:
        last = self._world.store.last(self._loop._workspace, str(self._node.ref))  # noqa: SLF001
        return decode_fields(last.fields) if last else ()

    def failed_in(self, upper: Path, exit_code: int | None) -> None:
        self._exit_code = exit_code
        self._world.store.keep_failed(self._loop._workspace, self._label, upper, self._node.ref.action.encode())  # noqa: SLF001

    def exported(self, path: str, format_: str, size: int, digest: str) -> None:
        self._loop.send(Exported(self._label, path, format_, size, digest))

    def _performed(self) -> Done:
        if is_volatile(self._node.action):
            self._announce()  # preparing it is the work
        prepared = self._prepared or prepare(self._node.action, self._world)
        key = self._key = key_of(prepared.fields)
        store = self._world.store
        with store.lock(key, self._world.cancelled, self._waits):
            record = self._loop._record(self._node, key)  # noqa: SLF001
            if record and (cached := self._loop._cached(self._node, prepared, key, record)):  # noqa: SLF001
                return cached
            self._announce()
            old = store.last(self._loop._workspace, str(self._node.ref))  # noqa: SLF001
            outputs, seconds = (record.outputs, record.seconds) if record else self._build(prepared, key)
            if prepared.deliver is not None:
                self._reasons = (prepared.current(outputs),) if record and prepared.current else ()
                prepared.deliver(outputs, self)
            if not self._reasons:
                self._reasons = ("--no-cache",) if self._fresh() else reasons(old, prepared.fields, store, prepared.entries)
            if record is None:
                store.record(key, Record(outputs, encode_fields(prepared.fields), str(self._node.ref), seconds, prepared.logs))
        last = LastRun(key, encode_fields(prepared.fields), "built", self._reasons, seconds)
        return Done(outputs, self._finished("built", size=outputs.size), last)

    def _build(self, prepared: Prepared, key: Digest) -> tuple[Outputs, float]:
        begun = time.monotonic()
        if not prepared.logs:
            return prepared.perform(self), time.monotonic() - begun
        with self._world.store.log_writer(key) as log:
            self._log = log
            try:
                return prepared.perform(self), time.monotonic() - begun
            finally:
                self._log = None

    def _fresh(self) -> bool:
        return self._loop._fresh(self._node.ref)  # noqa: SLF001

    def _announce(self) -> None:
        if not self._announced:
            self._announced = True
            self._loop.send(ActionStarted(self._label, self._node.ref.action, self._begun, self._worker))

    def _waits(self) -> None:
        self._announce()
        self._loop.send(ActionWaiting(self._label, self._node.ref.action, "another build makes the same"))

    def _finished(self, status: Status, *, size: int = 0, reason: str = "", failure: Failure | None = None) -> ActionFinished:
        return ActionFinished(
            self._label,
            self._node.ref.action,
            status,
            str(self._key or ""),
            self._loop.elapsed() - self._begun,
            reason or "; ".join(self._reasons),
            size,
            self._begun,
            self._worker,
            failure=failure,
        )

    def _failed(self, error: GraphbuildError) -> Done:
        problem = error.problems[0]
        problems = tuple(f"{one.message}{f' ({one.hint})' if one.hint else ''}" for one in error.problems)
        log = self._world.store.log(self._key) if self._key else None
        failure = Failure(
            declared=f"{self._node.file}:{line_of(self._node, self._world.inputs.root)}",
            text=self._node.text if self._node.path is None else "",  # the place says it all
            command=next((note.removeprefix("command: ") for note in problem.notes if note.startswith("command: ")), ""),
            exit_code=self._exit_code,
            output=tuple(line for line in self._tail.decode("utf-8", "replace").split("\n")[-_TAIL:] if line),
            log=str(log) if log and self._tail else "",
            problems=problems,
        )
        self._announce()
        last = LastRun(self._key, b"", "failed", problems, 0.0) if self._key else None
        return Done(None, self._finished("failed", reason="; ".join(problems), failure=failure), last, error)


def outputs_of(graph: Graph) -> dict[str, str]:
    """The paths that a graph's outputs write, from the workspace root, each with the label that writes it."""
    return {path: str(ref.label) for ref, node in graph.nodes.items() for path in exported(node.action)}
