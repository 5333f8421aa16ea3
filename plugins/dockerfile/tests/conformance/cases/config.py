"""The image's config: CMD and ENTRYPOINT, LABEL, EXPOSE, VOLUME, USER, STOPSIGNAL, SHELL, MAINTAINER. HEALTHCHECK has its own module."""

from case import Case

_COMMANDS = (
    Case(name="cmd-exec", why="words as they are", dockerfile='FROM base\nCMD ["echo", "a b", "$HOME", "\\u00e9", ""]\n'),
    Case(name="cmd-shell", why="the default shell and the text as it is", dockerfile="FROM base\nCMD echo \"a  b\"   $HOME 'c' > /x\n"),
    Case(
        name="cmd-shell-continued",
        why="lines are joined, their indentation stays",
        dockerfile="FROM base\nCMD echo a \\\n    b \\\n # comment\n  c\n",
    ),
    Case(
        name="cmd-shell-with-shell",
        why="SHELL before it, not after it",
        dockerfile='FROM base\nCMD one\nSHELL ["/bin/ash", "-x", "-c"]\nCMD two words\n',
    ),
    Case(
        name="cmd-shell-of-base",
        why="the base image's SHELL",
        dockerfile="FROM configured\nCMD one two\nHEALTHCHECK CMD three\n",
        base="configured",
    ),
    Case(name="cmd-twice", why="the last counts", dockerfile='FROM base\nCMD ["one"]\nCMD ["two"]\n'),
    Case(name="cmd-empty-json", why="an empty list clears what was inherited", dockerfile="FROM configured\nCMD []\n", base="configured"),
    Case(name="cmd-nothing", why="no word at all is an empty shell form", dockerfile="FROM base\nCMD\n"),
    Case(
        name="cmd-json-blanks",
        why="blanks within the brackets and at the end of the line",
        dockerfile='FROM base\nCMD   [ "a" ,\t"b" ]  \n',
    ),
    Case(name="cmd-json-continued", why="JSON over several lines", dockerfile='FROM base\nCMD ["a", \\\n  "b", \\\n  "c"]\n'),
    Case(name="entrypoint-exec", why="alone, it clears the base's CMD", dockerfile='FROM base\nENTRYPOINT ["/e", "x"]\n'),
    Case(name="entrypoint-shell", why="with the default shell", dockerfile="FROM base\nENTRYPOINT exec top -b\n"),
    Case(name="entrypoint-nothing", why="no word", dockerfile="FROM base\nENTRYPOINT\n"),
    Case(
        name="entrypoint-empty-json",
        why="an empty list clears the entrypoint, and the CMD too",
        dockerfile="FROM configured\nENTRYPOINT []\n",
        base="configured",
    ),
    Case(
        name="entrypoint-empty-and-cmd",
        why="both cleared, then a new CMD",
        dockerfile='FROM configured\nENTRYPOINT []\nCMD ["new"]\n',
        base="configured",
    ),
    Case(
        name="tricky-08-entrypoint-clears-cmd",
        why="an inherited CMD, of an image",
        dockerfile='FROM configured\nENTRYPOINT ["/new"]\n',
        base="configured",
    ),
    Case(
        name="tricky-08-cmd-before-entrypoint", why="a CMD of the same stage stays", dockerfile='FROM base\nCMD ["c"]\nENTRYPOINT ["e"]\n'
    ),
    Case(name="tricky-08-cmd-after-entrypoint", why="in the other order", dockerfile='FROM base\nENTRYPOINT ["e"]\nCMD ["c"]\n'),
    Case(
        name="tricky-08-cmd-of-stage-before",
        why="a CMD of the stage below is inherited, so it goes",
        dockerfile='FROM base AS below\nCMD ["c"]\nFROM below\nENTRYPOINT ["e"]\n',
    ),
    Case(
        name="tricky-08-two-entrypoints",
        why="the CMD between two ENTRYPOINTs stays",
        dockerfile='FROM base\nENTRYPOINT ["e"]\nCMD ["c"]\nENTRYPOINT ["f"]\n',
    ),
    Case(
        name="cmd-keeps-entrypoint",
        why="CMD leaves an inherited ENTRYPOINT alone",
        dockerfile='FROM configured\nCMD ["new"]\n',
        base="configured",
    ),
    Case(
        name="run-keeps-cmd",
        why="a step changes no config",
        dockerfile="FROM configured\nUSER root\nRUN touch /x\nUSER bob\n",
        base="configured",
    ),
    Case(
        name="tricky-21-invalid-json-is-shell",
        why="single quotes and a missing bracket are the shell form",
        dockerfile="""\
FROM base
RUN ['echo', "x"] > /dev/null 2>&1 || echo shell > /seen
SHELL ["/bin/sh", "-c"]
ENTRYPOINT ["a", 'b']
CMD ["a", "b"
""",
    ),
    Case(
        name="tricky-21-json-of-numbers",
        why="valid JSON that is not of strings is a mistake, not the shell form",
        dockerfile='FROM base\nCMD ["a", 1]\n',
        fails="strings",
        line=2,
    ),
    Case(name="tricky-21-json-and-words", why="words behind the list", dockerfile='FROM base\nENTRYPOINT ["a", "b"] c\n'),
    Case(name="tricky-21-json-trailing-comma", why="a comma before the bracket", dockerfile='FROM base\nCMD ["a", "b",]\n'),
    Case(name="tricky-21-json-object", why="an object", dockerfile='FROM base\nCMD {"a": "b"}\n'),
    Case(name="tricky-21-json-backslash", why="an escape that JSON does not know", dockerfile='FROM base\nCMD ["c:\\dir"]\n'),
)

_LABELS = (
    Case(
        name="label-forms",
        why="quotes, blanks, continuations, several on a line, an empty value",
        dockerfile="""\
FROM base
LABEL one=1 two="2 2" "three three"='3'
LABEL com.example.a-b_c=x
LABEL description="This text \\
spans lines" \\
      next=4 \\

      last=
LABEL org.example/with:odd=5
""",
    ),
    Case(
        name="label-merge",
        why="labels of the base are kept, replaced or emptied, never removed",
        dockerfile="FROM configured\nLABEL org.example.base=mine new=1\nLABEL org.example.kept=\n",
        base="configured",
    ),
    Case(name="label-twice", why="the last counts", dockerfile="FROM base\nLABEL a=1\nLABEL a=2\n"),
    Case(
        name="label-of-command-line",
        why="--label comes last and beats the Dockerfile",
        dockerfile="FROM base\nLABEL a=1 b=2\n",
        args=("--label", "a=cli", "--label", "c=x=y z", "--label", "d", "--label", "e="),
    ),
    Case(
        name="label-of-command-line-of-target",
        why="and is on what is built, whichever stage that is",
        dockerfile="FROM base AS one\nLABEL a=1\nFROM one AS two\nLABEL a=2\n",
        args=("--label", "a=cli", "--target", "one"),
    ),
    Case(name="label-json-value", why="quoted JSON stays JSON", dockerfile='FROM base\nLABEL a=\'{"k": [1, "v"]}\' b="{\\"k\\": 1}"\n'),
)

_PORTS_AND_VOLUMES = (
    Case(
        name="expose-forms",
        why="tcp by default, protocols in any case, ranges, several, the same twice",
        dockerfile="FROM base\nEXPOSE 80 443/tcp 53/UDP\nEXPOSE 8000-8003\nEXPOSE 9000-9001/sctp 80 80/udp\nEXPOSE 0 65535\n",
    ),
    Case(name="expose-merge", why="with the base's", dockerfile="FROM configured\nEXPOSE 53 8080\n", base="configured"),
    Case(
        name="expose-host-port",
        why="a host's port and address are read and left out",
        dockerfile="FROM base\nEXPOSE 8080:80\nEXPOSE 127.0.0.1:8443:443/tcp\n",
    ),
    Case(
        name="expose-empty-variable",
        why="a variable that is empty is no port",
        dockerfile="FROM base\nARG PORTS=\nEXPOSE $PORTS\nEXPOSE 1 $PORTS 2\n",
    ),
    Case(name="expose-json", why="there is no JSON form of EXPOSE", dockerfile='FROM base\nEXPOSE ["80"]\n', fails="80", line=2),
    Case(
        name="volume-forms",
        why="JSON and words, relative ones as they are, the same twice",
        dockerfile='FROM base\nVOLUME ["/a", "/b c"]\nVOLUME /d /e/ f\nVOLUME /a\nVOLUME "/g"\n',
    ),
    Case(
        name="volume-quoted-blank",
        why="words are split before quotes are looked at",
        dockerfile='FROM base\nVOLUME "/g h"\n',
        fails="VOLUME",
        line=2,
    ),
    Case(name="volume-merge", why="with the base's", dockerfile="FROM configured\nVOLUME /more\n", base="configured"),
    Case(
        name="tricky-25-volume-keeps-writes",
        why="what is written to a volume after VOLUME is in the image",
        dockerfile="FROM base\nVOLUME /data\nRUN mkdir -p /data && echo run > /data/run\nCOPY file /data/copied\nRUN ls /data > /seen && rm /data/run\n",
        files={"file": "copied\n"},
    ),
    Case(
        name="volume-makes-no-directory",
        why="nor does it make a layer",
        dockerfile="FROM base\nVOLUME /data\nRUN ls -d /data 2> /dev/null || echo none > /seen\n",
    ),
    Case(name="volume-empty", why="an empty word is refused", dockerfile='FROM base\nVOLUME [""]\n', fails="VOLUME", line=2),
)

_REST = (
    Case(name="user-forms", why="as written, in the config", dockerfile="FROM base\nUSER bob:staff\n"),
    Case(name="user-unknown", why="is not looked up while nothing runs", dockerfile="FROM base\nUSER ghost:1234\n"),
    Case(name="user-last", why="the last counts", dockerfile="FROM configured\nUSER 0\nUSER 12:34\n", base="configured"),
    Case(name="user-two-words", why="the rest of the line is the user", dockerfile="FROM base\nUSER a  b \n"),
    Case(
        name="user-empty",
        why="an empty word is nobody, so root",
        dockerfile='FROM configured\nUSER ""\nRUN id -u > /seen\n',
        base="configured",
    ),
    Case(name="user-quoted", why="quotes go away", dockerfile='FROM base\nUSER "bob"\n'),
    Case(name="stopsignal-name", why="a name", dockerfile="FROM base\nSTOPSIGNAL SIGTERM\n"),
    Case(name="stopsignal-number", why="a number", dockerfile="FROM base\nSTOPSIGNAL 9\n"),
    Case(
        name="stopsignal-short",
        why="a name without SIG, and a real-time signal",
        dockerfile="FROM configured\nSTOPSIGNAL QUIT\nSTOPSIGNAL RTMIN+3\n",
        base="configured",
    ),
    Case(name="shell-recorded", why="in the config as given", dockerfile='FROM base\nSHELL ["/bin/sh", "-o", "pipefail", "-c"]\n'),
    Case(name="shell-empty", why="an empty list", dockerfile="FROM base\nSHELL []\n", fails="SHELL", line=2),
    Case(
        name="maintainer",
        why="the author, who may have blanks",
        dockerfile="FROM base\nMAINTAINER  Ann Example <ann@example.org> \nMAINTAINER B  C\n",
    ),
    Case(name="config-inherited", why="everything of the base that nobody changed", dockerfile="FROM configured\n", base="configured"),
    Case(
        name="config-inherited-through-stages",
        why="and through stages",
        dockerfile="FROM configured AS a\nENV X=1\nFROM a AS b\nLABEL l=1\nFROM b\n",
        base="configured",
    ),
    Case(
        name="config-of-last-stage",
        why="nothing of a stage that was only copied from",
        dockerfile='FROM configured AS a\nENV X=1\nLABEL l=1\nFROM base\nCOPY --from=a /etc/passwd /x\nCMD ["c"]\n',
    ),
    Case(
        name="config-of-scratch",
        why="a PATH and the root as the working directory, nothing else",
        dockerfile="FROM scratch\nCOPY x /x\n",
        files={"x": ""},
        base="scratch",
    ),
    Case(
        name="config-of-scratch-with-path",
        why="an ENV PATH replaces it in its place",
        dockerfile='FROM scratch\nENV A=1\nENV PATH=/only:$PATH\nCOPY x /x\nUSER 1:2\nWORKDIR /w\nENTRYPOINT ["/x"]\n',
        files={"x": ""},
        base="scratch",
    ),
    Case(
        name="config-without-layers",
        why="an image of a config alone",
        dockerfile="FROM base\nENV A=1\nLABEL b=2\nEXPOSE 3\nVOLUME /4\nUSER 5\nSTOPSIGNAL 6\n",
    ),
)

_WRONG = (
    Case(name="expose-nothing", why="no port", dockerfile="FROM base\nEXPOSE\n", fails="EXPOSE", line=2),
    Case(name="expose-too-high", why="no port has this number", dockerfile="FROM base\nEXPOSE 65536\n", fails="65536", line=2),
    Case(name="expose-word", why="a word is no port", dockerfile="FROM base\nEXPOSE http\n", fails="http", line=2),
    Case(name="expose-protocol", why="no such protocol", dockerfile="FROM base\nEXPOSE 80/icmp\n", fails="icmp", line=2),
    Case(name="expose-range-backwards", why="a range the wrong way round", dockerfile="FROM base\nEXPOSE 90-80\n", fails="90-80", line=2),
    Case(name="volume-nothing", why="no word", dockerfile="FROM base\nVOLUME\n", fails="VOLUME", line=2),
    Case(name="user-nothing", why="no word", dockerfile="FROM base\nUSER\n", fails="USER", line=2),
    Case(name="stopsignal-unknown", why="no such signal", dockerfile="FROM base\nSTOPSIGNAL SIGNOPE\n", fails="SIGNOPE", line=2),
    Case(name="stopsignal-nothing", why="no word", dockerfile="FROM base\nSTOPSIGNAL\n", fails="STOPSIGNAL", line=2),
    Case(name="shell-not-json", why="SHELL has one form", dockerfile="FROM base\nSHELL /bin/sh -c\n", fails="SHELL", line=2),
    Case(name="maintainer-nothing", why="no word", dockerfile="FROM base\nMAINTAINER\n", fails="MAINTAINER", line=2),
    Case(name="cmd-unknown-flag", why="CMD has none", dockerfile="FROM base\nCMD --flag=x echo\n", fails="flag", line=2),
    Case(name="label-mixed", why="a word without =", dockerfile="FROM base\nLABEL a=1 b\n", fails="b", line=2),
)

CASES = (*_COMMANDS, *_LABELS, *_PORTS_AND_VOLUMES, *_REST, *_WRONG)
