"""The linter's rules, which of them a file wants, and what they say. Names, messages and pages are BuildKit's.

Knows no instruction: `lint` and `walk` find what is wrong.
"""

import msgspec

from graphbuild.rules import GraphbuildError, Place, Problem
from graphbuild_dockerfile.messages import quoted
from graphbuild_dockerfile.quantities import parse_bool
from graphbuild_dockerfile.text import Directives


class LintWarning(msgspec.Struct, frozen=True):
    """One finding; `line` counts from 1. They have no levels: a file with `error=true` fails at the first one."""

    name: str
    message: str
    line: int
    url: str
    description: str


_PAGES = "https://docs.docker.com/go/dockerfile/rule/"
_EXPERIMENTAL = ("CopyIgnoredFile", "InvalidDefinitionDescription")
_RULES = {  # name: (page, description, message)
    "StageNameCasing": ("stage-name-casing", "Stage names should be lowercase", "Stage name '{}' should be lowercase"),
    "FromAsCasing": (
        "from-as-casing",
        "The 'as' keyword should match the case of the 'from' keyword",
        "'{}' and '{}' keywords' casing do not match",
    ),
    "NoEmptyContinuation": (
        "no-empty-continuation",
        "Empty continuation lines will become errors in a future release",
        "Empty continuation line",
    ),
    "ConsistentInstructionCasing": (
        "consistent-instruction-casing",
        "All commands within the Dockerfile should use the same casing (either upper or lower)",
        "Command '{}' should match the case of the command majority ({})",
    ),
    "DuplicateStageName": (
        "duplicate-stage-name",
        "Stage names should be unique",
        "Duplicate stage name {}, stage names should be unique",
    ),
    "ReservedStageName": (
        "reserved-stage-name",
        "Reserved words should not be used as stage names",
        "Stage name should not use the same name as reserved stage {}",
    ),
    "JSONArgsRecommended": (
        "json-args-recommended",
        "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals",
        "JSON arguments recommended for {} to prevent unintended behavior related to OS signals",
    ),
    "MaintainerDeprecated": (
        "maintainer-deprecated",
        "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
        "Maintainer instruction is deprecated in favor of using label",
    ),
    "UndefinedArgInFrom": ("undefined-arg-in-from", "FROM command must use declared ARGs", "FROM argument '{}' is not declared{}"),
    "WorkdirRelativePath": (
        "workdir-relative-path",
        "Relative workdir without an absolute workdir declared within the build can have unexpected results if the base image changes",
        "Relative workdir {} can have unexpected results if the base image changes",
    ),
    "UndefinedVar": ("undefined-var", "Variables should be defined before their use", "Usage of undefined variable '${}'{}"),
    "MultipleInstructionsDisallowed": (
        "multiple-instructions-disallowed",
        "Multiple instructions of the same type should not be used in the same stage",
        "Multiple {} instructions should not be used in the same stage because only the last one will be used",
    ),
    "LegacyKeyValueFormat": (
        "legacy-key-value-format",
        "Legacy key/value format with whitespace separator should not be used",
        '"{0} key=value" should be used instead of legacy "{0} key value" format',
    ),
    "InvalidBaseImagePlatform": (
        "",
        "Base image platform does not match expected target platform",
        "Base image {} was pulled with platform {}, expected {} for current build",
    ),
    "RedundantTargetPlatform": (
        "redundant-target-platform",
        "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
        "Setting platform to predefined {} in FROM is redundant as this is the default behavior",
    ),
    "SecretsUsedInArgOrEnv": (
        "secrets-used-in-arg-or-env",
        "Sensitive data should not be used in the ARG or ENV commands",
        "Do not use ARG or ENV instructions for sensitive data ({} {})",
    ),
    "InvalidDefaultArgInFrom": (
        "invalid-default-arg-in-from",
        "Default value for global ARG results in an empty or invalid base image name",
        "Default value for ARG {} results in empty or invalid base image name",
    ),
    "FromPlatformFlagConstDisallowed": (
        "from-platform-flag-const-disallowed",
        "FROM --platform flag should not use a constant value",
        "FROM --platform flag should not use constant value {}",
    ),
    "CopyIgnoredFile": (
        "copy-ignored-file",
        "Attempting to Copy file that is excluded by .dockerignore",
        "Attempting to {} file {} that is excluded by .dockerignore",
    ),
    "InvalidDefinitionDescription": (
        "invalid-definition-description",
        (
            "Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this is not "
            "intended to be a description comment, add an empty line or comment between the instruction and the comment."
        ),
        "Comment for {0} should follow the format: `# {1} <description>`",
    ),
    "ExposeProtoCasing": (
        "expose-proto-casing",
        "Protocol in EXPOSE instruction should be lowercase",
        "Defined protocol '{}' in EXPOSE instruction should be lowercase",
    ),
    "ExposeInvalidFormat": (
        "expose-invalid-format",
        "IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a future release",
        "EXPOSE instruction should not define an IP address or host-port mapping, found '{}'",
    ),
}
NAMES = frozenset(_RULES)


class Settings(msgspec.Struct, frozen=True):
    """What a `check` directive wants. `skip` and `experimental` are names of rules, or only "all"."""

    skip: frozenset[str] = frozenset()
    experimental: frozenset[str] = frozenset()
    error: bool = False

    def wants(self, name: str) -> bool:
        if name in _EXPERIMENTAL:
            return not self.experimental.isdisjoint((name, "all"))
        return self.skip.isdisjoint((name, "all"))


def settings(directives: Directives, file: str) -> Settings:
    """Those of the file."""
    return parse_settings(directives.check, Place(file, max(1, directives.check_line)))


def parse_settings(check: str, place: Place | None = None) -> Settings:
    """`skip=A,B;error=true;experimental=all`, of which the last three parts count as one."""
    found: dict[str, frozenset[str]] = {}
    error = False
    for part in check.strip().split(";", 2) if check.strip() else ():
        key, equals, value = part.partition("=")
        key, value = key.strip(), value.strip()
        if not equals or key not in ("skip", "error", "experimental"):
            shown = quoted(key if equals else part)
            raise GraphbuildError(Problem(f"failed to parse check options: invalid check option {shown}", place))
        if key != "error":
            found[key] = frozenset(name.strip() for name in value.split(","))
        elif (truth := parse_bool(value)) is not None:
            error = truth
        else:
            message = f"failed to parse check options: failed to parse check option {quoted(part)}: "
            raise GraphbuildError(Problem(f"{message}strconv.ParseBool: parsing {quoted(value)}: invalid syntax", place))
    return Settings(found.get("skip", frozenset()), found.get("experimental", frozenset()), error)


class Findings:
    """Collects what is found, as far as it is wanted."""

    def __init__(self, wanted: Settings) -> None:
        self.wanted = wanted
        self.warnings: list[LintWarning] = []

    def add(self, name: str, line: int, *details: str) -> None:
        page, description, message = _RULES[name]
        if self.wanted.wants(name):
            url = f"{_PAGES}{page}/" if page else ""
            self.warnings.append(LintWarning(name, message.format(*details), line, url, description))


def violation(warnings: tuple[LintWarning, ...]) -> str:
    """The message of a file that wants no warnings and has some."""
    return f"lint violation found for rules: {', '.join(sorted({each.name for each in warnings}))}"
