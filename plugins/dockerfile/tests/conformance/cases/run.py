"""RUN: its forms, and what becomes of its exit code."""

from case import Case

_FORMS = (
    Case(
        name="run-shell",
        why="the plainest RUN",
        dockerfile="FROM base\nRUN echo one > /seen && echo two >> /seen\n",
    ),
    Case(
        name="run-exec",
        why="the words of the JSON form reach the program as they are",
        dockerfile='FROM base\nRUN ["/bin/sh", "-c", "echo $0 $1 $# > /seen", "zero", "one two"]\n',
    ),
    Case(
        name="run-exec-is-not-expanded",
        why="neither the builder nor a shell looks into the words; the escapes are JSON's",
        dockerfile='FROM base\nENV NAME=value\nRUN ["touch", "/$NAME", "/a b", "/*", "/\\u00e9", "/tab\\there"]\n',
    ),
    Case(
        name="run-exec-looks-in-path",
        why="the PATH is the image's, as the ENV before it says",
        dockerfile="""\
FROM base
ENV PATH=/mine:$PATH
RUN mkdir /mine && printf '#!/bin/sh\\necho mine > /seen\\n' > /mine/tool && chmod 755 /mine/tool
RUN ["tool"]
""",
    ),
    Case(
        name="run-exec-path-of-arg",
        why="an ARG PATH beats the image's in RUN, also for where programs are found; it is not kept",
        dockerfile="""\
FROM base
RUN mkdir /mine && cp /bin/busybox /mine/touch
ARG PATH=/mine
RUN ["touch", "/one"]
RUN /bin/echo $PATH > /seen
""",
    ),
    Case(
        name="run-exec-relative-program",
        why="a program with a slash is looked for in the working directory",
        dockerfile="""\
FROM base
WORKDIR /work
RUN printf '#!/bin/sh\\npwd > /seen\\n' > here && chmod 755 here
RUN ["./here"]
""",
    ),
    Case(
        name="run-script-without-shebang",
        why="a shell runs a text file without a shebang as a script",
        dockerfile="FROM base\nRUN echo 'echo $1 > /seen' > /script && chmod 755 /script\nRUN /script word\n",
    ),
    Case(
        name="run-continuations",
        why="a continued line keeps its leading blanks, also within quotes",
        dockerfile="""\
FROM base
RUN echo a \\
    b \\
 && echo "c \\
    d" \\
  > /seen
RUN echo "c \\
    d" > /quoted
""",
    ),
    Case(
        name="run-quotes-reach-the-shell",
        why="the builder expands nothing in RUN and takes no quote away",
        dockerfile="FROM base\nENV NAME=value\nRUN echo \"a  $NAME\" 'b  $NAME' c\\ \\ d \\$NAME ${NAME#va} ${NO-x} > /seen\n",
    ),
    Case(
        name="run-backslashes-reach-the-shell",
        why="a backslash within a line is the shell's",
        dockerfile="FROM base\nRUN printf 'a\\\\n\\tb\\n%s' '\\' > /seen\n",
    ),
    Case(
        name="run-hash-within-a-line",
        why="# begins a comment of the shell's there, not of the Dockerfile's",
        dockerfile="FROM base\nRUN echo '# kept' a#b > /seen # gone > /not\n",
    ),
    Case(
        name="run-assignment-before-command",
        why="an assignment is the shell's, not a flag",
        dockerfile="FROM base\nRUN WHO=me sh -c 'echo $WHO > /seen'\n",
    ),
    Case(
        name="run-flags-end-at-the-command",
        why="what looks like a flag after the first word is the command's",
        dockerfile="FROM base\nRUN echo --network=none --mount=x > /seen\n",
    ),
    Case(
        name="run-shell-changed",
        why="every RUN has the SHELL before it",
        dockerfile="""\
FROM base
SHELL ["/bin/sh", "-e", "-u", "-c"]
RUN echo $- > /seen
SHELL ["/bin/sh", "-c"]
RUN echo "${NOT_SET}x" >> /seen
""",
    ),
    Case(
        name="run-shell-with-e",
        why="-e of SHELL ends the step at the first failure",
        dockerfile='FROM base\nSHELL ["/bin/sh", "-e", "-c"]\nRUN false; echo reached > /seen\n',
        fails="exit code 1",
        line=3,
    ),
    Case(
        name="run-shell-has-no-e-by-default",
        why="only the last command's exit code counts, and of a pipe the last program's",
        dockerfile="FROM base\nRUN false; echo reached > /seen\nRUN false | cat > /pipe\n",
    ),
    Case(
        name="run-shell-of-base",
        why="the base image's Shell runs the RUN of whoever builds on it (`configured` has sh -ec)",
        dockerfile="FROM configured\nUSER root\nRUN false; echo reached > /seen\n",
        base="configured",
        fails="exit code 1",
        line=3,
    ),
    Case(
        name="run-shell-that-is-none",
        why="the command is one word to whatever SHELL names; the exec form has no shell",
        dockerfile='FROM base\nSHELL ["touch"]\nRUN /one word\nRUN ["/bin/touch", "/two"]\n',
    ),
    Case(
        name="run-shell-inherited-by-stage",
        why="SHELL is part of the config that a stage hands on",
        dockerfile='FROM base AS first\nSHELL ["/bin/sh", "-u", "-c"]\nFROM first\nRUN echo $- > /seen\n',
    ),
)

_EXITS = (
    Case(name="run-exit-code", why="the code is said", dockerfile="FROM base\nRUN exit 3\n", fails="exit code 3", line=2),
    Case(
        name="run-exit-code-of-many-lines",
        why="the line is the instruction's first",
        dockerfile="FROM base\n\n# comment\nRUN true \\\n # within\n && exit 42\n",
        fails="exit code 42",
        line=4,
    ),
    Case(
        name="run-not-found",
        why="what a shell does not find",
        dockerfile="FROM base\nRUN no-such-command\n",
        fails="exit code 127",
        line=2,
    ),
    Case(
        name="run-exec-not-found",
        why="what PATH has not",
        dockerfile='FROM base\nRUN ["no-such-command"]\n',
        fails="no-such-command",
        line=2,
    ),
    Case(
        name="run-exec-file-not-found",
        why="a program that is not there",
        dockerfile='FROM base\nRUN ["/no/such"]\n',
        fails="/no/such",
        line=2,
    ),
    Case(
        name="run-no-shell",
        why="the default shell in an image that has none",
        dockerfile="FROM scratch\nRUN true\n",
        base="scratch",
        fails="/bin/sh",
        line=2,
    ),
    Case(
        name="run-killed",
        why="a signal is 128 and its number",
        dockerfile="FROM base\nRUN sh -c 'kill -9 $$'; exit $?\n",
        fails="exit code 137",
        line=2,
    ),
    Case(
        name="run-not-executable",
        why="a file without x",
        dockerfile='FROM base\nRUN ["/etc/passwd"]\n',
        fails="/etc/passwd",
        line=2,
    ),
    Case(
        name="run-unknown-user",
        why="USER itself does not look, RUN does",
        dockerfile="FROM base\nUSER ghost\nRUN true\n",
        fails="ghost",
        line=3,
    ),
    Case(
        name="run-unknown-group",
        why="a group by name must be in the image",
        dockerfile="FROM base\nUSER 0:ghosts\nRUN true\n",
        fails="ghosts",
        line=3,
    ),
    Case(
        name="run-after-failure-nothing",
        why="a failure in a stage that is needed fails the build",
        dockerfile="FROM base AS first\nRUN exit 5\nFROM base\nCOPY --from=first /etc/passwd /x\n",
        fails="exit code 5",
        line=2,
    ),
)

CASES = (*_FORMS, *_EXITS)
