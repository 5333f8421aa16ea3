"""Instructions, stages and their mistakes."""

import pytest
from graphbuild_dockerfile import instructions as i
from graphbuild_dockerfile.program import Program, parse, parse_trigger
from hypothesis import given, settings
from hypothesis import strategies as st

from graphbuild.rules import GraphbuildError, Place, Problem


def program(text: str) -> Program:
    return parse(text, "Dockerfile")


def only(line: str) -> i.Instruction:
    (found,) = program(f"FROM base\n{line}\n").stages[0].instructions
    return found


def problems(text: str) -> list[tuple[str, int]]:
    with pytest.raises(GraphbuildError) as caught:
        program(text)
    return [(each.message, each.place.line) for each in caught.value.problems]


def test_a_program_has_global_arguments_and_stages():
    found = program("ARG A=1 B\nFROM x AS one\nRUN a\nFROM --platform=$P one as Two.b-c\nARG A\n")
    assert [argument for each in found.arguments for argument in each.arguments] == [i.Argument("A", "1"), i.Argument("B", None)]
    assert [(stage.index, stage.name, stage.start.image, stage.start.platform) for stage in found.stages] == [
        (0, "one", "x", ""),
        (1, "two.b-c", "one", "$P"),
    ]
    assert (found.stages[1].start.name_spelling, found.stages[1].start.as_spelling) == ("Two.b-c", "as")
    assert [type(each) for stage in found.stages for each in stage.instructions] == [i.Run, i.Arg]


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("RUN echo  $A", i.Command(("echo  $A",), shell=True)),
        ('RUN ["a", "$B"]', i.Command(("a", "$B"), shell=False)),
        ("RUN []", i.Command((), shell=False)),
        ("RUN", i.Command((), shell=True)),
        ("RUN ['a']", i.Command(("['a']",), shell=True)),
        ("CMD", i.Command((), shell=True)),
        ('ENTRYPOINT ["a"]', i.Command(("a",), shell=False)),
    ],
)
def test_a_command_is_text_for_a_shell_or_a_vector(line: str, command: i.Command):
    found = only(line)
    assert isinstance(found, i.Run | i.Cmd | i.Entrypoint)
    assert found.command == command


def test_run_has_its_flags_and_documents():
    found = only("RUN --mount=type=cache,target=/a --network=none --mount=target=/b --security=insecure --device=gpu <<A cat <<B\nx\nA\nB")
    assert isinstance(found, i.Run)
    assert (found.mounts, found.network, found.security, found.devices) == (
        ("type=cache,target=/a", "target=/b"),
        "none",
        "insecure",
        ("gpu",),
    )
    assert [(each.name, each.content) for each in found.node.heredocs] == [("A", "x\n"), ("B", "")]


def test_copy_has_sources_documents_and_a_destination():
    found = only("COPY --from=0 --chown=a:b --chmod=u+x --link --parents --exclude=*.x --exclude=y a $b <<-'E' /d/\n\tc\nE")
    assert isinstance(found, i.Copy)
    assert (found.sources, found.dest, found.documents) == (("a", "$b"), "/d/", (i.Document("E", "c\n", expand=False),))
    assert (found.from_, found.chown, found.chmod, found.link, found.parents, found.exclude) == (
        "0",
        "a:b",
        "u+x",
        True,
        True,
        ("*.x", "y"),
    )


def test_copy_of_an_array_takes_no_documents():
    found = only('COPY ["<<E", "a b", "/d"]')
    assert isinstance(found, i.Copy)
    assert (found.sources, found.documents) == (("<<E", "a b"), ())


@pytest.mark.parametrize(("flag", "unpack"), [("", None), ("--unpack", True), ("--unpack=false", False), ("--unpack=TRUE", True)])
def test_add_may_leave_it_open_whether_it_unpacks(flag: str, unpack: bool | None):
    found = only(f"ADD {flag} --keep-git-dir=true --checksum=sha256:x --link=false a b")
    assert isinstance(found, i.Add)
    assert (found.unpack, found.keep_git_dir, found.checksum, found.link) == (unpack, True, "sha256:x", False)


def test_pairs_keep_their_words_as_written():
    found = only("ENV A=\"$B c\" D='e' F=")
    assert isinstance(found, i.Env)
    assert found.pairs == (i.Pair("A", '"$B c"'), i.Pair("D", "'e'"), i.Pair("F", ""))
    assert only("LABEL a b c").pairs == (i.Pair("a", "b c", legacy=True),)


def test_the_rest():
    assert only("EXPOSE 90 80/udp $A").ports == ("$A", "80/udp", "90")
    assert only("USER a b").user == "a b"
    assert only("WORKDIR a  b ").path == "a  b"
    assert only("VOLUME /a /b").paths == ("/a", "/b")
    assert only('VOLUME [" /a "]').paths == ("/a",)
    assert only("STOPSIGNAL --x=y SIGINT").signal == "SIGINT"
    assert only('SHELL ["a", "-c"]').words == ("a", "-c")
    assert only("MAINTAINER Joe <joe@x>").name == "Joe <joe@x>"
    assert only("arg --ignored A").arguments == (i.Argument("A", None),)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("HEALTHCHECK NONE", (("NONE",), 0, 0, 0, 0, 0)),
        ("HEALTHCHECK --interval=1s none", (("NONE",), 0, 0, 0, 0, 0)),
        ("HEALTHCHECK CMD a b", (("CMD-SHELL", "a b"), 0, 0, 0, 0, 0)),
        (
            'HEALTHCHECK --interval=1m30s --timeout=1.5s --start-period=2h --start-interval=1ms --retries=+3 cmd ["a"]',
            (("CMD", "a"), 90 * 10**9, 15 * 10**8, 7200 * 10**9, 10**6, 3),
        ),
        ("HEALTHCHECK --interval=0 --timeout= CMD a", (("CMD-SHELL", "a"), 0, 0, 0, 0, 0)),
    ],
)
def test_healthchecks_are_as_in_an_image(line: str, expected: tuple[object, ...]):
    found = only(line)
    assert isinstance(found, i.Healthcheck)
    assert (found.test, found.interval, found.timeout, found.start_period, found.start_interval, found.retries) == expected


def test_a_trigger_is_text_with_its_heredocs_that_can_be_read_again():
    found = only("onbuild  RUN --network=none <<E\nx\nE")
    assert isinstance(found, i.OnBuild)
    assert found.trigger == "RUN --network=none <<E\nx\nE"
    again = parse_trigger(found.trigger, Place("Dockerfile", 7))
    assert isinstance(again, i.Run)
    assert (again.network, again.node.heredocs[0].content) == ("none", "x\n")


def test_mistakes_in_a_trigger_are_where_it_fires():
    for trigger, message in (
        ("FOO x", "unknown instruction: FOO"),
        ("RUN a\nRUN b", "onbuild trigger should be a single expression"),
        ("COPY a", "COPY"),
    ):
        with pytest.raises(GraphbuildError, match=message) as caught:
            parse_trigger(trigger, Place("Dockerfile", 7))
        assert [each.place for each in caught.value.problems] == [Place("Dockerfile", 7)]


MISTAKES = [  # each said by Docker 28.5.2 in these words, at this line
    ("RUN x\n", "no build stage in current context", 1),
    ("ARG x\n", "dockerfile contains no stages to build", 1),
    ("FROM\n", "FROM requires either one or three arguments", 1),
    ("FROM a b\n", "FROM requires either one or three arguments", 1),
    ("FROM a IN b\n", "FROM requires either one or three arguments", 1),
    ("FROM a AS 1x\n", 'invalid name for build stage: "1x", name can\'t start with a number or contain symbols', 1),
    ("FROM --foo=x a\n", "unknown flag: --foo", 1),
    ("FROM a\nRUN --foo=x y\n", "unknown flag: --foo", 2),
    ("FROM a\nCOPY --frm=a x y\n", "unknown flag: --frm (did you mean from?)", 2),
    ("FROM a\nCOPY --from=a --from=b x y\n", "duplicate flag specified: --from", 2),
    ("FROM a\nCOPY --from x y\n", "missing a value on flag: --from", 2),
    ("FROM a\nCOPY --link= x y\n", "missing a value on flag: --link", 2),
    ("FROM a\nCOPY --link=foo x y\n", "expecting boolean value for flag --link, not: foo", 2),
    ("FROM a\nMAINTAINER --x y\n", "unknown flag: --x", 2),
    ("FROM a\nENV =b\n", "ENV names can not be blank", 2),
    ("FROM a\nENV\n", "ENV requires at least one argument", 2),
    ("FROM a\nLABEL\n", "LABEL requires at least one argument", 2),
    ("FROM a\nARG\n", "ARG requires at least one argument", 2),
    ("FROM a\nARG =b\n", "ARG names can not be blank", 2),
    ("FROM a\nCOPY a\n", "COPY requires at least two arguments, but only one was provided. Destination could not be determined", 2),
    ("FROM a\nADD\n", "ADD requires at least two arguments, but only one was provided. Destination could not be determined", 2),
    ("FROM a\nCOPY a <<E\nE\n", "COPY cannot accept a heredoc as a destination", 2),
    (
        "FROM a\nCOPY --from=$x a b\n",
        "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround",
        2,
    ),
    ("FROM a\nRUN --network=x y\n", 'invalid network mode "x"', 2),
    ("FROM a\nRUN --mount= y\n", "failed to parse csv mounts: EOF", 2),
    ("FROM a\nRUN --mount=from=$x y\n", "'from' doesn't support variable expansion, define alias stage instead", 2),
    ("FROM a\nSHELL x\n", "SHELL requires the arguments to be in JSON form", 2),
    ("FROM a\nSHELL []\n", "SHELL requires at least one argument", 2),
    ("FROM a\nEXPOSE\n", "EXPOSE requires at least one argument", 2),
    ("FROM a\nUSER\n", "USER requires exactly one argument", 2),
    ("FROM a\nWORKDIR\n", "WORKDIR requires exactly one argument", 2),
    ("FROM a\nSTOPSIGNAL\n", "STOPSIGNAL requires exactly one argument", 2),
    ("FROM a\nMAINTAINER\n", "MAINTAINER requires exactly one argument", 2),
    ("FROM a\nVOLUME\n", "VOLUME requires at least one argument", 2),
    ('FROM a\nVOLUME [""]\n', "VOLUME specified can not be an empty string", 2),
    ("FROM a\nONBUILD\n", "ONBUILD requires at least one argument", 2),
    ("FROM a\nONBUILD ONBUILD RUN x\n", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed", 2),
    ("FROM a\nONBUILD FROM x\n", "FROM isn't allowed as an ONBUILD trigger", 2),
    ("FROM a\nonbuild maintainer x\n", "MAINTAINER isn't allowed as an ONBUILD trigger", 2),
    ("FROM a\nHEALTHCHECK\n", "HEALTHCHECK requires at least one argument", 2),
    ("FROM a\nHEALTHCHECK NONE x\n", "HEALTHCHECK NONE takes no arguments", 2),
    ("FROM a\nHEALTHCHECK CMD\n", "Missing command after HEALTHCHECK CMD", 2),
    ("FROM a\nHEALTHCHECK foo x\n", 'Unknown type "FOO" in HEALTHCHECK (try CMD)', 2),
    ("FROM a\nHEALTHCHECK --interval=5 CMD x\n", 'time: missing unit in duration "5"', 2),
    ("FROM a\nHEALTHCHECK --interval=1x CMD x\n", 'time: unknown unit "x" in duration "1x"', 2),
    ("FROM a\nHEALTHCHECK --interval=.s CMD x\n", 'time: invalid duration ".s"', 2),
    ("FROM a\nHEALTHCHECK --interval=9999999h CMD x\n", 'time: invalid duration "9999999h"', 2),
    ("FROM a\nHEALTHCHECK --interval=5us CMD x\n", 'Interval "interval" cannot be less than 1ms', 2),
    ("FROM a\nHEALTHCHECK --timeout=-5s CMD x\n", 'Interval "timeout" cannot be less than 1ms', 2),
    ("FROM a\nHEALTHCHECK --retries=-5 CMD x\n", "--retries cannot be negative (-5)", 2),
    ("FROM a\nHEALTHCHECK --retries=a CMD x\n", 'strconv.ParseInt: parsing "a": invalid syntax', 2),
    ("FROM a\nHEALTHCHECK --retries=2147483648 CMD x\n", 'strconv.ParseInt: parsing "2147483648": value out of range', 2),
]


@pytest.mark.parametrize(("text", "message", "line"), MISTAKES)
def test_mistakes_are_said_in_the_words_of_buildkit(text: str, message: str, line: int):
    assert problems(text) == [(message, line)]


def test_all_mistakes_of_a_file_are_told_at_once_in_their_order():
    found = problems("FROM a b\nUSER\nENV x\nFOO\n\nRUN --x y\n")
    assert [line for _, line in found] == [1, 2, 3, 4, 6]


def test_a_mistake_points_at_the_flag_it_is_about():
    with pytest.raises(GraphbuildError) as caught:
        program("FROM a\nRUN --mount=type=cache,target=/x \\\n  --network=x y\n")
    assert caught.value.problems[0].place == Place("Dockerfile", 3, 3, 9)


def attempt(text: str) -> tuple[Program | None, tuple[Problem, ...]]:
    try:
        return program(text), ()
    except GraphbuildError as error:
        return None, error.problems


LINES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                *("FROM a", "FROM a AS b", "ARG x=1", "RUN a \\", "COPY <<E /d", "E", "# c", "", "ENV a b", 'CMD ["a"]', "ONBUILD RUN x"),
                *("RUN --mount=type=cache,target=$x y", "HEALTHCHECK --interval=1s CMD x", "# escape=`", "EXPOSE 1", "VOLUME [", "\\"),
            ]
        ),
        st.text(st.sampled_from("FROMRUNCPYADE abc=<-'\"\\`[]{}$#,\t\r\u00a0é"), max_size=20),
    ),
    max_size=8,
)


@given(LINES, st.booleans())
@settings(max_examples=400)
def test_nothing_but_a_mistake_is_ever_raised_and_it_has_a_place(lines: list[str], windows: bool):
    text = ("\r\n" if windows else "\n").join(lines)
    found, mistakes = attempt(text)
    assert all(isinstance(each.place, Place) and 1 <= each.place.line <= len(lines) + 1 for each in mistakes)
    for stage in found.stages if found else ():
        for node in (stage.start.node, *(each.node for each in stage.instructions)):
            assert 1 <= node.line <= node.end_line <= len(lines)
            assert len(node.source) == node.end_line - node.line + 1


@given(st.text(max_size=200))
def test_any_text_is_a_program_or_a_mistake(text: str):
    found, mistakes = attempt(text)
    assert (found is None) == bool(mistakes)
