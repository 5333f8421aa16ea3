"""Performing what tests: commands in the sandbox, whose layer is thrown away; files and configs without one.

A test's result is empty, and recorded if it passed: a failed one is tried again. Its key has what it looks at and what it expects. All that is
not as expected is said at once, and ends with the exit code of tests.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import msgspec

from graphbuild.build.failure import step_failed
from graphbuild.build.keys import Field
from graphbuild.build.perform.prepared import Prepared, Task
from graphbuild.build.perform.run import command_line, job_of, prepare_run
from graphbuild.build.world import World
from graphbuild.layers.cancel import Cancelled
from graphbuild.layers.stack import Stack
from graphbuild.rules.actions import CommandTest, ConfigNames, ConfigTest, FileTest, Test, TextTest
from graphbuild.sandbox.users import resolve_owner
from graphbuild.store.actions import Outputs
from graphbuild.values.config import Config, ConfigPatch
from graphbuild.values.entry import Entry, Kind
from graphbuild.values.errors import EXIT_TEST, GraphbuildError, Problem, clipped
from graphbuild.values.redact import Redactor

_LARGEST = 64 << 20  # bytes of a file that is searched
_PATIENCE = 60.0  # seconds for the search for an expression, where nothing else is said: one that goes wrong takes for ever
_KINDS = {Kind.FILE: "file", Kind.DIRECTORY: "directory", Kind.SYMLINK: "symlink"}


def prepare_test(action: Test, world: World) -> Prepared:
    match action:
        case CommandTest():
            return _prepare_command(action, world)
        case FileTest():
            return _prepare_file(action, world)
        case ConfigTest():
            return _prepare_config(action, world)


def _prepare_command(action: CommandTest, world: World) -> Prepared:
    fields = (
        Field("action", "command-test"),
        *prepare_run(action.run, world).fields[1:],
        Field("exit", action.exit),
        Field("stdout", _plain(action.stdout)),
        Field("stderr", _plain(action.stderr)),
    )
    return Prepared(fields, lambda task: _run(action, world, task), logs=True)


def _plain(text: TextTest) -> list[list[str]]:
    return [list(text.contains), list(text.excludes)]


class _Stream:
    """What a command writes to one descriptor, without secrets: handed on, and kept where it is `asked` for."""

    def __init__(self, task: Task, secrets: list[str], *, asked: bool) -> None:
        self._task = task
        self._redactor = Redactor(secrets)
        self._asked = asked
        self._kept = bytearray()
        self.size = 0

    def write(self, data: bytes) -> None:
        self.size += len(data)
        self._take(self._redactor.feed(data))

    def close(self) -> str:
        """All of it, after the last piece."""
        self._take(self._redactor.close())
        return self._kept.decode("utf-8", "replace")

    def _take(self, data: bytes) -> None:
        self._task.output(data)
        if self._asked:
            self._kept += data


def _run(action: CommandTest, world: World, task: Task) -> Outputs:
    run = action.run
    config, stack = world.config(run.config), world.stack(run.layers)
    argv = command_line(run, config)
    secrets = [value.decode("utf-8", "surrogateescape") for value in world.secrets.values()]
    apart = any(text != TextTest() for text in (action.stdout, action.stderr))  # else they stay in order
    stdout, stderr = (_Stream(task, secrets, asked=text != TextTest()) for text in (action.stdout, action.stderr))
    with contextlib.ExitStack() as held:
        scratch = held.enter_context(world.store.scratch())
        job = job_of(run, config, argv, stack, scratch, world, held)
        outcome = world.sandbox.run(job, stdout.write, world.cancelled, stderr.write if apart else None)
        said = (("stdout", stdout.close(), action.stdout), ("stderr", stderr.close(), action.stderr))
        if outcome.reason == "cancelled":
            raise Cancelled
        patience = _patience(run.timeout, world)
        wrong = [problem for name, text, wanted in said for problem in _text_problems(name, text, wanted, patience)]
        limit = job.limits.output
        if apart and limit and stdout.size + stderr.size > limit:
            wrong.append(f"it wrote more than the {limit} bytes that are looked at")
        if outcome.reason != "exited" or outcome.exit_code != action.exit or wrong:
            exited = outcome.reason == "exited"
            task.failed_in(outcome.upper, outcome.exit_code if exited else None)
            (ended,) = step_failed(argv, outcome, job.timeout).problems
            why = [] if exited and outcome.exit_code == action.exit else [f"{ended.message}{f', expected {action.exit}' if exited else ''}"]
            raise _failed([*why, *wrong], ended.notes)
    return Outputs(())


def _patience(timeout: float, world: World) -> float:
    return timeout or world.settings.timeout or _PATIENCE


def _text_problems(name: str, text: str, wanted: TextTest, patience: float) -> Iterator[str]:
    """What is wrong with a text. `patience`: seconds for an expression: `re` could be stopped by nothing, not even by Ctrl-C."""
    from regex import MULTILINE, search  # its V0 is the language of `re`

    for expression, unwanted in (*((one, False) for one in wanted.contains), *((one, True) for one in wanted.excludes)):
        try:
            match: Any = search(expression, text, MULTILINE, timeout=patience)
        except TimeoutError:
            yield f"{clipped(expression)} was looked for in {name} longer than {patience:g} s: it goes back and forth without end"
            continue
        if match and unwanted:
            begin = text.rfind("\n", 0, match.start()) + 1
            line = text[begin:].partition("\n")[0]
            yield f"line {text.count(chr(10), 0, begin) + 1} of {name} matches {clipped(expression)}: {clipped(line.strip())}"
        elif not match and not unwanted:
            yield f"nothing in {name} matches {clipped(expression)}: {clipped(text.strip()) if text.strip() else 'it is empty'}"


def _prepare_file(action: FileTest, world: World) -> Prepared:
    stack = world.stack(action.layers)
    follows = action.exists and action.kind != "symlink" and not action.target
    wrong = ""
    real, entry = b"", None
    try:
        real = stack.resolve(os.fsencode(action.path), follow_last=follows)
        entry = stack.lookup(real) if real else Entry(b"", Kind.DIRECTORY, 0o755)
    except GraphbuildError as error:
        wrong = error.problems[0].message
    owner = _owner(action.owner, stack)
    fields = (
        Field("action", "file-test"),
        Field("path", action.path),
        Field("found", wrong if entry is None else [entry.kind.value, entry.mode, entry.uid, entry.gid, entry.target, entry.digest]),
        Field("exists", action.exists),
        Field("kind", action.kind),
        Field("target", action.target),
        Field("mode", action.mode),
        Field("owner", [action.owner, owner if isinstance(owner, str) else list(owner)]),
        Field("content", _plain(action.content)),
    )

    def perform(_task: Task) -> Outputs:
        patience = _patience(action.timeout, world)
        return _checked([wrong] if wrong else list(_file_problems(action, real, entry, owner, stack, patience)))

    return Prepared(fields, perform)


def _owner(owner: str, stack: Stack) -> tuple[int | None, int | None] | str:
    """The ids that an owner means, None for any; or why it means none."""
    if not owner:
        return None, None
    try:
        uid, gid = resolve_owner(owner, stack.read(b"etc/passwd") or b"", stack.read(b"etc/group") or b"")
    except GraphbuildError as error:
        return error.problems[0].message
    return uid, gid if ":" in owner else None


def _file_problems(
    action: FileTest, real: bytes, entry: Entry | None, owner: tuple[int | None, int | None] | str, stack: Stack, patience: float
) -> Iterator[str]:
    path = action.path
    if entry is None:
        if action.exists:
            led = f" (that leads to /{os.fsdecode(real)})" if os.fsencode(path.strip("/")) != real else ""
            yield f"{path} is not there{led}"
        return
    kind = _KINDS.get(entry.kind, "device")
    if not action.exists:
        yield f"{path} is there, a {kind}, expected nothing"
        return
    if action.kind and kind != action.kind:
        yield f"{path} is a {kind}, expected a {action.kind}"
    yield from _attribute_problems(action, entry, owner)
    if action.content != TextTest():
        if entry.kind is not Kind.FILE:
            yield f"{path} is a {kind}, and has no content"
            return
        content = stack.read(real, _LARGEST) or b""
        yield from _text_problems(path, content.decode("utf-8", "replace"), action.content, patience)


def _attribute_problems(action: FileTest, entry: Entry, owner: tuple[int | None, int | None] | str) -> Iterator[str]:
    path = action.path
    if action.target and os.fsdecode(entry.target) != action.target:
        yield f"{path} leads to {clipped(os.fsdecode(entry.target))}, expected {clipped(action.target)}"
    if action.mode is not None and entry.mode != action.mode:
        yield f"the mode of {path} is {entry.mode:04o}, expected {action.mode:04o}"
    if isinstance(owner, str):
        yield owner
    elif owner[0] not in (None, entry.uid) or owner[1] not in (None, entry.gid):
        yield f"the owner of {path} is {entry.uid}:{entry.gid}, expected {action.owner}"


def _prepare_config(action: ConfigTest, world: World) -> Prepared:
    config = world.config(action.config)
    fields = (
        Field("action", "config-test"),
        Field("config", msgspec.json.encode(config).decode()),
        Field("has", msgspec.json.encode(action.has).decode()),
        Field("lacks", msgspec.json.encode(action.lacks).decode()),
    )
    return Prepared(fields, lambda _task: _checked([*_missing(config, action.has), *_unwanted(config, action.lacks)]))


def _missing(config: Config, wanted: ConfigPatch) -> Iterator[str]:
    texts = (("user", config.user, wanted.user), ("workdir", config.workdir or "/", wanted.workdir))
    for name, found, expected in (*texts, ("stop_signal", config.stop_signal, wanted.stop_signal)):
        if expected is not None and found != expected:
            yield f"{name} is {clipped(found)}, expected {clipped(expected)}"
    for name, words, expected_words in (("entrypoint", config.entrypoint, wanted.entrypoint), ("cmd", config.cmd, wanted.cmd)):
        if expected_words is not None and (words or ()) != expected_words:
            yield f"{name} is {list(words or ())}, expected {list(expected_words)}"
    yield from _missing_members(config, wanted)


def _missing_members(config: Config, wanted: ConfigPatch) -> Iterator[str]:
    for name, pairs, expected_pairs in (("variable", config.env, wanted.env), ("label", config.labels, wanted.labels)):
        known = dict(pairs)
        for key, value in expected_pairs:
            if known.get(key) != value:
                yield f"{name} {key} is {clipped(known[key]) if key in known else 'not set'}, expected {clipped(value)}"
    for name, values, expected_values in (("port", config.expose, wanted.expose), ("volume", config.volumes, wanted.volumes)):
        for value in expected_values:
            if value not in values:
                yield f"{name} {value} is missing: there is {', '.join(values) or 'none'}"


def _unwanted(config: Config, names: ConfigNames) -> Iterator[str]:
    for name, found, unwanted in (
        ("variable", [key for key, _ in config.env], names.env),
        ("label", [key for key, _ in config.labels], names.labels),
        ("port", config.expose, names.expose),
        ("volume", config.volumes, names.volumes),
    ):
        yield from (f"{name} {value} is there, expected none" for value in unwanted if value in found)


def _checked(problems: list[str]) -> Outputs:
    if problems:
        raise _failed(problems)
    return Outputs(())


def _failed(problems: list[str], notes: tuple[str, ...] = ()) -> GraphbuildError:
    first, *others = problems
    return GraphbuildError(Problem(first, notes=notes), *map(Problem, others), exit_code=EXIT_TEST)
