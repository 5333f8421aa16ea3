"""The linter: what BuildKit warns of, as far as the text, its arguments and what is known of its bases tell.

Pure: whatever it has to know beyond the program comes in as arguments. Here are the checks of the text itself and those of
FROM; what needs a stage's environment is in `walk`.
"""

from collections.abc import Callable, Collection, Mapping

from graphbuild.rules import GraphbuildError
from graphbuild_dockerfile.bases import is_image_name, parse_platform
from graphbuild_dockerfile.checks import Findings, LintWarning, Settings, settings
from graphbuild_dockerfile.instructions import Arg, From, Maintainer
from graphbuild_dockerfile.messages import SPACES, nearest, quoted
from graphbuild_dockerfile.program import Program
from graphbuild_dockerfile.text import Node
from graphbuild_dockerfile.walk import Base, Walk
from graphbuild_dockerfile.words import expand, expansion

_RESERVED = ("context", "scratch")


def lint(
    program: Program,
    *,
    predefined: Mapping[str, str],
    arguments: Mapping[str, str] = {},
    base: Callable[[str, str], Base | None] = lambda _image, _platform: None,
    ignored: Callable[[str], bool] | None = None,
    wanted: Settings | None = None,
    stages: Collection[int] | None = None,
) -> tuple[LintWarning, ...]:
    """All warnings, by line. Where an expansion is an error, what depends on it is left out: building it says what is wrong.

    `predefined` are BUILDPLATFORM, TARGETARCH and their like; `arguments` are build arguments. `base` is asked for an image and
    its platform, both expanded; None for what is not known: then no variable is said to be undefined. `ignored` says whether
    a cleaned path of the context is excluded by an ignore file, which has no `!` (else give None). `wanted`: the file's
    settings if None. `stages`: the indexes of those that are built; all if None.
    """
    findings = Findings(settings(program.directives, program.file) if wanted is None else wanted)
    _check_nodes(program, findings)
    _check_names(program, findings)
    _check_casing(program, findings)
    _check_defaults(program, predefined, findings)
    declared, global_env = _globals(program, predefined, arguments)
    walk = Walk(program, global_env, arguments, base, ignored, findings)
    for stage in program.stages:
        image, platform = _check_from(stage.start, global_env, declared, findings, program.directives.escape)
        walk.stage(stage, image, platform, report=stages is None or stage.index in stages)
    return tuple(sorted(findings.warnings, key=lambda each: each.line))


def _check_nodes(program: Program, findings: Findings) -> None:
    """What single instructions show."""
    every = [*program.arguments, *(each for stage in program.stages for each in (stage.start, *stage.instructions))]
    for instruction in every:
        node = instruction.node
        if node.empty_continuation:
            findings.add("NoEmptyContinuation", node.empty_continuation)
        if isinstance(instruction, Maintainer):
            findings.add("MaintainerDeprecated", node.line)
        elif isinstance(instruction, Arg):
            _check_description("ARG", [argument.name for argument in instruction.arguments], node, findings)
        elif isinstance(instruction, From) and instruction.name:
            _check_as(instruction, findings)
            _check_description("FROM", [instruction.name], node, findings)


def _check_as(start: From, findings: Findings) -> None:
    if start.name_spelling != start.name:
        findings.add("StageNameCasing", start.node.line, start.name_spelling)
    keyword, spelling = start.node.spelling, start.as_spelling
    if keyword in (keyword.lower(), keyword.upper()) and spelling != (spelling.lower() if keyword.islower() else spelling.upper()):
        findings.add("FromAsCasing", start.node.line, spelling, keyword)


def _check_description(keyword: str, names: list[str], node: Node, findings: Findings) -> None:
    """The last comment above should begin with a name that is defined; an empty comment cuts off those above it."""
    last = node.comments[-1][1:].strip(SPACES) if node.comments else ""
    if last and last.split(" ")[0] not in names:
        findings.add("InvalidDefinitionDescription", node.line, keyword, names[0] if len(names) == 1 else "<arg_key>")


def _check_names(program: Program, findings: Findings) -> None:
    seen = set()
    for stage in program.stages:
        if stage.name in _RESERVED:
            findings.add("ReservedStageName", stage.start.node.line, quoted(stage.name))
        if stage.name in seen:
            findings.add("DuplicateStageName", stage.start.node.line, quoted(stage.name))
        seen |= {stage.name} - {""}


def _check_casing(program: Program, findings: Findings) -> None:
    """Global ARGs are neither counted nor checked."""
    nodes = [each.node for stage in program.stages for each in (stage.start, *stage.instructions)]
    lower = sum(node.spelling == node.spelling.lower() for node in nodes)
    upper = sum(node.spelling == node.spelling.upper() for node in nodes)
    case, right = ("lowercase", str.lower) if lower > upper else ("uppercase", str.upper)
    for node in nodes:
        if node.spelling != right(node.spelling):
            findings.add("ConsistentInstructionCasing", node.line, node.spelling, case)


def _globals(program: Program, predefined: Mapping[str, str], arguments: Mapping[str, str]) -> tuple[set[str], dict[str, str]]:
    """The names declared before the first FROM, and what FROM can see."""
    env = {**predefined, **{name: value for name, value in arguments.items() if name in predefined}}
    declared = set()
    for argument in (argument for each in program.arguments for argument in each.arguments):
        declared.add(argument.name)
        value = arguments.get(argument.name)
        if value is None and argument.value is not None:
            value = _expanded(argument.value, env, program.directives.escape)
        if value is not None:
            env[argument.name] = value
    return declared, env


def _expanded(word: str, env: Mapping[str, str], escape: str) -> str | None:
    try:
        return expand(word, env, escape)
    except GraphbuildError:
        return None


def _check_defaults(program: Program, predefined: Mapping[str, str], findings: Findings) -> None:
    """Bases should be images when no build argument is given."""
    _, env = _globals(program, predefined, {})
    for stage in program.stages:
        image = _expanded(stage.start.image, env, program.directives.escape)
        if image is None:
            return
        if not is_image_name(image):
            findings.add("InvalidDefaultArgInFrom", stage.start.node.line, stage.start.image)


def _check_from(start: From, env: Mapping[str, str], declared: Collection[str], findings: Findings, escape: str) -> tuple[str | None, str]:
    """The stage's base and platform, expanded; None for what cannot be."""
    names = {*declared, *env}
    line = start.node.line
    try:
        image = expansion(start.image, env, escape)
        platform = expansion(start.platform, env, escape)
    except GraphbuildError:
        return None, ""
    for name in (*image.unset, *platform.unset):
        if name not in names:
            findings.add("UndefinedArgInFrom", line, name, _suggestion(name, names))
    if platform.used == ("TARGETPLATFORM",) and not platform.unset and platform.text == env["TARGETPLATFORM"]:
        findings.add("RedundantTargetPlatform", line, start.platform)
    parsed = parse_platform(platform.text)
    constant = not platform.used and not platform.unset
    if constant and parsed and not any(part in start.name for part in parsed[:2]):
        findings.add("FromPlatformFlagConstDisallowed", line, quoted(platform.text))
    return image.text, platform.text


def _suggestion(name: str, names: Collection[str]) -> str:
    match = nearest(name, names)
    return f" (did you mean {match}?)" if match else ""
