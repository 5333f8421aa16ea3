"""Nodes as instructions, and instructions as a program: global ARGs, then stages.

Checks whatever BuildKit checks before it expands anything: counts of arguments, flags, names. All mistakes are reported
together, each at its line. Knows no image, no context and no value of a variable.
"""

import re
from collections.abc import Callable, Mapping

import msgspec

from graphbuild.rules import GraphbuildError, Place, Problem
from graphbuild_dockerfile import instructions as i
from graphbuild_dockerfile.flags import BOOL, LIST, TEXT, parse_flags
from graphbuild_dockerfile.messages import SPACES, placed, quoted, wrong
from graphbuild_dockerfile.mounts import check_mount
from graphbuild_dockerfile.quantities import parse_duration
from graphbuild_dockerfile.text import Directives, Node, Script, heredoc_of, scan
from graphbuild_dockerfile.words import expand

_STAGE_NAME = re.compile(r"[a-z][a-z0-9-_.]*")
_MILLISECOND = 10**6


class Stage(msgspec.Struct, frozen=True):
    """`name` is lower case, "" for none. `index` counts from 0."""

    index: int
    start: i.From
    instructions: tuple[i.Instruction, ...]

    @property
    def name(self) -> str:
        return self.start.name


class Program(msgspec.Struct, frozen=True):
    """A Dockerfile. There is at least one stage. `arguments` are the ARGs before the first FROM."""

    file: str
    directives: Directives
    arguments: tuple[i.Arg, ...]
    stages: tuple[Stage, ...]


def parse(text: str, file: str) -> Program:
    """The text's program; GraphbuildError with every mistake that was found."""
    script, problems = scan(text, file)
    arguments: list[i.Arg] = []
    stages: list[tuple[i.From, list[i.Instruction]]] = []
    for node in script.nodes:
        try:
            instruction = parse_node(node, file)
        except GraphbuildError as error:
            problems += placed(error, node.place(file))
            if node.keyword == "FROM":  # what follows is in a stage all the same
                stages.append((i.From(node, ""), []))
            continue
        if isinstance(instruction, i.From):
            stages.append((instruction, []))
        elif stages:
            stages[-1][1].append(instruction)
        elif isinstance(instruction, i.Arg):
            arguments.append(instruction)
        else:
            problems.append(Problem("no build stage in current context", node.place(file), "a FROM comes before it"))
    if problems:
        raise GraphbuildError(*sorted(problems, key=lambda problem: problem.place.line if isinstance(problem.place, Place) else 0))
    if not stages:
        raise GraphbuildError(Problem("dockerfile contains no stages to build", Place(file, 1), "a stage begins with FROM"))
    made = tuple(Stage(index, start, tuple(rest)) for index, (start, rest) in enumerate(stages))
    return Program(file, script.directives, tuple(arguments), made)


def parse_trigger(trigger: str, place: Place) -> i.Instruction:
    """The instruction that an ONBUILD left behind; its problems are at `place`, its lines count from 1."""
    try:
        script, problems = scan(trigger, place.file)
        return parse_node(_only(script, problems), place.file)
    except GraphbuildError as error:
        raise GraphbuildError(*(msgspec.structs.replace(each, place=place) for each in error.problems)) from None


def _only(script: Script, problems: list[Problem]) -> Node:
    if problems:
        raise GraphbuildError(*problems)
    if len(script.nodes) != 1:
        raise wrong("onbuild trigger should be a single expression")
    return script.nodes[0]


def parse_node(node: Node, file: str) -> i.Instruction:
    """The instruction that a node is. Problems may have no place: then they are the whole node's."""
    return _PARSERS[node.keyword](node, file)


def _one(node: Node) -> str:
    if len(node.words) != 1:
        raise wrong(f"{node.keyword} requires exactly one argument")
    return node.words[0]


def _some(node: Node) -> tuple[str, ...]:
    if not node.words:
        raise wrong(f"{node.keyword} requires at least one argument")
    return node.words


def _command(node: Node) -> i.Command:
    return i.Command(node.words, shell=not node.is_array)


def _from(node: Node, file: str) -> i.From:
    name = spelling = keyword = ""
    if len(node.words) == 3 and node.words[1].lower() == "as":
        keyword, spelling = node.words[1:]
        name = spelling.lower()
        if not _STAGE_NAME.fullmatch(name):
            message = f"invalid name for build stage: {quoted(spelling)}, name can't start with a number or contain symbols"
            raise GraphbuildError(Problem(message, node.place(file, spelling)))
    elif len(node.words) != 1:
        raise wrong("FROM requires either one or three arguments")
    platform = _text(parse_flags(node, file, {"platform": TEXT}), "platform")
    return i.From(node, node.words[0], name, platform, spelling, keyword)


def _text(flags: Mapping[str, tuple[str, ...]], name: str) -> str:
    return flags.get(name, ("",))[0]


def _arg(node: Node, _: str) -> i.Arg:
    """ARG takes no notice of its flags."""
    arguments = []
    for word in _some(node):
        name, equals, value = word.partition("=")
        if not name:
            raise wrong("ARG names can not be blank")
        arguments.append(i.Argument(name, value if equals else None))
    return i.Arg(node, tuple(arguments))


def _pairs(node: Node, file: str) -> tuple[i.Pair, ...]:
    parse_flags(node, file, {})
    words = _some(node)
    if not all(words[::3]):
        raise wrong(f"{node.keyword} names can not be blank")
    return tuple(i.Pair(name, value, legacy=not equals) for name, value, equals in zip(words[::3], words[1::3], words[2::3], strict=True))


_RUN_FLAGS = {"mount": LIST, "network": TEXT, "security": TEXT, "device": LIST}


def _run(node: Node, file: str) -> i.Run:
    flags = parse_flags(node, file, _RUN_FLAGS)
    network = flags.get("network", ("default",))[0]
    security = flags.get("security", ("sandbox",))[0]
    if network not in ("default", "none", "host"):
        raise GraphbuildError(Problem(f"invalid network mode {quoted(network)}", node.place(file, "--network")))
    if security not in ("insecure", "sandbox"):
        raise GraphbuildError(Problem(f"security {quoted(security)} is not valid", node.place(file, "--security")))
    mounts = flags.get("mount", ())
    for mount in mounts:
        try:
            check_mount(mount)
        except GraphbuildError as error:
            raise GraphbuildError(*placed(error, node.place(file, f"--mount={mount}"))) from None
    return i.Run(node, _command(node), mounts, network, security, flags.get("device", ()))


_PUT_FLAGS = {"exclude": LIST, "chown": TEXT, "chmod": TEXT, "link": BOOL}
_COPY_FLAGS = {**_PUT_FLAGS, "parents": BOOL, "from": TEXT}
_ADD_FLAGS = {**_PUT_FLAGS, "keep-git-dir": BOOL, "checksum": TEXT, "unpack": BOOL}


def _copy(node: Node, file: str) -> i.Copy:
    flags, paths, documents = _put(node, file, _COPY_FLAGS)
    source = _text(flags, "from")
    if source and expand(source, {}) != source:
        message = "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround"
        raise GraphbuildError(Problem(message, node.place(file, f"--from={source}")))
    return i.Copy(
        node,
        paths[:-1],
        documents,
        paths[-1],
        from_=source,
        chown=_text(flags, "chown"),
        chmod=_text(flags, "chmod"),
        link=_text(flags, "link") == "true",
        parents=_text(flags, "parents") == "true",
        exclude=flags.get("exclude", ()),
    )


def _add(node: Node, file: str) -> i.Add:
    flags, paths, documents = _put(node, file, _ADD_FLAGS)
    return i.Add(
        node,
        paths[:-1],
        documents,
        paths[-1],
        chown=_text(flags, "chown"),
        chmod=_text(flags, "chmod"),
        link=_text(flags, "link") == "true",
        exclude=flags.get("exclude", ()),
        keep_git_dir=_text(flags, "keep-git-dir") == "true" if "keep-git-dir" in flags else None,
        checksum=_text(flags, "checksum"),
        unpack=_text(flags, "unpack") == "true" if "unpack" in flags else None,
    )


def _put(node: Node, file: str, known: Mapping[str, str]) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...], tuple[i.Document, ...]]:
    """The flags, the sources and, last, the destination, and the documents of COPY and ADD."""
    if len(node.words) < 2:
        raise wrong(f"{node.keyword} requires at least two arguments, but only one was provided. Destination could not be determined")
    flags = parse_flags(node, file, known)
    if _heredoc_name(node.words[-1]):
        raise wrong(f"{node.keyword} cannot accept a heredoc as a destination")
    contents = {heredoc.name: heredoc for heredoc in node.heredocs}
    paths, documents = [], []
    for word in node.words[:-1]:
        heredoc = contents.get(_heredoc_name(word))
        if heredoc is None:
            paths.append(word)
        else:
            documents.append(i.Document(heredoc.name, heredoc.body, heredoc.expand))
    return flags, (*paths, node.words[-1]), tuple(documents)


def _heredoc_name(word: str) -> str:
    try:
        heredoc = heredoc_of(word)
    except GraphbuildError:
        return ""
    return heredoc.name if heredoc else ""


_HEALTH_FLAGS = ("interval", "timeout", "start-period", "start-interval")


def _healthcheck(node: Node, file: str) -> i.Healthcheck:
    kind, *words = _some(node)
    if kind.upper() == "NONE":  # its flags go unnoticed
        if words:
            raise wrong("HEALTHCHECK NONE takes no arguments")
        return i.Healthcheck(node, ("NONE",))
    flags = parse_flags(node, file, dict.fromkeys((*_HEALTH_FLAGS, "retries"), TEXT))
    if kind.upper() != "CMD":
        raise wrong(f"Unknown type {quoted(kind.upper())} in HEALTHCHECK (try CMD)")
    if not words:
        raise wrong("Missing command after HEALTHCHECK CMD")
    test = ("CMD" if node.is_array else "CMD-SHELL", *words)
    interval, timeout, start_period, start_interval = (_interval(node, file, name, _text(flags, name)) for name in _HEALTH_FLAGS)
    return i.Healthcheck(node, test, interval, timeout, start_period, start_interval, _retries(_text(flags, "retries")))


def _interval(node: Node, file: str, name: str, text: str) -> int:
    try:
        duration = parse_duration(text) if text else 0
    except GraphbuildError as error:
        raise GraphbuildError(*placed(error, node.place(file, f"--{name}"))) from None
    if duration and duration < _MILLISECOND:
        raise GraphbuildError(Problem(f"Interval {quoted(name)} cannot be less than 1ms", node.place(file, f"--{name}")))
    return duration


def _retries(text: str) -> int:
    if text and not re.fullmatch("[+-]?[0-9]+", text):
        raise wrong(f"strconv.ParseInt: parsing {quoted(text)}: invalid syntax")
    if len(text) > 100 or (text and not -(1 << 31) <= int(text) < 1 << 31):
        raise wrong(f"strconv.ParseInt: parsing {quoted(text)}: value out of range")
    if text and int(text) < 0:
        raise wrong(f"--retries cannot be negative ({int(text)})")
    return int(text or "0")


def _onbuild(node: Node, file: str) -> i.OnBuild:
    keyword = _some(node)[0].upper()
    parse_flags(node, file, {})
    if keyword == "ONBUILD":
        raise wrong("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if keyword in ("MAINTAINER", "FROM"):
        raise wrong(f"{keyword} isn't allowed as an ONBUILD trigger")
    trigger = re.sub(r"(?i)^[\t\n\f\r ]*ONBUILD[\t\n\f\r ]*", "", node.code)
    return i.OnBuild(node, trigger + "".join(f"\n{heredoc.content}{heredoc.name}" for heredoc in node.heredocs))


def _volume(node: Node, file: str) -> i.Volume:
    words = _some(node)
    parse_flags(node, file, {})
    paths = tuple(word.strip(SPACES) for word in words)
    if not all(paths):
        raise wrong("VOLUME specified can not be an empty string")
    return i.Volume(node, paths)


def _expose(node: Node, file: str) -> i.Expose:
    ports = _some(node)
    parse_flags(node, file, {})
    return i.Expose(node, tuple(sorted(ports)))


def _shell(node: Node, file: str) -> i.Shell:
    parse_flags(node, file, {})
    words = _some(node)
    if not node.is_array:
        raise wrong("SHELL requires the arguments to be in JSON form")
    return i.Shell(node, words)


def _checked(node: Node, file: str, value: str) -> str:
    parse_flags(node, file, {})
    return value


def _commanding(node: Node, file: str) -> i.Command:
    parse_flags(node, file, {})
    return _command(node)


_PARSERS: Mapping[str, Callable[[Node, str], i.Instruction]] = {
    "ADD": _add,
    "ARG": _arg,
    "CMD": lambda node, file: i.Cmd(node, _commanding(node, file)),
    "COPY": _copy,
    "ENTRYPOINT": lambda node, file: i.Entrypoint(node, _commanding(node, file)),
    "ENV": lambda node, file: i.Env(node, _pairs(node, file)),
    "EXPOSE": _expose,
    "FROM": _from,
    "HEALTHCHECK": _healthcheck,
    "LABEL": lambda node, file: i.Label(node, _pairs(node, file)),
    "MAINTAINER": lambda node, file: i.Maintainer(node, _checked(node, file, _one(node))),
    "ONBUILD": _onbuild,
    "RUN": _run,
    "SHELL": _shell,
    "STOPSIGNAL": lambda node, _: i.StopSignal(node, _one(node)),  # its flags go unnoticed
    "USER": lambda node, file: i.User(node, _checked(node, file, _one(node))),
    "VOLUME": _volume,
    "WORKDIR": lambda node, file: i.Workdir(node, _checked(node, file, _one(node))),
}
