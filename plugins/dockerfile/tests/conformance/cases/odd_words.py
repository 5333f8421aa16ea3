"""Odd words: quotes, blanks and escapes in ENV, LABEL and ARG, and which value an argument has."""

from case import Case

CASES = (
    Case(
        name="odd-env-equals-in-value",
        why="a value may hold equals signs",
        dockerfile='FROM base\nENV A=b=c D==e\nENV F a=b c=d\nRUN echo "$A $D $F" > /o\n',
    ),
    Case(
        name="odd-env-hash-in-value",
        why="# within a word is no comment",
        dockerfile='FROM base\nENV A=x#y B="#z" C=#q\nRUN echo "$A $B $C" > /o\n',
    ),
    Case(
        name="odd-env-single-quotes-hold-all",
        why="nothing is expanded in single quotes",
        dockerfile="FROM base\nENV X=1\nENV A='$X' B=\"$X\" C='\"$X\"' D=\"'$X'\"\n",
    ),
    Case(
        name="odd-env-escaped-newline-in-value",
        why="a continued line within a quoted value",
        dockerfile="FROM base\nENV A=\"one \\\n  two\" B='one \\\n  two'\n",
    ),
    Case(name="odd-env-dollar-at-end", why="a dollar that names nothing stays", dockerfile='FROM base\nENV A=a$ B="$ b" C=$% D=$-\n'),
    Case(
        name="odd-env-braces-nested",
        why="a modifier's word may hold braces of its own",
        dockerfile='FROM base\nENV X=\nENV A=${X:-${Y:-deep}} B=${X:-{a}} C=${Y-"q r"}\n',
    ),
    Case(
        name="odd-env-colon-in-default",
        why="colons and slashes in a default",
        dockerfile="FROM base\nENV A=${X:-http://h:80/p} B=${PATH:+:$PATH}\n",
    ),
    Case(
        name="odd-env-append-to-path",
        why="the usual way to lengthen PATH",
        dockerfile='FROM base\nENV PATH=/opt/bin:$PATH\nENV PATH "$PATH:/late"\nRUN echo $PATH > /o\n',
    ),
    Case(
        name="odd-env-unset-in-path", why="an unset variable leaves its colon", dockerfile="FROM base\nENV LD=/x:$LD\nENV LD2=/x:${LD2}\n"
    ),
    Case(
        name="odd-env-trailing-backslash-quote",
        why="an escaped quote at the end",
        dockerfile='FROM base\nENV A=a\\" B=\\\'b C="c\\"d" D=e\\\\\n',
    ),
    Case(name="odd-env-tabs-between", why="tabs separate pairs", dockerfile="FROM base\nENV\tA=1\tB=2\n"),
    Case(
        name="odd-env-old-form-with-quotes",
        why="the old form keeps quotes' content and spaces",
        dockerfile="FROM base\nENV A \"one   two\"  three\nENV B   x   y\nENV C 'q' $A\n",
    ),
    Case(
        name="odd-env-old-form-equals-later",
        why="the old form where a later word has an equals sign",
        dockerfile="FROM base\nENV A b c=d\n",
    ),
    Case(
        name="odd-env-mixed-first-has-equals",
        why="after a pair everything must be one",
        dockerfile="FROM base\nENV A=b c\n",
        fails='Syntax error - can\'t find = in "c". Must be of the form: name=value',
        line=2,
    ),
    Case(name="odd-env-quoted-name", why="a quoted name", dockerfile='FROM base\nENV "A"=b\n'),
    Case(
        name="odd-env-name-with-blank-quoted",
        why="a name with a blank",
        dockerfile='FROM base\nENV "A B"=c\nRUN env | grep "A B" > /o || echo none > /o\n',
    ),
    Case(
        name="odd-env-name-with-dash-and-dot",
        why="names that no shell takes",
        dockerfile='FROM base\nENV a-b=1 c.d=2 9x=3\nRUN env | grep -E "^(a-b|c.d|9x)" | sort > /o\n',
    ),
    Case(name="odd-env-unicode-name", why="names beyond ASCII", dockerfile="FROM base\nENV ÄÖ=ü\nENV X=$ÄÖ\n"),
    Case(name="odd-env-case-of-names", why="names have a case", dockerfile="FROM base\nENV a=1 A=2\nENV x=$a$A\n"),
    Case(
        name="odd-env-value-is-not-resplit",
        why="a variable with blanks stays one value",
        dockerfile='FROM base\nENV A="x y=z"\nENV B=$A C="$A"\n',
    ),
    Case(
        name="odd-env-escape-dollar", why="an escaped dollar", dockerfile="FROM base\nENV A=\\$HOME B=\"\\$HOME\" C='\\$HOME' D=$\\HOME\n"
    ),
    Case(
        name="odd-env-carriage-value",
        why="escape sequences are no control characters",
        dockerfile="FROM base\nENV A=\"a\\nb\" B=a\\tb C='a\\nb'\n",
    ),
    Case(
        name="odd-label-multiline-quoted",
        why="a label over lines",
        dockerfile='FROM base\nLABEL a="one\\\ntwo" \\\n   b=three \\\n   # comment\n   c="f o u r"\n',
    ),
    Case(
        name="odd-label-expansion-in-name",
        why="names of labels are expanded",
        dockerfile='FROM base\nARG N=org\nLABEL $N.x=1 "${N}.y"=2 "$N z"=3\n',
    ),
    Case(name="odd-label-empty-value", why="empty values stay", dockerfile="FROM base\nLABEL a= b=\"\" c=''\n"),
    Case(
        name="odd-label-old-form",
        why="the old form of LABEL",
        dockerfile='FROM base\nLABEL key some words here\nLABEL k2 "quoted words" more\n',
    ),
    Case(
        name="odd-label-duplicate-in-one",
        why="the last of one name in one instruction",
        dockerfile="FROM base\nLABEL a=1 a=2 b=$GREETING\n",
    ),
    Case(
        name="odd-label-single-quoted-json", why="JSON as a value", dockerfile='FROM base\nLABEL j=\'{"a": ["b", "c"]}\' k="{\\"x\\":1}"\n'
    ),
    Case(
        name="odd-label-with-equals-in-quoted-key",
        why="an equals sign in a quoted key",
        dockerfile='FROM base\nLABEL "a=b"=c\n',
        fails='failed to process "\\"a": unexpected end of statement while looking for matching double-quote',
        line=2,
    ),
    Case(
        name="odd-arg-with-quotes", why="quotes in defaults", dockerfile='FROM base\nARG A="x y" B=\'$A\' C=$A\nRUN echo "$A|$B|$C" > /o\n'
    ),
    Case(
        name="odd-arg-spaces-in-default-unquoted",
        why="words after the first are further arguments",
        dockerfile='FROM base\nARG A=x B C=z\nRUN echo "$A|${B-unset}|$C" > /o\n',
    ),
    Case(name="odd-arg-default-with-equals", why="a default may hold equals signs", dockerfile="FROM base\nARG A=b=c=d\nLABEL l=$A\n"),
    Case(
        name="odd-arg-empty-then-default", why="an argument again with a default", dockerfile="FROM base\nARG A\nARG A=late\nLABEL l=$A\n"
    ),
    Case(
        name="odd-arg-value-then-none",
        why="an argument again without a default",
        dockerfile="FROM base\nARG A=first\nARG A\nLABEL l=[$A]\n",
    ),
    Case(
        name="odd-arg-overridden-by-env-of-base",
        why="ENV of the image beats ARG",
        dockerfile="FROM base\nARG GREETING=arg\nRUN echo $GREETING > /o\nLABEL l=$GREETING\n",
    ),
    Case(
        name="odd-arg-env-same-line-order",
        why="ENV from ARG, then ARG from ENV",
        dockerfile="FROM base\nARG A=1\nENV A=${A}2\nARG A=3\nENV B=$A\nRUN echo $A $B > /o\n",
    ),
    Case(
        name="odd-arg-global-not-in-stage",
        why="a global ARG is not there undeclared",
        dockerfile="ARG V=1\nFROM base\nLABEL l=[$V]\nARG V\nLABEL m=[$V]\n",
    ),
    Case(
        name="odd-arg-global-default-and-own",
        why="a stage's own default beats the global one",
        dockerfile="ARG V=1\nFROM base\nARG V=2\nLABEL l=$V\n",
    ),
    Case(
        name="odd-arg-global-given-beats-both",
        why="what is given beats both",
        dockerfile="ARG V=1\nFROM base\nARG V=2\nLABEL l=$V\n",
        args=("--build-arg", "V=3"),
    ),
    Case(
        name="odd-arg-global-from-global",
        why="global defaults build on each other",
        dockerfile="ARG A=1\nARG B=${A}2\nFROM base\nARG B\nARG A\nLABEL l=$A-$B\n",
        args=("--build-arg", "A=9"),
    ),
    Case(
        name="odd-arg-in-second-stage-again",
        why="a stage of its own does not see the other's ARG",
        dockerfile="FROM base\nARG A=1\nFROM base\nLABEL l=[$A]\n",
    ),
    Case(
        name="odd-arg-inherited-by-child-stage",
        why="a stage on a stage sees its ARGs",
        dockerfile="FROM base AS p\nARG A=1\nENV E=$A\nFROM p\nRUN echo [$A] > /o\nLABEL l=[$A$E]\n",
    ),
    Case(
        name="odd-arg-given-with-equals",
        why="a given value with equals signs and blanks",
        dockerfile='FROM base\nARG A\nRUN echo "$A" > /o\n',
        args=("--build-arg", "A=x=y z"),
    ),
    Case(
        name="odd-arg-given-with-newline",
        why="a given value with a line break",
        dockerfile='FROM base\nARG A\nRUN echo "$A" > /o\nLABEL l=$A\n',
        args=("--build-arg", "A=one\ntwo"),
    ),
    Case(
        name="odd-arg-given-quotes-kept",
        why="quotes of a given value stay",
        dockerfile="FROM base\nARG A\nLABEL l=$A\n",
        args=("--build-arg", "A=\"q\" '$X'"),
    ),
    Case(
        name="odd-arg-lower-case-keyword",
        why="keywords in lower case with AS in lower case",
        dockerfile='arg v=base\nfrom $v as s\nrun echo lower > /o\nfrom s\ncmd ["x"]\n',
    ),
)
