"""BuildKit's own parser, as the package `dockerfile` of PyPI wraps it, reads every file as ours does.

It stands on an older BuildKit: what that did not know, or does to flags that are not ASCII, is left out here. It is not part of the
product, since it brings Go's runtime and its threads into a process, and tells neither comments nor what a heredoc is to expand.
"""

import json
import re

import pytest
from graphbuild_dockerfile.text import Node, scan
from hypothesis import given, settings
from hypothesis import strategies as st

from graphbuild.rules import GraphbuildError

oracle = pytest.importorskip("dockerfile", reason="the oracle is the package `dockerfile` of PyPI, which is not installed")


KEYWORDS = frozenset(
    [
        "ADD",
        "ARG",
        "CMD",
        "COPY",
        "ENTRYPOINT",
        "ENV",
        "EXPOSE",
        "FROM",
        "HEALTHCHECK",
        "LABEL",
        "MAINTAINER",
        "ONBUILD",
        "RUN",
        "SHELL",
        "STOPSIGNAL",
        "USER",
        "VOLUME",
        "WORKDIR",
    ]
)

Shape = tuple[object, ...]


def shape(
    keyword: str, lines: tuple[int, int], flags: tuple[str, ...], words: tuple[str, ...], heredocs: Shape, *, is_array: bool
) -> Shape:
    """What can be compared. Of a trigger the oracle tells no heredocs, and of one that does not exist an empty word."""
    keyword = keyword.upper()
    if keyword == "ONBUILD":
        heredocs = ()
        words = tuple(word.upper() for word in words[:1]) + (words[1:] if words[:1] and words[0].upper() in KEYWORDS else ())
    return keyword, lines, flags, words, heredocs, is_array


def theirs(text: str) -> list[Shape] | str:
    try:
        found = oracle.parse_string(text)
    except ValueError as error:
        return str(error)
    return [
        shape(
            each.cmd,
            (each.start_line, each.end_line),
            each.flags,
            ((each.sub_cmd,) if each.sub_cmd else ()) + each.value,
            tuple((heredoc.name, heredoc.file_descriptor, heredoc.content) for heredoc in each.heredocs),
            is_array=each.json,
        )
        for each in found
        if each.cmd and each.cmd.upper() in KEYWORDS  # one that does not exist is no mistake there
    ]


def ours(text: str) -> list[Shape] | str:
    try:
        script, problems = scan(text, "Dockerfile")
    except GraphbuildError as error:
        return error.problems[0].message
    mistakes = [each.message for each in problems if not each.message.startswith("unknown instruction")]
    if mistakes:
        return mistakes[0]
    return [
        shape(
            node.keyword,
            (node.line, node.end_line),
            node.flags,
            without_separators(node),
            tuple((each.name, each.fd, each.content) for each in node.heredocs),
            is_array=node.is_array,
        )
        for node in script.nodes
    ]


def without_separators(node: Node) -> tuple[str, ...]:
    start = int(node.keyword == "ONBUILD")
    keyword = node.words[0].upper() if start and node.words else node.keyword
    if keyword not in ("ENV", "LABEL"):
        return node.words
    return (*node.words[:start], *(word for at, word in enumerate(node.words[start:]) if at % 3 < 2))


FILES = [
    "FROM a AS b\nRUN x \\\n  y\n",
    "from a\nrun x\\\ny\n",
    "\ufeffFROM a\r\nRUN b \\\r\n c\r\n",
    "# escape=`\nFROM a\nRUN b `\n c\\\nENV a=b` c\n",
    "#escape=\\\n# syntax=x\n\nFROM a",
    "FROM a\nRUN b \\\n# c\n\n  # d\n  e\nUSER f\n",
    'FROM a\nENV a b  c\nENV a=b "c d"=\'e f\' g=h\\ i\nLABEL a.b="c" d\\ e=f\n',
    'FROM a\nARG a\nARG b=c d="e f" g\n',
    'FROM a\nCOPY --from=b --chown=1:2 ["a b", "c"]\nADD [a b c\nCOPY --link a b /c/\n',
    'FROM a\nHEALTHCHECK --interval=5s --timeout="3s" CMD ["a", "b"]\nHEALTHCHECK CMD a  b\nHEALTHCHECK none\n',
    'FROM a\nONBUILD RUN ["a"]\nONBUILD COPY --from=x a b\nONBUILD ENV a=b\nONBUILD\n',
    'FROM a\nCMD ["a",]\nCMD [\'a\']\nCMD []\nCMD [ ]\nENTRYPOINT ["\\u0041\\n"]\nSHELL ["a", "-c"]\n',
    'FROM a\nEXPOSE 80  443\t1/udp\nVOLUME a b\nVOLUME ["a b"]\nUSER a b\nWORKDIR /a  b\nSTOPSIGNAL x\nMAINTAINER a <b>\n',
    "FROM a\nRUN <<A cat <<-'B' 3<<\"C\"\n1\nA\n\t2\n\tB\n3\nC\nCMD x\n",
    "FROM a\nCOPY <<a <<b /c/\nb\na\na\nb\nADD <<x /y\nx\n",
    "FROM a\nRUN \"<<A\" '<<B' \\<<C <<<D x<<E\nONBUILD RUN <<F\nf\nF\n",
    'FROM a\nRUN --mount=type=cache,target="/a b" --network=no\\ne x --y\nRUN -- --x y\nRUN --\nRUN --a\n',
    "FROM a\nRUN --q=\"a b\nRUN --r=a\\'b c\nRUN --s=\\\n",
    "FROM a\nRUN x \\",
    "FROM a\n\\\n\nRUN x\n",
    "FROM a\nENV a=b\\\\\nENV c=d\\\\\\\\\n",
    "FROM a\n  \t RUN  \t x \t \n",
    "FROM a\n\n\n# x\n\nRUN\n",
    "FROM a\nCMD [1]\n",
    "FROM a\nENV a\n",
    "FROM a\nLABEL a=b c\n",
    "FROM a\nRUN <<A\n",
    "# escape=x\nFROM a\n",
    "# escape=`\n# escape=`\nFROM a\n",
    "# only\n",
    "FROM ü AS é\nLABEL ü=é\u00a0x\u2003y\nUSER \u00a0a\n",
]


@pytest.mark.parametrize("text", FILES)
def test_files_are_read_as_buildkit_reads_them(text: str):
    assert ours(text) == theirs(text)


WORD = st.text(st.sampled_from("abc=$'\"\\`-,/ \t{}#"), max_size=6)
FLAG = st.sampled_from(["--from=a", "--x", "--y='a b'", "--z=a\\ b", '--q="', "--", "--m=type=cache,target=/x"])
KEYWORD = st.sampled_from([*sorted(KEYWORDS), "run", "Copy", "onbuild"])
ARRAY = st.lists(st.text(st.sampled_from('ab"\\\n'), max_size=3), max_size=3).map(lambda words: json.dumps(words, ensure_ascii=False))
WORDS = st.one_of(st.lists(WORD, max_size=4).map(" ".join), st.just("RUN a"), st.just("A=b C=d"))
BREAK = st.sampled_from([" ", " ", " ", " \\\n", " \\\n# c\n", " \\ \n\n  ", "`\n"])
HEREDOC = st.sampled_from(["", "", "", " <<E\nx\n\tE\nE", " <<-E\n\tx\n\tE", " <<'E' <<F\nE\ny\nF"])
REST = st.one_of(ARRAY, ARRAY.map("CMD {}".format), st.builds("{}{}".format, WORDS, HEREDOC))  # the old one reads what follows an array
LINE = st.builds(
    lambda keyword, gap, flags, rest: f"{keyword}{gap}{' '.join([*flags, rest])}",
    *(KEYWORD, BREAK, st.lists(FLAG, max_size=2), REST),
)
_ODD_FLAG = re.compile(r"--[^ ]*[\\`'\"]")
FILE = st.builds(
    lambda head, lines, end: head + "\n".join(["FROM a", *lines]) + end,
    st.sampled_from(["", "", "# escape=`\n", "# syntax=x\n#escape=\\\n", "# c\n# escape=`\n"]),
    st.lists(st.one_of(LINE, st.sampled_from(["", "# c", " # c", "\\"])), max_size=5),
    st.sampled_from(["", "\n", "\n\n"]),
).filter(lambda text: not text.startswith("# escape=`") or not _ODD_FLAG.search(text))  # which the old one reads by another escape


@given(FILE)
@settings(max_examples=1500, deadline=None)
def test_generated_files_are_read_as_buildkit_reads_them(text: str):
    assert ours(text) == theirs(text)
