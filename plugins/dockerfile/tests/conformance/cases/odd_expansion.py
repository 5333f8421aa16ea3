"""Odd expansions: every operator, and the places where a variable stands for its value or for itself."""

from case import Case

_FILES = {"a": "a\n", "b": "b\n", "d/x": "x\n", "d/y.md": "y\n", "d/s/z": "z\n", "sp ace": "s\n"}

CASES = (
    Case(
        name="odd-operator-prefix-longest",
        why="## takes the longest",
        dockerfile='FROM base\nENV V=a/b/abc/a W=file.tar.gz P=a/ E=\nLABEL l="${V##*/}"\nENV R=${V##*/}\n',
    ),
    Case(
        name="odd-operator-prefix-shortest",
        why="# takes the shortest",
        dockerfile='FROM base\nENV V=a/b/abc/a W=file.tar.gz P=a/ E=\nLABEL l="${V#*/}"\nENV R=${V#*/}\n',
    ),
    Case(
        name="odd-operator-suffix-longest",
        why="%% takes the longest",
        dockerfile='FROM base\nENV V=a/b/abc/a W=file.tar.gz P=a/ E=\nLABEL l="${V%%/*}"\nENV R=${V%%/*}\n',
    ),
    Case(
        name="odd-operator-suffix-shortest",
        why="% takes the shortest",
        dockerfile='FROM base\nENV V=a/b/abc/a W=file.tar.gz P=a/ E=\nLABEL l="${V%/*}"\nENV R=${V%/*}\n',
    ),
    Case(
        name="odd-operator-replace-first",
        why="/ replaces once",
        dockerfile='FROM base\nENV V=a/b/abc/a W=file.tar.gz P=a/ E=\nLABEL l="${V/a/X}"\nENV R=${V/a/X}\n',
    ),
    Case(
        name="odd-operator-replace-all",
        why="// replaces all",
        dockerfile='FROM base\nENV V=a/b/abc/a W=file.tar.gz P=a/ E=\nLABEL l="${V//a/X}"\nENV R=${V//a/X}\n',
    ),
    Case(
        name="odd-operator-replace-nothing",
        why="an empty replacement",
        dockerfile='FROM base\nENV V=a/b/abc/a W=file.tar.gz P=a/ E=\nLABEL l="${V//a/}"\nENV R=${V//a/}\n',
    ),
    Case(
        name="odd-operator-replace-slash",
        why="a slash is escaped in a pattern",
        dockerfile='FROM base\nENV V=a/b/abc/a W=file.tar.gz P=a/ E=\nLABEL l="${V//\\//-}"\nENV R=${V//\\//-}\n',
    ),
    Case(
        name="odd-operator-replace-question",
        why="? is one character",
        dockerfile='FROM base\nENV V=a/b/abc/a W=file.tar.gz P=a/ E=\nLABEL l="${V/?b/X}"\nENV R=${V/?b/X}\n',
    ),
    Case(
        name="odd-operator-replace-star",
        why="* is greedy in a replacement",
        dockerfile='FROM base\nENV V=a/b/abc/a W=file.tar.gz P=a/ E=\nLABEL l="${V/a*c/X}"\nENV R=${V/a*c/X}\n',
    ),
    Case(
        name="odd-operator-prefix-class",
        why="a class in a pattern",
        dockerfile='FROM base\nENV V=a/b/abc/a W=file.tar.gz P=a/ E=\nLABEL l="${V#[a-z]}"\nENV R=${V#[a-z]}\n',
    ),
    Case(
        name="odd-operator-nothing-matches",
        why="without a match it is the whole",
        dockerfile='FROM base\nENV V=a/b/abc/a W=file.tar.gz P=a/ E=\nLABEL l="${V#zzz}${V%zzz}${V/zzz/y}"\nENV R=${V#zzz}${V%zzz}${V/zzz/y}\n',
    ),
    Case(
        name="odd-operator-empty-pattern",
        why="an empty pattern",
        dockerfile='FROM base\nENV V=a/b/abc/a W=file.tar.gz P=a/ E=\nLABEL l="${V#}${V%}"\nENV R=${V#}${V%}\n',
    ),
    Case(
        name="odd-operator-unset-with-pattern",
        why="of what is unset",
        dockerfile='FROM base\nENV V=a/b/abc/a W=file.tar.gz P=a/ E=\nLABEL l="[${NO#a}${NO%a}${NO/a/b}]"\nENV R=[${NO#a}${NO%a}${NO/a/b}]\n',
    ),
    Case(
        name="odd-operator-pattern-is-variable",
        why="a pattern from a variable",
        dockerfile='FROM base\nENV V=a/b/abc/a W=file.tar.gz P=a/ E=\nLABEL l="${V#$P}"\nENV R=${V#$P}\n',
    ),
    Case(
        name="odd-operator-pattern-quoted",
        why="a quoted pattern",
        dockerfile='FROM base\nENV V=a/b/abc/a W=file.tar.gz P=a/ E=\nLABEL l="${V#"a"}"\nENV R=${V#"a"}\n',
    ),
    Case(
        name="odd-operator-suffix-dot",
        why="the extension of a name",
        dockerfile='FROM base\nENV V=a/b/abc/a W=file.tar.gz P=a/ E=\nLABEL l="${W%.*}-${W##*.}"\nENV R=${W%.*}-${W##*.}\n',
    ),
    Case(
        name="odd-operator-plus-empty",
        why="+ without colon, of an empty value",
        dockerfile='FROM base\nENV V=a/b/abc/a W=file.tar.gz P=a/ E=\nLABEL l="[${E+set}][${E:+set}]"\nENV R=[${E+set}][${E:+set}]\n',
    ),
    Case(
        name="odd-operator-minus-empty",
        why="- without colon, of an empty value",
        dockerfile='FROM base\nENV V=a/b/abc/a W=file.tar.gz P=a/ E=\nLABEL l="[${E-unset}][${E:-unset}]"\nENV R=[${E-unset}][${E:-unset}]\n',
    ),
    Case(
        name="odd-operator-default-with-blank",
        why="a default of several words",
        dockerfile='FROM base\nENV V=a/b/abc/a W=file.tar.gz P=a/ E=\nLABEL l="${NO:-a b}"\nENV R="${NO:-a b}"\n',
    ),
    Case(
        name="odd-operator-question-set",
        why="? of what is set",
        dockerfile='FROM base\nENV V=a/b/abc/a W=file.tar.gz P=a/ E=\nLABEL l="${V:?must}"\nENV R=${V:?must}\n',
    ),
    Case(name="odd-expansion-in-from-operator", why="operators in FROM", dockerfile="ARG I=x/base\nFROM ${I#x/}\nLABEL a=b\n"),
    Case(name="odd-expansion-in-from-default", why="a default in FROM", dockerfile="FROM ${NONE:-base}\nLABEL a=b\n"),
    Case(
        name="odd-expansion-in-copy-from",
        why="--from is not expanded",
        dockerfile="FROM base AS s\nFROM base\nARG S=s\nCOPY --from=$S /etc/passwd /o\n",
        fails="variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround",
        line=4,
    ),
    Case(
        name="odd-expansion-in-workdir-and-user",
        why="WORKDIR, USER and VOLUME",
        dockerfile="FROM base\nENV D=/dd U=bob V=/vv\nWORKDIR $D/${U}\nUSER $U\nVOLUME $V\nRUN pwd > /tmp/o; id -un >> /tmp/o\n",
    ),
    Case(
        name="odd-expansion-in-expose-range",
        why="ports by variables",
        dockerfile="FROM base\nARG P=80 Q=90-92\nEXPOSE $P ${Q}/udp $P/udp\n",
    ),
    Case(
        name="odd-expansion-not-in-cmd",
        why="CMD and ENTRYPOINT keep variables",
        dockerfile='FROM base\nENV A=1\nCMD ["$A", "${A}"]\nENTRYPOINT echo $A\n',
    ),
    Case(
        name="odd-expansion-not-in-shell-and-onbuild",
        why="SHELL and ONBUILD keep variables",
        dockerfile='FROM base\nENV A=1\nSHELL ["/bin/$A", "-c"]\nONBUILD ENV B=$A\n',
    ),
    Case(name="odd-expansion-stopsignal-label", why="STOPSIGNAL by a variable", dockerfile="FROM base\nARG S=9\nSTOPSIGNAL $S\n"),
    Case(
        name="odd-expansion-chmod-and-chown",
        why="flags by variables",
        dockerfile="FROM base\nARG O=1000:50 M=0600\nCOPY --chown=$O --chmod=${M} a /o\n",
        files=_FILES,
    ),
    Case(
        name="odd-expansion-of-exclude",
        why="--exclude is expanded or not",
        dockerfile="FROM base\nARG X=*.md\nCOPY --exclude=$X d /o/\n",
        files=_FILES,
    ),
    Case(
        name="odd-expansion-in-heredoc-default",
        why="operators in a heredoc of COPY",
        dockerfile="FROM base\nENV A=v.tar\nCOPY <<E /o\n${A%.tar} ${NO:-def} $$A \\$A ${A}\nE\n",
    ),
    Case(
        name="odd-expansion-in-run-mount",
        why="variables in a mount's fields",
        dockerfile="FROM base\nARG D=d T=/m\nRUN --mount=type=bind,source=$D,target=$T ls $T > /o\n",
        files=_FILES,
    ),
    Case(name="odd-expansion-unclosed-in-comment", why="a comment is not expanded", dockerfile="FROM base\n# ${ not closed\nLABEL a=b\n"),
    Case(
        name="odd-expansion-bad-modifier-in-run",
        why="RUN is the shell's own",
        dockerfile='FROM base\nRUN echo "${GREETING#he}" "${X:=set}" > /o\n',
    ),
)
