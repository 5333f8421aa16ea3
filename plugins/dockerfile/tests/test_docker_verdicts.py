"""A real, current Docker judges: it says the same of every file as ours, warnings, mistakes and values alike.

It is started from the root that tests/peers.py makes and keeps; without that, or without root's rights, these are skipped.
"""

import json
import random
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from graphbuild_dockerfile.lint import lint
from graphbuild_dockerfile.program import parse
from graphbuild_dockerfile.words import expand

from graphbuild.rules import GraphbuildError

sys.path.append(str(Path(__file__).parents[3] / "tests"))

import peers
from test_program import MISTAKES

PREDEFINED = {
    **dict.fromkeys(("BUILDPLATFORM", "TARGETPLATFORM"), "linux/amd64"),
    **dict.fromkeys(("BUILDOS", "TARGETOS"), "linux"),
    **dict.fromkeys(("BUILDARCH", "TARGETARCH"), "amd64"),
    **dict.fromkeys(("BUILDVARIANT", "TARGETVARIANT"), ""),
    "TARGETSTAGE": "default",
}
Warnings = list[tuple[str, str, int]]


@pytest.fixture(scope="module")
def engine() -> Iterator[peers.Engine]:
    if not (peers.peer_cache() / "debian-unstable-docker").exists():
        pytest.skip("the modern Docker's root is not made yet: python tests/peers.py")
    with peers.modern_docker_engine(peers.peer_cache()) as engine:
        yield engine


def theirs(engine: peers.Engine, text: str, ignore: str = "") -> tuple[Warnings, str]:
    """The warnings, and the mistake that ended it."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "Dockerfile").write_bytes(text.encode())
        Path(folder, ".dockerignore").write_text(ignore)
        done = engine.run("buildx", "build", "--call=lint,format=json", folder, check=False)
    found = json.loads(done.stdout)
    warnings = []
    for each in found.get("warnings") or ():
        lines = [place["start"]["line"] for place in each["location"]["ranges"]]
        line = lines[-1] if each["ruleName"] == "NoEmptyContinuation" else lines[0]
        warnings.append((each["ruleName"], without_suggestion(each["detail"]), line))
    return sorted(warnings), (found.get("buildError") or {}).get("message", "")


def without_suggestion(message: str) -> str:
    """Docker chooses by chance between several that are equally near."""
    return re.sub(r" \(did you mean [^)]*\)", "", message)


def ours(text: str) -> tuple[Warnings, list[str]]:
    try:
        found = lint(parse(text, "Dockerfile"), predefined=PREDEFINED)
    except GraphbuildError as error:
        return [], [without_suggestion(each.message) for each in error.problems]
    return sorted((each.name, without_suggestion(each.message), each.line) for each in found), []


def check(engine: peers.Engine, text: str) -> None:
    """Mistakes of ours are all told, of theirs the first; one of expansion is not ours to tell, and ends their warnings."""
    warnings, mistake = theirs(engine, text)
    found, mistakes = ours(text)
    if mistakes:
        assert any(each in without_suggestion(mistake) for each in mistakes), (text, mistakes, mistake)
    elif mistake:
        assert all(each in found or each[0] == "UndefinedVar" for each in warnings), (text, found, warnings, mistake)
    else:
        assert found == warnings, text


FILES = [
    "FROM scratch AS A\nfrom scratch as B\nFrom scratch\n",
    "FROM scratch AS scratch\nFROM scratch AS context\nFROM scratch AS x\nFROM scratch AS x\n",
    "ARG V\nARG W=1\nFROM scratch AS a\nFROM scratch${V}${X}\nFROM scratch${W:+}\n",
    "FROM --platform=$TARGETPLATFORM scratch\nFROM --platform=${TARGETPLATFORM} scratch\nFROM --platform=linux/amd64 scratch\n",
    "FROM --platform=linux/amd64 scratch AS for-amd64\nFROM --platform=$TARGETOS/amd64 scratch\nFROM --platform=amd64 scratch\n",
    "FROM scratch\nRUN a \\\n\n b\nRUN <<E \\\n\n c\nE\n",
    "from scratch\nRUN a\nenv b=c\nCmd d\n",
    "FROM scratch\nARG a=$b c=$a d\nENV x=$d y=$z x=$x\nLABEL $k=$d\n",
    "FROM scratch\nCOPY --chmod=$a --chown=$b --exclude=$c $d $e\nADD --checksum=$f $g h\nCOPY <<$a <<'b' $i\n$j\n$a\n$k\nb\n",
    "FROM scratch\nEXPOSE $x 80/TCP 1.2.3.4:80:90 90:90 [::1]:80:80 8000-8010/Udp\n",
    "FROM scratch\nUSER $a\nWORKDIR $b\nWORKDIR c\nSTOPSIGNAL SIG${c:-INT}\nVOLUME /$d\nCMD $e\nENTRYPOINT $f\nHEALTHCHECK CMD $g\n",
    "FROM scratch\nRUN --mount=type=cache,target=/$a,id=$b c\nRUN --mount=type=bind,target=/x,source=${d:-e} $f\n",
    "FROM scratch\nCMD a\nCMD b\nENTRYPOINT c\nENTRYPOINT d\nHEALTHCHECK NONE\nHEALTHCHECK CMD e\n",
    'FROM scratch AS a\nSHELL ["x"]\nCMD a\nFROM a\nCMD b\nENTRYPOINT c\n',
    "FROM scratch AS a\nARG x\nENV y=1\nWORKDIR z\nFROM a\nENV b=$x c=$y d=$w\nWORKDIR v\n",
    "FROM scratch AS a\nONBUILD ENV A=$q\nONBUILD WORKDIR r\nFROM a AS b\nENV c=$A\nFROM b\nENV d=$A\n",
    "ARG key=1\nFROM scratch\nARG key PUBLIC_KEY my_token=x\nENV password=1 xpassword=2 PASSWD_FILE=3 AUTH_x=4\n",
    "FROM scratch\nENV a b\nlabel c d\nMAINTAINER e\n",
    "FROM scratch\nENV PATH=$PATH:/a PATHH=$PATHX HOME=$HOME\nENV b=$1 c=$@ d=$TARGETARCH\n",
    "# check=experimental=all\n# bad\nARG a\n# b yes\nFROM scratch AS b\n# c yes\n\nARG c\n# bad\n#\nARG d\n# bad\nRUN x\n# e f\nARG f g\n  # h\nARG h\n",
    "# check=skip=JSONArgsRecommended,UndefinedVar\nFROM scratch\nCMD $a\nMAINTAINER b\n",
    "#!/bin/x\n# check=skip=all\nFROM scratch\nCMD a\n",
    " # check=skip=all\nFROM scratch\nCMD a\n",
    "# check=skip=JSONArgsRecommended, MaintainerDeprecated\nFROM scratch\nCMD a\nMAINTAINER b\n",
    "# check=foo\nFROM scratch\n",
    "# escape=`\nFROM scratch\nENV a=`$b c=$d \\\n",
    "\ufeffFROM scratch\r\nENV a=$b \\\r\n c=d\r\nCMD <<E\r\n",
]


@pytest.mark.parametrize("text", FILES)
def test_docker_warns_of_the_same(engine: peers.Engine, text: str):
    check(engine, text)


def test_docker_notices_the_same_copies_of_ignored_files(engine: peers.Engine):
    text = "# check=experimental=all\nFROM scratch\nCOPY y z\nCOPY y/a ./y x/../y $Y b\nADD y http://h/y y ./\nCOPY y/ b\n"
    found = lint(parse(text, "Dockerfile"), predefined=PREDEFINED, ignored=lambda path: path.split("/")[0] == "y")
    assert sorted((each.name, each.message, each.line) for each in found) == theirs(engine, text, "y\n")[0]


@pytest.mark.parametrize("text", [text.replace("FROM a\n", "FROM scratch\n") for text, _, _ in MISTAKES if "--security" not in text])
def test_docker_finds_the_same_mistakes(engine: peers.Engine, text: str):
    assert theirs(engine, text)[1]
    check(engine, text)


@pytest.mark.parametrize("seed", range(40))
def test_docker_says_the_same_of_a_file_made_by_chance(engine: peers.Engine, seed: int):
    check(engine, made_by_chance(random.Random(seed)))


_LINES = (
    "RUN echo $A",
    'RUN ["a", "b"]',
    "RUN --mount=type=cache,target=/c$A x",
    "RUN <<E\n$A\nE",
    "CMD a",
    'CMD ["a",]',
    "ENTRYPOINT []",
    "ENV A=b B=$A C=${A:-$Z}",
    "ENV A b $B",
    "ENV key='$A' T=\"$C\"",
    "LABEL $A=b",
    "ARG A B=1 C=$B",
    "ARG my_secret",
    "EXPOSE 80/TCP $A",
    "COPY --from=s a $A",
    "COPY --chown=$A --link a b ${C%x} /d/",
    "ADD --unpack a b",
    "WORKDIR a",
    "WORKDIR /$A",
    "USER ${A:+b}",
    "USER",
    "VOLUME a$A",
    "STOPSIGNAL 9",
    "ONBUILD COPY $Q /",
    "ONBUILD WORKDIR q",
    "HEALTHCHECK --interval=5s CMD x",
    "HEALTHCHECK NONE",
    'SHELL ["x"]',
    "SHELL x",
    "MAINTAINER x",
    "# A b",
    "#",
    "",
    "COPY --foo a b",
    "RUN a \\\n# c\n\n  b",
)


def made_by_chance(chance: random.Random) -> str:
    lines = [
        chance.choice(["", "# check=experimental=all", "# escape=`"]),
        *chance.sample(["ARG A=1", "ARG B", "ARG C=$A"], chance.randrange(3)),
    ]
    for _ in range(chance.randint(1, 3)):
        lines.append(
            chance.choice(["FROM scratch AS s", "FROM scratch", "from scratch as T", "FROM s", "FROM --platform=$TARGETPLATFORM scratch"])
        )
        for _ in range(chance.randint(1, 5)):
            line = chance.choices(_LINES, [1 if each in ("USER", "SHELL x", "COPY --foo a b") else 6 for each in _LINES])[0]
            lines.append(line.lower() if chance.random() < 0.1 and "<<" not in line else line)
    return "\n".join(lines) + "\n"


_ENV = {"X": "abc", "E": "", "P": "/a/b.c.tar.gz", "S": "a b  c", "Q": "it's", "U": "über"}
_PATTERN = ("*", "?", "a", "b", ".", "c", "\\*", "\\/", "\\}", "$X", "'c'", '"b"', "ü", "$E", "\\\\")


def word_by_chance(chance: random.Random) -> str:
    name, operator = chance.choice([*_ENV, "N"]), chance.choice([":-", "-", ":+", "+", ":?", "?", "#", "##", "%", "%%", "/", "//"])
    operand = "".join(chance.choices(_PATTERN, k=chance.randint(0, 4)))
    if operator in ("/", "//"):
        operand += "/" + chance.choice(["", "z", "$X", "'$0'", "a b"])
    around = chance.choice(["", '"'])
    return f"{around}{chance.choice(['', 'a', '$S'])}${{{name}{operator}{operand}}}{chance.choice(['', '$$', '$1x'])}{around}"


def test_docker_expands_words_to_the_same_values(engine: peers.Engine):
    chance = random.Random(1)
    lines = []
    expected: dict[str, str] = {}
    for word in (word_by_chance(chance) for _ in range(400)):
        head = "".join(f'ENV {name}="{value}"\n' for name, value in _ENV.items())
        try:
            (pair,) = parse(f"FROM scratch\n{head}LABEL l{len(lines)}={word}\n", "f").stages[0].instructions[-1].pairs
            expected[pair.name] = expand(pair.value, _ENV)
        except (GraphbuildError, ValueError):
            continue  # what are mistakes is compared one by one, in test_words
        lines.append(f"LABEL l{len(lines)}={word}\n")
    assert len(lines) > 100
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "Dockerfile").write_text(f"FROM scratch\n{head}{''.join(lines)}")
        engine.run("buildx", "build", "--load", "-t", "words", folder)
    (image,) = json.loads(engine.run("image", "inspect", "words").stdout)
    assert image["Config"]["Labels"] == expected
