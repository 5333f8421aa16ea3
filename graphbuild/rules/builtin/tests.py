"""Rules of `tests`: `run` a command, and `check` files, commands and the config of what a test stands on.

What may be checked is what container-structure-test checks (fileExistenceTests, fileContentTests, commandTests, metadataTest).
"""

import re
from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from graphbuild.rules import (
    Action,
    Analysis,
    CommandTest,
    ConfigNames,
    ConfigPatch,
    ConfigTest,
    Context,
    FileTest,
    Origin,
    Rule,
    TextTest,
    parse_duration,
)
from graphbuild.rules.builtin import image
from graphbuild.rules.builtin import run as step

_MODE = re.compile(r"0?[0-7]{3,4}")
_SHOWN = 80  # characters of what a check is known by

Expressions = str | tuple[str, ...]
Checked = Iterator[tuple[str, Action, Origin]]


class Text(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a stream holds, and what it does not."""

    contains: Annotated[Expressions, Meta(description="Regular expressions, each of which is found in it.")] = ()
    excludes: Annotated[Expressions, Meta(description="Regular expressions, none of which is found in it.")] = ()


class FileCheck(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is at a path. Nothing runs."""

    path: Annotated[str, Meta(description="An absolute path. A symlink is followed, unless `type` or `target` ask for it.")]
    exists: Annotated[bool, Meta(description="false: nothing is there.")] = True
    type: Annotated[Literal["", "file", "directory", "symlink"], Meta(description="What it is.")] = ""
    target: Annotated[str, Meta(description="Where the symlink leads: its text.")] = ""
    mode: Annotated[str, Meta(description='Permission bits, octal, in quotes: "0644".')] = ""
    owner: Annotated[str, Meta(description="user[:group]: ids, or names of the image.")] = ""
    contains: Annotated[Expressions, Meta(description="Regular expressions, each of which is found in the file.")] = ()
    excludes: Annotated[Expressions, Meta(description="Regular expressions, none of which is found in the file.")] = ()


class CommandCheck(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A command, run as a step's is; what it changes is thrown away."""

    run: Annotated[str | tuple[str, ...], Meta(description="Text goes to the shell, a list is executed as it is.")]
    exit: Annotated[int, Meta(ge=0, le=255, description="The exit code.")] = 0
    stdout: Annotated[Expressions | Text, Meta(description="What it writes to stdout; a list is `contains`.")] = ()
    stderr: Annotated[Expressions | Text, Meta(description="What it writes to stderr; a list is `contains`.")] = ()
    env: Annotated[dict[str, str], Meta(description="Variables of this command alone.")] = {}
    timeout: Annotated[str, Meta(description="When to give up, instead of the target's `timeout`.")] = ""


class Names(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the config does not have."""

    env: Annotated[tuple[str, ...], Meta(description="Names of variables.")] = ()
    labels: Annotated[tuple[str, ...], Meta(description="Names of labels.")] = ()
    expose: Annotated[tuple[str | int, ...], Meta(description="Ports.")] = ()
    volumes: Annotated[tuple[str, ...], Meta(description="Folders.")] = ()


class ConfigCheck(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the config says. Of variables, labels, ports and volumes there may be more; what is not mentioned may be anything."""

    user: Annotated[str | None, Meta(description="The user, as it is written.")] = None
    workdir: Annotated[str | None, Meta(description="The folder it starts in.")] = None
    entrypoint: Annotated[str | tuple[str, ...] | None, Meta(description="As in an `image`; [] is none.")] = None
    cmd: Annotated[str | tuple[str, ...] | None, Meta(description="Likewise.")] = None
    env: Annotated[dict[str, str], Meta(description="Variables with their values.")] = {}
    labels: Annotated[dict[str, str], Meta(description="Labels with their values.")] = {}
    expose: Annotated[tuple[str | int, ...], Meta(description="Ports: 8080, 53/udp.")] = ()
    volumes: Annotated[tuple[str, ...], Meta(description="Folders.")] = ()
    stop_signal: Annotated[str | None, Meta(description="The signal that asks it to end.")] = None
    excludes: Annotated[Names, Meta(description="What it does not have.")] = Names()


class Check(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is checked: each by itself, side by side."""

    files: Annotated[tuple[FileCheck, ...], Meta(description="What is at paths.")] = ()
    commands: Annotated[tuple[CommandCheck, ...], Meta(description="What commands do.")] = ()
    config: Annotated[ConfigCheck | None, Meta(description="What the config says that came down, without the test's own attributes.")] = (
        None
    )


def run(context: Context, attributes: step.Run) -> Analysis:
    _needs_from(context)
    return Analysis((("run", CommandTest(step.command(context, attributes))),))


def check(context: Context, attributes: Check) -> Analysis:
    _needs_from(context)
    found = [*_files(context, attributes), *_commands(context, attributes), *_config(context, attributes)]
    if not found:
        raise context.mistake("nothing is checked", "check", hint="say `files`, `commands` or `config`")
    return Analysis(tuple((name, action) for name, action, _ in found), origins=tuple((name, origin) for name, _, origin in found))


def _needs_from(context: Context) -> None:
    if not context.has_from:
        raise context.mistake("a test needs something to test", hint="say what: `from: TARGET`")


def _files(context: Context, attributes: Check) -> Checked:
    for index, wanted in enumerate(attributes.files):
        where = ("check", "files", index)
        if not wanted.path.startswith("/") or "\0" in wanted.path or not wanted.path.strip("/."):
            raise context.mistake(f"{wanted.path!r} is no path below /", *where, "path", hint="for example /etc/passwd")
        if wanted.mode and not _MODE.fullmatch(wanted.mode):
            raise context.mistake(f"{wanted.mode!r} is not an octal mode", *where, "mode", hint='for example "0644"')
        if wanted.target and wanted.type not in ("", "symlink"):
            raise context.mistake(f"a {wanted.type} has no `target`", *where, "target", hint="leave out one of them")
        content = _text(context, Text(wanted.contains, wanted.excludes), *where)
        mode = int(wanted.mode, 8) if wanted.mode else None
        said = (wanted.path, wanted.exists, wanted.type, wanted.target, mode, wanted.owner, content, context.timeout)
        test = FileTest(context.snapshot.layers, *said)
        if not wanted.exists and test != FileTest(test.layers, test.path, exists=False, timeout=test.timeout):
            raise context.mistake("of what is not there nothing else can be checked", *where, hint="leave out `exists: false`, or the rest")
        yield f"files[{index}]", test, context.origin(wanted.path, *where)


def _commands(context: Context, attributes: Check) -> Checked:
    for index, wanted in enumerate(attributes.commands):
        where = ("check", "commands", index)
        command = step.command(context, step.Run(wanted.run, wanted.env), *where)
        try:
            timeout = parse_duration(wanted.timeout) if wanted.timeout else command.timeout
        except ValueError as error:
            raise context.mistake(str(error), *where, "timeout", hint='for example "90s", "5m"') from None
        stdout, stderr = (
            _text(context, _as_text(said), *where, key) for key, said in (("stdout", wanted.stdout), ("stderr", wanted.stderr))
        )
        test = CommandTest(msgspec.structs.replace(command, timeout=timeout), wanted.exit, stdout, stderr)
        words = " ".join((wanted.run if isinstance(wanted.run, str) else " ".join(wanted.run)).split())
        text = words if len(words) <= _SHOWN else words[: _SHOWN - 1] + "…"
        yield f"commands[{index}]", test, context.origin(text, *where)


def _config(context: Context, attributes: Check) -> Checked:
    wanted = attributes.config
    if wanted is None:
        return
    where = ("check", "config")
    has = ConfigPatch(
        env=tuple(wanted.env.items()),
        user=wanted.user,
        workdir=wanted.workdir,
        entrypoint=image.words(wanted.entrypoint),
        cmd=image.words(wanted.cmd),
        expose=image.ports(context, wanted.expose, *where, "expose"),
        volumes=wanted.volumes,
        labels=tuple(wanted.labels.items()),
        stop_signal=wanted.stop_signal,
    )
    absent = wanted.excludes
    lacks = ConfigNames(absent.env, absent.labels, image.ports(context, absent.expose, *where, "excludes", "expose"), absent.volumes)
    if has == ConfigPatch() and lacks == ConfigNames():
        raise context.mistake("nothing of the config is checked", *where, hint='for example `config: {user: "1000"}`')
    yield "config", ConfigTest(context.inherited, has, lacks), context.origin("config", *where)


def _as_text(said: Expressions | Text) -> Text:
    return said if isinstance(said, Text) else Text(said)


def _text(context: Context, said: Text, *where: str | int) -> TextTest:
    found = TextTest(_several(said.contains), _several(said.excludes))
    for key, expressions in (("contains", found.contains), ("excludes", found.excludes)):
        for expression in expressions:
            try:
                re.compile(expression)
            except re.error as error:
                hint = "Python's `re`; \\ takes a character as it is"
                raise context.mistake(
                    f"{expression!r} is no regular expression: {error}", *where, *((key,) if where[1] == "files" else ()), hint=hint
                ) from None
    return found


def _several(said: Expressions) -> tuple[str, ...]:
    return (said,) if isinstance(said, str) else said


RULES = (
    Rule("run", "test", step.Run, run, short="command", doc="A command that passes with exit code 0; what it changes is thrown away."),
    Rule("check", "test", Check, check, doc="What files, commands and the config of what it stands on must be like."),
)
