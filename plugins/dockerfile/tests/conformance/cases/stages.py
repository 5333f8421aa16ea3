"""Stages: how they are named and found, which are built, what a named context changes."""

from case import Case

_NAMES = (
    Case(
        name="tricky-06-names-ignore-case",
        why="in --from and in --target; FROM knows the lower-case one",
        dockerfile="FROM base AS First\nRUN echo 1 > /1\nFROM first AS SECOND\nCOPY --from=fIrSt /1 /2\nFROM base AS other\n",
        args=("--target", "Second"),
    ),
    Case(
        name="tricky-06-from-has-a-case",
        why="a name with capitals behind FROM is an image's, and wrong, even as the stage is written",
        dockerfile="FROM base AS First\nFROM First\n",
        fails="First",
        line=2,
    ),
    Case(
        name="tricky-06-index",
        why="a number is the stage of that place, named or not, counted from 0",
        dockerfile="FROM base\nRUN echo 0 > /0\nFROM base AS named\nRUN echo 1 > /1\nFROM base\nCOPY --from=0 /0 /\nCOPY --from=1 /1 /\nCOPY --from=named /1 /named\n",
    ),
    Case(
        name="stage-name-of-digits",
        why="a stage may not be named by a number",
        dockerfile="FROM base AS 1st\n",
        fails="1st",
        line=1,
    ),
    Case(name="stage-name-odd", why="letters, digits, dots, dashes and underscores", dockerfile="FROM base AS a.b-c_d9\nFROM a.b-c_d9\n"),
    Case(name="stage-name-wrong", why="nothing else", dockerfile="FROM base AS a/b\n", fails="a/b", line=1),
    Case(
        name="stage-name-twice",
        why="the later of two with one name is meant by what comes after it",
        dockerfile="FROM base AS one\nRUN echo 1 > /x\nFROM base AS one\nRUN echo 2 > /x\nFROM base\nCOPY --from=one /x /x\n",
    ),
    Case(
        name="stage-name-twice-between",
        why="and the earlier by what stands between them",
        dockerfile="FROM base AS one\nRUN echo 1 > /x\nFROM one AS two\nFROM base AS one\nRUN echo 2 > /x\nFROM two\nCOPY --from=one /x /y\n",
    ),
    Case(
        name="stage-on-its-own-name",
        why="a stage that stands on an earlier one of its own name",
        dockerfile="FROM base AS one\nRUN echo 1 > /x\nFROM one AS one\nRUN echo 2 > /y\nFROM one\n",
    ),
    Case(name="stage-lower-case-as", why="as in any case", dockerfile="from base as one\nrun echo 1 > /x\nFrom one\n"),
    Case(
        name="stage-of-scratch",
        why="scratch is no image, and two of them are two",
        dockerfile="FROM scratch AS a\nCOPY f /a\nFROM scratch\nCOPY --from=a /a /b\n",
        files={"f": "f\n"},
        base="scratch",
    ),
)

_NEEDED = (
    Case(
        name="tricky-07-unused-is-not-run",
        why="a stage that nothing needs is not run and its image is not looked for",
        dockerfile="""\
FROM registry.invalid/no/such:image AS unused
RUN exit 1
FROM base AS failing
RUN exit 1
COPY missing /
FROM base
RUN echo ran > /seen
""",
    ),
    Case(
        name="tricky-07-unused-with-mistake",
        why="but a mistake in it fails",
        dockerfile="FROM base AS unused\nNOPE x\nFROM base\n",
        fails="NOPE",
        line=2,
    ),
    Case(
        name="tricky-07-unused-with-bad-flag",
        why="also one of a flag",
        dockerfile="FROM base AS unused\nRUN --nope=1 true\nFROM base\n",
        fails="nope",
        line=2,
    ),
    Case(
        name="tricky-07-unused-after-target",
        why="also after the target",
        dockerfile="FROM base AS one\nFROM base AS two\nEXPOSE\n",
        args=("--target", "one"),
        fails="EXPOSE",
        line=3,
    ),
    Case(
        name="tricky-07-unused-with-bad-variable",
        why="a substitution that is wrong is found only where it is needed",
        dockerfile="FROM base AS unused\nLABEL a=${b^}\nFROM base\nLABEL ok=tricky-07-unused-with-bad-variable\n",
    ),
    Case(
        name="tricky-07-unused-with-bad-value",
        why="and so are a port and a signal",
        dockerfile="FROM base AS unused\nEXPOSE nope\nSTOPSIGNAL NOPE\nFROM base\nLABEL ok=tricky-07-unused-with-bad-value\n",
    ),
    Case(
        name="target",
        why="what comes after it is not built, its config is the stage's",
        dockerfile="FROM base AS one\nENV A=1\nFROM one AS two\nENV B=2\nRUN echo two > /two\nFROM two AS three\nRUN exit 1\n",
        args=("--target", "two"),
    ),
    Case(name="target-missing", why="no such stage", dockerfile="FROM base AS one\n", args=("--target", "nope"), fails="nope", line=-1),
    Case(
        name="target-is-no-index",
        why="a stage is meant by its name alone",
        dockerfile="FROM base AS one\nFROM base AS two\n",
        args=("--target", "0"),
        fails="0",
        line=-1,
    ),
    Case(
        name="stage-diamond",
        why="a stage that two need is run once: both have the same",
        dockerfile="""\
FROM base AS root
RUN head -c 8 /dev/urandom | md5sum > /random
FROM root AS left
RUN echo left > /left
FROM root AS right
RUN echo right > /right
FROM base
COPY --from=left /random /left /l/
COPY --from=right /random /right /r/
RUN cmp /l/random /r/random && echo same > /seen && rm /l/random /r/random
""",
    ),
    Case(
        name="stage-deep-chain",
        why="thirty stages, each on the one before",
        dockerfile="FROM base AS s0\n" + "".join(f"FROM s{n} AS s{n + 1}\nRUN echo {n} >> /seen\nENV N={n}\n" for n in range(30)),
    ),
    Case(
        name="stage-inherits-workdir-user-shell",
        why="a stage goes on where the one below it was",
        dockerfile='FROM base AS one\nWORKDIR /work\nUSER bob\nSHELL ["/bin/sh", "-u", "-c"]\nFROM one\nRUN pwd > /tmp/seen; id -u >> /tmp/seen; echo $- >> /tmp/seen\nWORKDIR sub\n',
    ),
    Case(
        name="stage-uses-copy-from-image",
        why="an image that no FROM names",
        dockerfile="FROM base\nCOPY --from=configured /srv/app/app /x\n",
    ),
)

_REFERENCES = (
    Case(
        name="tricky-06-forward",
        why="a stage that comes later is not there yet: FROM looks for an image of its name",
        dockerfile="FROM later\nFROM base AS later\nFROM base\nCOPY --from=0 /x /x\n",
        fails="later",
        line=1,
    ),
    Case(
        name="tricky-06-forward-copy",
        why="and so does COPY --from",
        dockerfile="FROM base AS one\nCOPY --from=later /x /x\nFROM base AS later\nFROM one\n",
        fails="later",
        line=2,
    ),
    Case(
        name="stage-copies-from-itself",
        why="a stage is not there yet for itself either",
        dockerfile="FROM base AS one\nCOPY --from=one /x /x\n",
        fails="one",
        line=2,
    ),
    Case(name="stage-copies-from-own-index", why="nor by its number", dockerfile="FROM base\nCOPY --from=0 /x /x\n", fails="0", line=2),
    Case(name="stage-index-too-high", why="no such number", dockerfile="FROM base\nFROM base\nCOPY --from=7 /x /x\n", fails="7", line=3),
    Case(
        name="stage-circle",
        why="two that copy from each other are a forward reference",
        dockerfile="FROM base AS one\nCOPY --from=two /x /x\nFROM base AS two\nCOPY --from=one /x /x\n",
        fails="two",
        line=2,
    ),
)

_FROM = (
    Case(
        name="from-variables",
        why="global ARGs, modifiers and a given value",
        dockerfile="ARG name=ba\nARG what\nFROM ${name}se AS one\nFROM ${what:-nope} AS two\nFROM two AS final\nLABEL ok=from-variables\n",
        args=("--build-arg", "what=one"),
    ),
    Case(
        name="from-name-is-not-expanded",
        why="a stage's own name is as written",
        dockerfile="ARG n=one\nFROM base AS $n\n",
        fails="$n",
        line=2,
    ),
    Case(
        name="from-variable-names-a-stage",
        why="a variable may name a stage",
        dockerfile="ARG which=two\nFROM base AS one\nLABEL l=1\nFROM base AS two\nLABEL l=2\nFROM ${which}\nFROM ${which:+one}\nFROM $which\n",
        args=("--build-arg", "which=one"),
    ),
    Case(
        name="from-arg-between",
        why="an ARG between stages belongs to the stage above it, and is no FROM's",
        dockerfile="ARG image=base\nFROM base AS one\nARG image=nope\nFROM $image\nLABEL ok=from-arg-between\n",
    ),
    Case(
        name="from-platform",
        why="of the build or of the target, which are one here",
        dockerfile="FROM --platform=$BUILDPLATFORM base AS one\nRUN echo 1 > /x\nFROM --platform=$TARGETPLATFORM base\nCOPY --from=one /x /x\n",
    ),
    Case(
        name="from-platform-of-scratch",
        why="scratch is of every platform",
        dockerfile="FROM --platform=linux/arm64 scratch\nCOPY f /f\n",
        files={"f": ""},
        base="scratch",
    ),
    Case(name="from-platform-wrong", why="no such platform", dockerfile="FROM --platform=nope/nope/nope/nope base\n", fails="nope", line=1),
    Case(
        name="from-platform-empty",
        why="a variable that is empty",
        dockerfile="FROM --platform=$NOTHING base\nLABEL ok=from-platform-empty\n",
        fails="platform",
        line=1,
    ),
    Case(name="from-tag-of-base", why="the tag may be written", dockerfile="FROM base:latest\nLABEL ok=from-tag-of-base\n"),
    Case(name="from-quoted", why="a name may be quoted", dockerfile='FROM "base" AS one\nLABEL ok=from-quoted\n'),
    Case(name="from-nothing", why="no name", dockerfile="FROM\n", fails="FROM", line=1),
    Case(name="from-two-names", why="two names", dockerfile="FROM base other\n", fails="FROM", line=1),
    Case(name="from-as-nothing", why="no name behind AS", dockerfile="FROM base AS\n", fails="FROM", line=1),
    Case(name="from-empty-variable", why="a variable that is unset", dockerfile="FROM $nothing\n", fails="FROM", line=1),
    Case(name="from-wrong-name", why="no name of an image", dockerfile="FROM BASE!\n", fails="BASE!", line=1),
    Case(name="from-unknown-flag", why="no such flag", dockerfile="FROM --as=x base\n", fails="as", line=1),
    Case(name="from-none", why="instructions without an image", dockerfile="RUN true\n", fails="FROM", line=1),
    Case(name="from-only-arg", why="ARG alone makes no image", dockerfile="ARG a=1\n", fails="FROM"),
    Case(name="from-scratch-run", why="nothing to run in", dockerfile="FROM scratch\nRUN true\n", base="scratch", fails="/bin/sh", line=2),
)

_CONTEXTS = (
    Case(
        name="tricky-06-context-over-image",
        why="a named context is there instead of an image of its name",
        dockerfile="FROM somewhere/else:1.2\nLABEL ok=tricky-06-context-over-image\n",
        contexts={"somewhere/else:1.2": "configured"},
        base="configured",
    ),
    Case(
        name="tricky-06-context-over-stage",
        why="and instead of a stage of its name, in FROM and in --from, whose instructions are not run",
        dockerfile="FROM base AS one\nRUN exit 1\nFROM base AS two\nCOPY --from=one /srv/app/app /x\nFROM one\nCOPY --from=two /x /y\nUSER 0\nRUN cat /y > /z\n",
        contexts={"one": "configured"},
        base="configured",
    ),
    Case(
        name="context-of-files-in-from",
        why="FROM a context of files is an image of them without a config",
        dockerfile="FROM files\nCOPY --from=base /etc/group /group\nLABEL ok=context-of-files-in-from\n",
        contexts={"files": {"a": "a\n", "b/c": "c\n"}},
        base="scratch",
    ),
    Case(
        name="context-of-files-over-stage",
        why="a stage may be replaced by files",
        dockerfile="FROM base AS made\nRUN exit 1\nFROM base\nCOPY --from=made /dir/ /got/\n",
        contexts={"made": {"dir/file": "from outside\n"}},
    ),
    Case(
        name="context-over-target",
        why="a target of which a context has the name is that image; its triggers are gone from the config, and do not fire",
        dockerfile="FROM base AS one\nRUN exit 1\nFROM base AS two\n",
        contexts={"one": "onbuild"},
        args=("--target", "one"),
        base="onbuild",
    ),
    Case(
        name="context-over-last-stage",
        why="the last stage too, so nothing of the file is left",
        dockerfile="FROM base AS two\nFROM base AS one\nLABEL ok=context-over-last-stage\n",
        contexts={"one": "configured"},
        base="configured",
    ),
    Case(
        name="context-names-have-a-case",
        why="unlike a stage's, a context's name in capitals is not found",
        dockerfile="FROM base\nCOPY --from=Other file /x\n",
        contexts={"other": {"file": "other\n"}},
        fails="Other",
        line=2,
    ),
    Case(
        name="context-by-tag",
        why="a name without a tag is the one with latest",
        dockerfile="FROM tagged:latest\nLABEL ok=context-by-tag\n",
        contexts={"tagged": "configured"},
        base="configured",
    ),
    Case(
        name="context-onbuild",
        why="an image from a context fires its triggers too",
        dockerfile="FROM other\n",
        files={"trigger.txt": "t\n"},
        contexts={"other": "onbuild"},
    ),
    Case(
        name="context-unused",
        why="one that nobody names",
        dockerfile="FROM base\nLABEL ok=context-unused\n",
        contexts={"unused": {"a": ""}},
    ),
)

CASES = (*_NAMES, *_NEEDED, *_REFERENCES, *_FROM, *_CONTEXTS)
