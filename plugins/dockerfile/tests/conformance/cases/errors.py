"""Mistakes that belong to no other group: which flags and words an instruction takes, and in which order mistakes are found."""

from case import Case

_ARGUMENTS = (
    Case(name="error-run-nothing", why="a RUN without a command runs an empty script", dockerfile="FROM base\nRUN\n"),
    Case(name="error-run-empty-list", why="a list without a program", dockerfile="FROM base\nRUN []\n", fails="RUN", line=2),
    Case(name="error-run-empty-word", why="a program without a name", dockerfile='FROM base\nRUN [""]\n', fails="RUN", line=2),
    Case(name="error-run-json-numbers", why="a list that is not of strings", dockerfile="FROM base\nRUN [1, 2]\n", fails="strings", line=2),
    Case(name="error-run-unknown-flag", why="no such flag", dockerfile="FROM base\nRUN --privileged true\n", fails="privileged", line=2),
    Case(
        name="error-run-security",
        why="a flag of the labs channel only",
        dockerfile="FROM base\nRUN --security=sandbox true\n",
        fails="security",
        line=2,
    ),
    Case(name="error-run-device", why="and another", dockerfile="FROM base\nRUN --device=vendor.com/device true\n", fails="device", line=2),
    Case(
        name="error-run-network-unknown", why="no such network", dockerfile="FROM base\nRUN --network=bridge true\n", fails="bridge", line=2
    ),
    Case(
        name="error-run-network-empty", why="a flag without a value", dockerfile="FROM base\nRUN --network true\n", fails="network", line=2
    ),
    Case(
        name="error-run-flag-twice",
        why="a flag that may stand once",
        dockerfile="FROM base\nRUN --network=none --network=none true\n",
        fails="network",
        line=2,
    ),
    Case(
        name="error-run-flag-with-one-dash",
        why="one dash is the shell's",
        dockerfile="FROM base\nRUN -network=none true\n",
        fails="exit code",
        line=2,
    ),
    Case(name="error-copy-nothing", why="no words", dockerfile="FROM base\nCOPY\n", fails="COPY", line=2),
    Case(name="error-copy-one", why="no destination", dockerfile="FROM base\nCOPY a\n", files={"a": ""}, fails="COPY", line=2),
    Case(
        name="error-copy-unknown-flag",
        why="no such flag",
        dockerfile="FROM base\nCOPY --owner=1 a b\n",
        files={"a": ""},
        fails="owner",
        line=2,
    ),
    Case(
        name="error-copy-flag-of-add",
        why="a flag of ADD's",
        dockerfile="FROM base\nCOPY --checksum=sha256:00 a b\n",
        files={"a": ""},
        fails="checksum",
        line=2,
    ),
    Case(name="error-add-one", why="no destination", dockerfile="FROM base\nADD a\n", files={"a": ""}, fails="ADD", line=2),
    Case(name="error-workdir-nothing", why="no path", dockerfile="FROM base\nWORKDIR\n", fails="WORKDIR", line=2),
    Case(name="error-workdir-flag", why="WORKDIR has no flags", dockerfile="FROM base\nWORKDIR --x=1 /a\n", fails="x", line=2),
    Case(name="error-env-flag", why="ENV has no flags", dockerfile="FROM base\nENV --x=1 a=b\n", fails="x", line=2),
    Case(name="error-shell-nothing", why="no list", dockerfile="FROM base\nSHELL\n", fails="SHELL", line=2),
    Case(
        name="error-entrypoint-numbers",
        why="a list that is not of strings",
        dockerfile='FROM base\nENTRYPOINT ["a", null]\n',
        fails="strings",
        line=2,
    ),
    Case(name="error-volume-numbers", why="a list that is not of strings", dockerfile="FROM base\nVOLUME [1]\n", fails="strings", line=2),
    Case(
        name="error-shell-numbers", why="a list that is not of strings", dockerfile='FROM base\nSHELL ["a", {}]\n', fails="strings", line=2
    ),
    Case(
        name="error-healthcheck-numbers",
        why="a list that is not of strings",
        dockerfile="FROM base\nHEALTHCHECK CMD [true]\n",
        fails="strings",
        line=2,
    ),
    Case(name="error-stopsignal-two", why="two words", dockerfile="FROM base\nSTOPSIGNAL 9 15\n", fails="9 15", line=2),
    Case(name="error-stopsignal-zero", why="no signal", dockerfile="FROM base\nSTOPSIGNAL 0\n", fails="0", line=2),
    Case(
        name="error-stopsignal-variable",
        why="a variable that is empty is no signal",
        dockerfile="FROM base\nSTOPSIGNAL $nothing\n",
        fails="STOPSIGNAL",
        line=2,
    ),
    Case(
        name="error-user-variable",
        why="a variable that is empty is nobody, so root",
        dockerfile="FROM configured\nUSER $nothing\nRUN id -u > /seen\n",
        base="configured",
    ),
    Case(name="error-expose-negative", why="no port", dockerfile="FROM base\nEXPOSE -1\n", fails="-1", line=2),
    Case(name="error-expose-unknown-flag", why="no flags", dockerfile="FROM base\nEXPOSE --udp 80\n", fails="udp", line=2),
    Case(name="error-expose-empty-protocol", why="a slash and nothing", dockerfile="FROM base\nEXPOSE 80/\n"),
)

_ORDER = (
    Case(name="error-before-from", why="only ARG stands before FROM", dockerfile="ENV a=1\nFROM base\n", fails="FROM", line=1),
    Case(name="error-label-before-from", why="nor does LABEL", dockerfile="ARG x\nLABEL a=1\nFROM base\n", fails="FROM", line=2),
    Case(
        name="error-syntax-before-run",
        why="a mistake in a later line is found before anything runs",
        dockerfile="FROM base\nRUN exit 9\nEXPOSE\n",
        fails="EXPOSE",
        line=3,
    ),
    Case(
        name="error-value-before-run",
        why="also one in a value of a later line",
        dockerfile="FROM base\nRUN exit 9\nEXPOSE nope\n",
        fails="nope",
        line=3,
    ),
    Case(name="error-variable-before-run", why="also a substitution", dockerfile="FROM base\nRUN exit 9\nENV a=${b^}\n", fails="^", line=3),
    Case(
        name="error-first-of-two",
        why="of two mistakes the first is said",
        dockerfile="FROM base\nNOPE one\nNADA two\n",
        fails="NOPE",
        line=2,
    ),
    Case(
        name="error-missing-file-before-run",
        why="a missing source is said with its line",
        dockerfile="FROM base\nCOPY one two /x/\n",
        files={"one": ""},
        fails="two",
        line=2,
    ),
    Case(
        name="error-missing-in-stage",
        why="a missing file of a stage, with its line",
        dockerfile="FROM base AS a\nFROM base\nRUN true\nCOPY --from=a /nope /x\n",
        fails="nope",
        line=4,
    ),
    Case(
        name="error-continued-line",
        why="the first line of an instruction of several",
        dockerfile="FROM base\n\n\nENV a=1 \\\n  b=2 \\\n  c\n",
        fails="c",
        line=4,
    ),
    Case(
        name="error-after-heredoc",
        why="lines of a here-document count",
        dockerfile="FROM base\nRUN <<EOF\none\ntwo\nEOF\nNOPE\n",
        fails="NOPE",
        line=6,
    ),
    Case(
        name="error-in-second-stage",
        why="the line is of the file, not of the stage",
        dockerfile="FROM base AS a\nRUN true\n\nFROM a\nRUN false\n",
        fails="exit code 1",
        line=5,
    ),
    Case(
        name="error-run-says-command",
        why="the command is in what is said",
        dockerfile="FROM base\nRUN echo some words && false\n",
        fails="echo some words && false",
        line=2,
    ),
    Case(
        name="error-run-shows-output",
        why="and what it printed",
        dockerfile="FROM base\nRUN echo out && echo err >&2 && exit 4\n",
        fails="err",
        line=2,
    ),
    Case(
        name="error-no-dockerfile-image",
        why="an image that nobody has",
        dockerfile="FROM registry.invalid/nobody/has:this\n",
        fails="registry.invalid/nobody/has:this",
        line=1,
    ),
)

_COMMAND_LINE = (
    Case(
        name="error-secret-file-missing",
        why="a secret whose file is not there",
        dockerfile="FROM base\nRUN true\n",
        args=("--secret", "id=s,src=nope.txt"),
        fails="nope.txt",
        line=-1,
    ),
    Case(
        name="error-secret-key",
        why="no such key of a secret",
        dockerfile="FROM base\n",
        args=("--secret", "id=s,colour=red"),
        fails="colour",
        line=-1,
    ),
    Case(name="error-platform", why="no such platform", dockerfile="FROM base\n", args=("--platform", "a/b/c/d"), fails="a/b/c/d", line=-1),
    Case(
        name="error-platform-empty",
        why="a platform without parts",
        dockerfile="FROM base\n",
        args=("--platform", "linux/"),
        fails="linux/",
        line=-1,
    ),
)

CASES = (*_ARGUMENTS, *_ORDER, *_COMMAND_LINE)
