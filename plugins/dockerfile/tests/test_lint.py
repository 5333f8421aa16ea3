"""The linter. That Docker 28.5.2 warns of the same in the same words, and of nothing else, is in test_docker_verdicts.py."""

import pytest
from graphbuild_dockerfile.bases import is_image_name, parse_platform
from graphbuild_dockerfile.checks import NAMES, Settings, parse_settings, violation
from graphbuild_dockerfile.lint import lint
from graphbuild_dockerfile.program import parse
from graphbuild_dockerfile.walk import Base
from hypothesis import given
from hypothesis import strategies as st

from graphbuild.rules import GraphbuildError, Place

PREDEFINED = {
    "BUILDPLATFORM": "linux/amd64",
    "TARGETPLATFORM": "linux/amd64",
    "TARGETOS": "linux",
    "TARGETARCH": "amd64",
    "TARGETVARIANT": "",
}


def warnings(text: str, **options) -> list[tuple[str, str, int]]:
    found = lint(parse(text, "Dockerfile"), **{"predefined": PREDEFINED, **options})
    return [(each.name, each.message, each.line) for each in found]


def names(text: str, **options) -> list[tuple[str, int]]:
    return [(name, line) for name, _, line in warnings(text, **options)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM scratch AS Base\n", ("StageNameCasing", "Stage name 'Base' should be lowercase", 1)),
        ("FROM scratch as a\n", ("FromAsCasing", "'as' and 'FROM' keywords' casing do not match", 1)),
        ("FROM scratch\nRUN a \\\n\n b\n", ("NoEmptyContinuation", "Empty continuation line", 4)),
        (
            "FROM scratch\nrun a\n",
            ("ConsistentInstructionCasing", "Command 'run' should match the case of the command majority (uppercase)", 2),
        ),
        (
            "FROM scratch AS a\nFROM scratch AS a\n",
            ("DuplicateStageName", 'Duplicate stage name "a", stage names should be unique', 2),
        ),
        (
            "FROM scratch AS context\n",
            ("ReservedStageName", 'Stage name should not use the same name as reserved stage "context"', 1),
        ),
        (
            "FROM scratch\nCMD a\n",
            ("JSONArgsRecommended", "JSON arguments recommended for CMD to prevent unintended behavior related to OS signals", 2),
        ),
        (
            "FROM scratch\nMAINTAINER a\n",
            ("MaintainerDeprecated", "Maintainer instruction is deprecated in favor of using label", 2),
        ),
        (
            "ARG VERSION=1\nFROM busybox:${VERSON:-2}\n",
            ("UndefinedArgInFrom", "FROM argument 'VERSON' is not declared (did you mean VERSION?)", 2),
        ),
        (
            "FROM scratch\nWORKDIR a\nWORKDIR b\n",
            ("WorkdirRelativePath", 'Relative workdir "a" can have unexpected results if the base image changes', 2),
        ),
        (
            "FROM scratch\nENV foo=1\nENV x=$fo\n",
            ("UndefinedVar", "Usage of undefined variable '$fo' (did you mean $foo?)", 3),
        ),
        (
            'FROM scratch\nCMD ["a"]\nCMD ["b"]\n',
            (
                "MultipleInstructionsDisallowed",
                "Multiple CMD instructions should not be used in the same stage because only the last one will be used",
                2,
            ),
        ),
        (
            "FROM scratch\nENV a b\n",
            ("LegacyKeyValueFormat", '"ENV key=value" should be used instead of legacy "ENV key value" format', 2),
        ),
        (
            "FROM --platform=$TARGETPLATFORM scratch\n",
            (
                "RedundantTargetPlatform",
                "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
                1,
            ),
        ),
        (
            "FROM scratch\nARG API_KEY\n",
            ("SecretsUsedInArgOrEnv", 'Do not use ARG or ENV instructions for sensitive data (ARG "API_KEY")', 2),
        ),
        (
            "ARG V\nFROM busybox:$V\n",
            ("InvalidDefaultArgInFrom", "Default value for ARG busybox:$V results in empty or invalid base image name", 2),
        ),
        (
            "FROM --platform=linux/arm64 scratch\n",
            ("FromPlatformFlagConstDisallowed", 'FROM --platform flag should not use constant value "linux/arm64"', 1),
        ),
        (
            "# check=experimental=all\nFROM scratch\n# what it is\nARG a\n",
            ("InvalidDefinitionDescription", "Comment for ARG should follow the format: `# a <description>`", 4),
        ),
        ("FROM scratch\nEXPOSE 80/TCP\n", ("ExposeProtoCasing", "Defined protocol '80/TCP' in EXPOSE instruction should be lowercase", 2)),
        (
            "FROM scratch\nEXPOSE 80:90\n",
            (
                "ExposeInvalidFormat",
                "EXPOSE instruction should not define an IP address or host-port mapping, found '80:90'",
                2,
            ),
        ),
    ],
)
def test_each_rule_says_what_buildkit_says(text: str, expected: tuple[str, str, int]):
    assert warnings(text) == [expected]


def test_a_clean_file_has_no_warnings():
    text = """\
# syntax=docker/dockerfile:1
ARG VERSION=1
FROM --platform=$BUILDPLATFORM alpine:$VERSION AS build
ARG VERSION TARGETARCH
ENV A=$VERSION B=${TARGETARCH}
WORKDIR /src
WORKDIR sub
COPY --chown=$A . $PATH
RUN --mount=type=cache,target=/c/$B make
FROM build
ARG OTHER
LABEL a=$A b=$VERSION o=$OTHER
EXPOSE 80 443/tcp
CMD ["x"]
"""
    assert warnings(text, base=lambda image, _: Base() if image == "alpine:1" else None) == []


def test_a_copy_of_an_ignored_file_is_noticed_where_somebody_wants_it():
    text = "# check=experimental=CopyIgnoredFile\nFROM scratch AS a\nCOPY y z\nCOPY --from=a y z\nADD http://h/y y ./\n"
    assert warnings(text, ignored=lambda path: path == "y") == [
        ("CopyIgnoredFile", 'Attempting to Copy file "y" that is excluded by .dockerignore', 3),
        ("CopyIgnoredFile", 'Attempting to Add file "y" that is excluded by .dockerignore', 5),
    ]
    assert warnings(text.removeprefix("# check=experimental=CopyIgnoredFile\n"), ignored=lambda _: True) == []


def test_a_base_of_another_platform_is_noticed():
    text = "ARG P=linux/arm/v7\nFROM --platform=$P x\n"
    assert warnings(text, base=lambda image, platform: Base(platform="linux/arm64")) == [
        ("InvalidBaseImagePlatform", 'Base image x was pulled with platform "linux/arm64", expected "linux/arm/v7" for current build', 2)
    ]
    assert warnings(text, base=lambda image, platform: Base(platform=platform)) == []


def test_the_environment_of_the_base_is_known_or_anything():
    text = "FROM x\nLABEL a=$A\n"
    assert warnings(text, base=lambda *_: Base({"A": "1"})) == warnings(text) == []
    assert names(text, base=lambda *_: Base({"B": "1"})) == [("UndefinedVar", 2)]


def test_a_stage_inherits_what_the_stage_it_stands_on_declares():
    text = 'FROM scratch AS a\nARG A\nENV B=1\nWORKDIR x\nSHELL ["s"]\nCMD ["q"]\nFROM a\nLABEL a=$A b=$B\nWORKDIR y\nCMD z\n'
    assert names(text) == [("WorkdirRelativePath", 4)]


def test_triggers_fire_at_the_next_stage_once():
    text = "FROM scratch AS a\nONBUILD ENV A=$Z\nFROM a AS b\nENV C=$A\nFROM b\nENV D=$A\n"
    assert names(text) == [("UndefinedVar", 3)]
    assert names("FROM x\n", base=lambda *_: Base(triggers=("WORKDIR a",))) == [("WorkdirRelativePath", 1)]


def test_build_arguments_count():
    text = "ARG V\nFROM scratch$V AS a\nARG W=$Z\nFROM ${V}\nARG X\nLABEL $X=$Y\n"
    assert ("UndefinedVar", 3) not in names(text, arguments={"V": "", "W": "1"})
    asked = []
    names("ARG A=1\nARG B=$A$C\nFROM x:$B\n", arguments={"A": "2"}, base=lambda image, platform: asked.append((image, platform)))
    assert asked == [("x:2", "")]


def test_only_the_stages_that_are_built_are_reported():
    text = "FROM scratch AS a\nENV x=$y\nFROM a\nENV z=$w\n"
    assert names(text, stages={1}) == [("UndefinedVar", 4)]


def test_a_stage_with_a_mistake_says_no_more_and_others_do():
    assert names("FROM scratch\nENV a=${\nENV x=$y\nFROM scratch\nENV x=$y\n") == [("UndefinedVar", 5)]


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        ("", Settings()),
        ("skip=all", Settings(skip=frozenset({"all"}))),
        ("skip=A, B ;error=true", Settings(frozenset({"A", "B"}), error=True)),
        ("error=0;experimental=X;skip=Y", Settings(frozenset({"Y"}), frozenset({"X"}))),
    ],
)
def test_settings(check: str, expected: Settings):
    assert parse_settings(check) == expected


@pytest.mark.parametrize(
    ("check", "message"),
    [
        ("foo", 'invalid check option "foo"'),
        ("foo=1", 'invalid check option "foo"'),
        ("error=tru", 'failed to parse check option "error=tru": strconv.ParseBool: parsing "tru": invalid syntax'),
        (";", 'invalid check option ""'),
    ],
)
def test_settings_that_are_none_are_a_mistake_at_their_line(check: str, message: str):
    with pytest.raises(GraphbuildError) as caught:
        warnings(f"# syntax=x\n# check={check}\nFROM scratch\n")
    (problem,) = caught.value.problems
    assert (problem.message, problem.place) == (f"failed to parse check options: {message}", Place("Dockerfile", 2))


def test_skipped_rules_are_silent_and_experimental_ones_are_until_asked_for():
    text = "FROM scratch\n# x\nARG key\nCMD a\n"
    assert names(text) == [("SecretsUsedInArgOrEnv", 3), ("JSONArgsRecommended", 4)]
    assert names("# check=skip=SecretsUsedInArgOrEnv\n" + text) == [("JSONArgsRecommended", 5)]
    assert names("# check=skip=all;experimental=all\n" + text) == [("InvalidDefinitionDescription", 4)]
    assert names(text, wanted=Settings(skip=frozenset({"all"}))) == []


def test_a_violation_names_the_rules():
    found = lint(parse("FROM scratch\nCMD a\nMAINTAINER b\nMAINTAINER c\n", "f"), predefined=PREDEFINED)
    assert violation(found) == "lint violation found for rules: JSONArgsRecommended, MaintainerDeprecated"
    assert all(each.url.startswith("https://docs.docker.com/go/dockerfile/rule/") for each in found)
    assert len(NAMES) == 22


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "a/b",
        "a:1",
        "docker.io/a/b:c",
        "localhost/a",
        "h:5000/a-b__c.d/e",
        "Host/a",
        "[::1]:80/a",
        "a@sha256:" + "0" * 64,
        "a:b@sha256:" + "0" * 64,
    ],
)
def test_names_of_images(name: str):
    assert is_image_name(name)


@pytest.mark.parametrize(
    "name",
    ["", "A", "a:", "a:$", "a b", "/a", "a/", "a//b", "-a", "a..b", "a@", "a@sha256:0", "h:x/a", "0" * 64, "a/" + "b" * 300, "docker.io/A"],
)
def test_what_is_no_name_of_an_image(name: str):
    assert not is_image_name(name)


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        ("linux/amd64", ("linux", "amd64")),
        ("Linux/x86_64", ("linux", "amd64")),
        ("linux/arm/v7", ("linux", "arm")),
        ("aarch64", ("linux", "arm64")),
        ("macos", ("darwin", "")),
        ("windows(10.0)/amd64", ("windows", "amd64")),
        ("", None),
        ("foo", None),
        ("a/b/c/d", None),
        ("a/$b", None),
    ],
)
def test_platforms(text: str, platform: tuple[str, str] | None):
    assert parse_platform(text) == platform


@given(
    st.lists(
        st.sampled_from(["FROM scratch", "FROM a AS a", "ENV a=$b", "ARG c=${d?x}", "WORKDIR $e", "EXPOSE $", "CMD", "ONBUILD ENV a=$q"])
    )
)
def test_the_linter_never_fails_on_a_program(lines: list[str]):
    try:
        program = parse("\n".join(["FROM x", *lines]), "Dockerfile")
    except GraphbuildError:
        return
    found = lint(program, predefined={})
    assert list(found) == sorted(found, key=lambda each: each.line)
