"""ONBUILD: recorded, fired by who builds on it, gone afterwards."""

from case import Case

_TRIGGER = {"trigger.txt": "trigger\n"}

CASES = (
    Case(
        name="onbuild-recorded",
        why="as written, in order, nothing done or expanded",
        dockerfile="""\
FROM base
ARG a=1
ONBUILD RUN echo   "$a" && \\
    true
ONBUILD COPY . /src
onbuild env A=$a B="x  y"
ONBUILD CMD ["a",  "b"]
ONBUILD RUN ["x"]
ONBUILD   ADD   --chown=1:2 a b
""",
    ),
    Case(
        name="onbuild-fires",
        why="first of all, with the context of who builds; and it is gone from the config",
        dockerfile="FROM onbuild\nRUN echo after $TRIGGERED >> /onbuild/ran\n",
        files=_TRIGGER,
    ),
    Case(
        name="onbuild-fires-with-arg",
        why="an ARG of a trigger may be given",
        dockerfile="FROM onbuild\nLABEL l=$TRIGGER\n",
        files=_TRIGGER,
        args=("--build-arg", "TRIGGER=cli"),
    ),
    Case(
        name="onbuild-global-arg",
        why="a trigger's ARG is as if it stood in the file: its own default, which a global one does not touch",
        dockerfile="ARG TRIGGER=global\nFROM onbuild\nARG TRIGGER\nLABEL l=$TRIGGER\n",
        files=_TRIGGER,
    ),
    Case(
        name="onbuild-fails",
        why="a trigger that fails",
        dockerfile="ARG x\nFROM onbuild\n",
        fails="trigger.txt",
        line=2,
    ),
    Case(
        name="onbuild-not-used",
        why="of a stage that nothing needs they are not fired",
        dockerfile="FROM onbuild AS unused\nFROM base\nLABEL ok=onbuild-not-used\n",
    ),
    Case(
        name="onbuild-not-by-copy",
        why="copying from such an image fires nothing",
        dockerfile="FROM base\nCOPY --from=onbuild /real/file /x\nRUN --mount=from=onbuild,target=/m ls -d /m/onbuild > /seen 2> /dev/null || echo none > /seen\n",
    ),
    Case(
        name="tricky-25-onbuild-same-file",
        why="a stage of the same file fires those of the stage it stands on, which itself keeps them in its config",
        dockerfile="""\
FROM base AS parent
ONBUILD RUN echo fired >> /fired
ONBUILD ENV FIRED=yes
RUN echo parent > /parent
FROM parent AS child
RUN echo $FIRED > /child
""",
    ),
    Case(
        name="onbuild-of-the-target",
        why="the stage that is built keeps its own",
        dockerfile="FROM base AS parent\nONBUILD RUN exit 1\nONBUILD USER bob\nFROM parent\n",
        args=("--target", "parent"),
    ),
    Case(
        name="tricky-25-grandchildren",
        why="a grandchild fires nothing of its grandparent, but what its parent recorded",
        dockerfile="""\
FROM base AS grandparent
ONBUILD RUN echo grandparent >> /fired
FROM grandparent AS parent
ONBUILD RUN echo parent >> /fired
FROM parent AS child
RUN echo child >> /fired
FROM child
RUN echo last >> /fired
""",
    ),
    Case(
        name="onbuild-twice-from-one",
        why="each who stands on it fires them",
        dockerfile="FROM base AS parent\nONBUILD RUN echo fired >> /fired\nFROM parent AS a\nRUN echo a >> /fired\nFROM parent AS b\nCOPY --from=a /fired /a\n",
    ),
    Case(
        name="tricky-25-onbuild-copy-from",
        why="a trigger that copies from a stage makes that stage needed, even one after it in the file",
        dockerfile="""\
FROM base AS source
RUN echo source > /source
FROM base AS parent
ONBUILD COPY --from=source /source /got
FROM parent
RUN cat /got > /seen
""",
    ),
    Case(
        name="onbuild-mount-from",
        why="and so does one that mounts a stage",
        dockerfile="FROM base AS source\nRUN echo source > /source\nFROM base AS parent\nONBUILD RUN --mount=from=source,target=/s cat /s/source > /got\nFROM parent\n",
    ),
    Case(
        name="onbuild-copy-from-missing",
        why="the stage is looked for where the trigger fires",
        dockerfile="FROM base AS parent\nONBUILD COPY --from=7 /source /got\nFROM parent\n",
        fails="7",
        line=3,
    ),
    Case(
        name="onbuild-expands-when-fired",
        why="with the variables of the child",
        dockerfile="""\
FROM base AS parent
ARG where=parent
ENV who=parent
ONBUILD LABEL l=$where-$who-$late
ONBUILD ARG late=2
ONBUILD RUN echo "$where $who $late" > /seen
ENV who=later
ARG where=later
FROM parent
LABEL m=$late
""",
    ),
    Case(
        name="onbuild-every-instruction",
        why="all that may be triggers",
        dockerfile="""\
FROM base AS parent
ONBUILD ADD a /a
ONBUILD ARG X=1
ONBUILD ENV Y=$X
ONBUILD WORKDIR /w
ONBUILD EXPOSE 80
ONBUILD VOLUME /v
ONBUILD LABEL l=1
ONBUILD USER bob
ONBUILD STOPSIGNAL 9
ONBUILD SHELL ["/bin/sh", "-u", "-c"]
ONBUILD HEALTHCHECK --retries=2 CMD true
ONBUILD ENTRYPOINT ["e"]
ONBUILD CMD c d
ONBUILD RUN echo $- > /tmp/seen; pwd >> /tmp/seen; id -u >> /tmp/seen
FROM parent
""",
        files={"a": "a\n"},
    ),
    Case(
        name="onbuild-cmd-and-entrypoint",
        why="a CMD of a trigger is the child's own, so an ENTRYPOINT leaves it",
        dockerfile='FROM base AS parent\nONBUILD CMD ["c"]\nFROM parent\nENTRYPOINT ["e"]\n',
    ),
    Case(
        name="onbuild-heredoc",
        why="a text after a trigger belongs to it",
        dockerfile="FROM base AS parent\nONBUILD RUN <<EOF\necho one > /seen\nEOF\nONBUILD COPY <<EOF /copied\ntext\nEOF\nFROM parent\n",
    ),
    Case(
        name="onbuild-escape",
        why="a trigger has lost its line ends, whatever escaped them",
        dockerfile="# escape=`\nFROM base AS parent\nONBUILD RUN echo a `\n b > /seen\nFROM parent\nRUN echo c `\n d >> /seen\n",
    ),
    Case(name="onbuild-onbuild", why="may not be chained", dockerfile="FROM base\nONBUILD ONBUILD RUN true\n", fails="ONBUILD", line=2),
    Case(name="onbuild-from", why="FROM is no trigger", dockerfile="FROM base\nONBUILD FROM base\n", fails="FROM", line=2),
    Case(name="onbuild-maintainer", why="nor is MAINTAINER", dockerfile="FROM base\nONBUILD MAINTAINER me\n", fails="MAINTAINER", line=2),
    Case(name="onbuild-nothing", why="no instruction", dockerfile="FROM base\nONBUILD\n", fails="ONBUILD", line=2),
    Case(
        name="onbuild-unknown",
        why="a trigger is not looked at while it is recorded",
        dockerfile="FROM base\nONBUILD NOPE x\nONBUILD COPY a\n",
    ),
    Case(
        name="onbuild-unknown-fired",
        why="but where it is fired",
        dockerfile="FROM base AS parent\nONBUILD NOPE x\nFROM parent\n",
        fails="NOPE",
        line=3,
    ),
    Case(
        name="onbuild-mistake-fired",
        why="and so is a mistake",
        dockerfile="FROM base AS parent\nONBUILD COPY a\nFROM parent\n",
        fails="COPY",
        line=3,
    ),
    Case(
        name="onbuild-mistake-not-fired",
        why="in a stage that nothing needs nobody looks",
        dockerfile="FROM base AS parent\nONBUILD NOPE x\nFROM parent AS unused\nFROM base\nLABEL ok=onbuild-mistake-not-fired\n",
    ),
)
