"""The linter's walk through a stage: its environment, instruction by instruction, and the checks that need it.

A variable is undefined if neither the base nor ENV nor ARG names it. Nothing is run or read; an instruction whose expansion
is an error ends its stage, as it ends the build.
"""

import posixpath
import re
from collections.abc import Callable, Iterable, Mapping

import msgspec

from graphbuild.rules import GraphbuildError, Place
from graphbuild_dockerfile import instructions as i
from graphbuild_dockerfile.bases import parse_platform
from graphbuild_dockerfile.checks import Findings
from graphbuild_dockerfile.messages import nearest, quoted
from graphbuild_dockerfile.mounts import parse_mount
from graphbuild_dockerfile.program import Program, Stage, parse_trigger
from graphbuild_dockerfile.words import HEREDOC, Mode, expand_words, expansion

_SECRET = re.compile(r"(?:_|^)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)", re.IGNORECASE)
_NO_SECRET = re.compile(r"(?:_|^)public(?:_|$)", re.IGNORECASE)
_NOT_ENV = ("BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PLAIN = Mode()


class Base(msgspec.Struct, frozen=True):
    """What an image brings. `has_shell`: its config sets SHELL. `triggers` are its ONBUILDs, `platform` os/arch[/variant]."""

    env: Mapping[str, str] = {}
    has_shell: bool = False
    triggers: tuple[str, ...] = ()
    platform: str = ""


class _State(msgspec.Struct):
    """A stage so far. `known` is false when its image is not: then it may have any variable."""

    env: dict[str, str]
    known: bool = True
    has_shell: bool = False
    declared: set[str] = msgspec.field(default_factory=set)
    has_workdir: bool = False
    triggers: list[str] = msgspec.field(default_factory=list)
    seen: dict[str, int] = msgspec.field(default_factory=dict)  # keywords that count once, with the line of the last


class Walk:
    """Goes through the stages of a program in their order."""

    def __init__(
        self,
        program: Program,
        global_env: Mapping[str, str],
        arguments: Mapping[str, str],
        base: Callable[[str, str], Base | None],
        ignored: Callable[[str], bool] | None,
        findings: Findings,
    ) -> None:
        self.file = program.file
        self.escape = program.directives.escape
        self.global_env = global_env
        self.arguments = arguments
        self.base = base
        self.ignored = ignored
        self.findings = findings
        self.named: dict[str, _State] = {}

    def stage(self, stage: Stage, image: str | None, platform: str, *, report: bool) -> None:
        """Check a stage that stands on `image`; `report` is false for one that is not built, but may be stood on."""
        kept = len(self.findings.warnings)
        place = Place(self.file, stage.start.node.line)
        state = self._start(image, platform, place.line)
        try:
            for trigger in state.triggers:
                self._instruction(parse_trigger(trigger, place), state, place.line)
            state.triggers = []
            for instruction in stage.instructions:
                self._instruction(instruction, state, instruction.node.line)
        except GraphbuildError:
            state.known = False  # the build says what is wrong; what comes after it may stand on anything
        if not report:
            del self.findings.warnings[kept:]
        if stage.name:
            self.named[stage.name] = state

    def _start(self, image: str | None, platform: str, line: int) -> _State:
        if image in self.named:
            base = self.named[image]
            return _State(
                dict(base.env),
                known=base.known,
                has_shell=base.has_shell,
                declared=set(base.declared),
                has_workdir=base.has_workdir,
                triggers=list(base.triggers),
            )
        known = Base() if image == "scratch" else self.base(image, platform) if image else None
        if known is None:
            return _State({"PATH": _PATH}, known=False)
        self._check_platform(image or "", platform, known, line)
        return _State({"PATH": _PATH, **known.env}, has_shell=known.has_shell, triggers=list(known.triggers))

    def _check_platform(self, image: str, platform: str, base: Base, line: int) -> None:
        expected = platform or self.global_env.get("TARGETPLATFORM", "")
        if base.platform and parse_platform(base.platform) != parse_platform(expected):
            self.findings.add("InvalidBaseImagePlatform", line, image, quoted(base.platform), quoted(expected))

    def _instruction(self, instruction: i.Instruction, state: _State, line: int) -> None:
        match instruction:
            case i.Arg():
                self._arg(instruction, state, line)
            case i.Env():
                self._env(instruction, state, line)
            case i.Copy() | i.Add():
                self._put(instruction, state, line)
            case i.Expose():
                self._expose(instruction, state, line)
            case i.Workdir():
                self._workdir(instruction, state, line)
            case i.Cmd() | i.Entrypoint() | i.Healthcheck():
                self._once(instruction, state, line)
            case i.Shell():
                state.has_shell = True
            case i.OnBuild():
                state.triggers.append(instruction.trigger)
            case _:
                self._others(instruction, state, line)

    def _others(self, instruction: i.Instruction, state: _State, line: int) -> None:
        """Those that only have words."""
        match instruction:
            case i.Label():
                self._pairs(instruction, state, line)
            case i.Run():
                for mount in instruction.mounts:
                    parse_mount(mount, lambda word: self._word(word, state, line))
            case i.User():
                self._word(instruction.user, state, line)
            case i.StopSignal():
                self._word(instruction.signal, state, line)
            case i.Volume():
                self._words(instruction.paths, state, line)

    def _workdir(self, instruction: i.Workdir, state: _State, line: int) -> None:
        path = self._word(instruction.path, state, line)
        if not path.startswith("/") and not state.has_workdir:
            self.findings.add("WorkdirRelativePath", line, quoted(path))
        state.has_workdir = True

    def _word(self, word: str, state: _State, line: int, escape: str = "", mode: Mode = _PLAIN) -> str:
        found = expansion(word, state.env, escape or self.escape, mode)
        for name in found.unset:
            if state.known and name not in state.declared and name not in _NOT_ENV:
                match = nearest(name, state.env)
                self.findings.add("UndefinedVar", line, name, f" (did you mean ${match}?)" if match else "")
        return found.text

    def _words(self, words: Iterable[str], state: _State, line: int) -> list[str]:
        return [self._word(word, state, line) for word in words]

    def _pairs(self, instruction: i.Env | i.Label, state: _State, line: int) -> list[tuple[str, str]]:
        """All pairs, expanded by what was set before them all."""
        pairs = []
        for pair in instruction.pairs:
            name, value = self._words((pair.name, pair.value), state, line)
            if pair.legacy:
                self.findings.add("LegacyKeyValueFormat", line, instruction.node.spelling)
            pairs.append((name, value))
        return pairs

    def _env(self, instruction: i.Env, state: _State, line: int) -> None:
        pairs = self._pairs(instruction, state, line)
        for name, _ in pairs:
            self._check_secret("ENV", name, line)
        state.env.update(pairs)

    def _check_secret(self, keyword: str, name: str, line: int) -> None:
        if _SECRET.search(name) and not _NO_SECRET.search(name):
            self.findings.add("SecretsUsedInArgOrEnv", line, keyword, quoted(name))

    def _arg(self, instruction: i.Arg, state: _State, line: int) -> None:
        for argument in instruction.arguments:
            self._check_secret("ARG", argument.name, line)
            value = self.arguments.get(argument.name)
            if value is None and argument.value is not None:
                value = self._word(argument.value, state, line)
            elif value is None:
                value = self.global_env.get(argument.name)
            if value is not None and argument.name not in _NOT_ENV:
                state.env[argument.name] = value
            state.declared.add(argument.name)

    def _put(self, instruction: i.Copy | i.Add, state: _State, line: int) -> None:
        checksum = instruction.checksum if isinstance(instruction, i.Add) else ""
        self._words((instruction.chown, instruction.chmod, checksum), state, line)
        sources = self._words(instruction.sources, state, line)
        self._word(instruction.dest, state, line)
        for document in instruction.documents:
            if document.expand:
                self._word(document.content, state, line, "\\", HEREDOC)
        if self.ignored is None or (isinstance(instruction, i.Copy) and instruction.from_):
            return
        for source in (posixpath.normpath(source) for source in sources if "://" not in source):
            if self.ignored(source):
                self.findings.add("CopyIgnoredFile", line, "Add" if isinstance(instruction, i.Add) else "Copy", quoted(source))

    def _expose(self, instruction: i.Expose, state: _State, line: int) -> None:
        """Variables of EXPOSE are not looked after."""
        for port in (port for word in instruction.ports for port in expand_words(word, state.env, self.escape)):
            host, _, container = port.rpartition(":")
            protocol = container.partition("/")[2]
            if protocol != protocol.lower():
                self.findings.add("ExposeProtoCasing", line, port)
            if host.strip(":"):
                self.findings.add("ExposeInvalidFormat", line, port)

    def _once(self, instruction: i.Cmd | i.Entrypoint | i.Healthcheck, state: _State, line: int) -> None:
        node = instruction.node
        if node.keyword in state.seen:
            self.findings.add("MultipleInstructionsDisallowed", state.seen[node.keyword], node.spelling)
        state.seen[node.keyword] = line
        if not isinstance(instruction, i.Healthcheck) and instruction.command.shell and not state.has_shell:
            self.findings.add("JSONArgsRecommended", line, node.spelling)
