"""Variables in instructions: modifiers, quotes, escapes, and which instructions expand at all. What came out stands in ENV and LABEL."""

from case import Case

_SET = "FROM base\nARG set=value\nARG empty=\nARG path=/a/bb/a.tar.gz\n"


def _labels(*values: str) -> str:
    """LABELs v0, v1, … with the values as they are."""
    return "".join(f"LABEL v{number}={value}\n" for number, value in enumerate(values))


_MODIFIERS = (
    Case(
        name="expand-plain",
        why="a name ends at the first byte that is none of its own; unset is empty; $ alone is $",
        dockerfile=_SET
        + _labels("$set", "${set}", "$set.$set", "a${set}b", "$setx", "$unset", '"$"', '"a$ b"', '"$ set"', "$set$set", "${set}x$"),
    ),
    Case(
        name="expand-default",
        why=":- takes the word for unset and empty, - for unset only",
        dockerfile=_SET
        + _labels("${set:-d}", "${empty:-d}", "${unset:-d}", "${set-d}", "${empty-d}", "${unset-d}", "${unset:-}", "${unset-}"),
    ),
    Case(
        name="expand-alternative",
        why=":+ gives the word for what is set and not empty, + for what is set",
        dockerfile=_SET + _labels("${set:+a}", "${empty:+a}", "${unset:+a}", "${set+a}", "${empty+a}", "${unset+a}", "x${set:+}y"),
    ),
    Case(
        name="expand-demand",
        why=":? and ? are silent where there is a value",
        dockerfile=_SET + _labels("${set:?no}", "${set?no}", "${empty?no}"),
    ),
    Case(
        name="expand-demand-unset",
        why="the message of :? is what is said",
        dockerfile='FROM base\nLABEL a="${unset:?must be given}"\n',
        fails="must be given",
        line=2,
    ),
    Case(
        name="expand-demand-empty",
        why=":? refuses empty",
        dockerfile=_SET + 'LABEL a="${empty:?may not be empty}"\n',
        fails="may not be empty",
        line=5,
    ),
    Case(
        name="expand-demand-unset-only",
        why="? refuses unset",
        dockerfile='FROM base\nLABEL a="${unset?not there}"\n',
        fails="not there",
        line=2,
    ),
    Case(
        name="expand-prefix",
        why="# takes the shortest match away, ## the longest; a pattern is a shell's",
        dockerfile=_SET
        + _labels(
            "${path#*/}", "${path##*/}", "${path#/a/}", "${path#x}", "${path#/?/}", "${path##/*b}", "${path#*}", "${path##*}", "${unset#a}"
        ),
    ),
    Case(
        name="expand-suffix",
        why="% and %% from the end",
        dockerfile=_SET
        + _labels("${path%.*}", "${path%%.*}", "${path%/*}", "${path%%/*}", "${path%gz}", "${path%x}", "${path%.??}", "${path%*}"),
    ),
    Case(
        name="expand-replace",
        why="/ replaces the first match, // all; the longest match; nothing instead takes it away",
        dockerfile=_SET
        + _labels(
            "${path/a/X}", "${path//a/X}", "${path/b*a/X}", "${path//b/}", "${path//\\//-}", "${path/x/y}", "${path//./}", "${path/?a/Q}"
        ),
    ),
    Case(
        name="expand-replace-pattern-of-variable",
        why="pattern and replacement are expanded",
        dockerfile=_SET + "ARG p=b\nARG r=B\n" + _labels("${path/$p/$r}", "${path//${p}/${r}${r}}", "${path#*$p}", "${path%.${unset:-gz}}"),
    ),
    Case(
        name="expand-word-of-modifier",
        why="the word is expanded, may have quotes, blanks in quotes and other modifiers",
        dockerfile=_SET
        + _labels(
            "${unset:-$set}",
            "${unset:-${empty:-${set}}}",
            '"${unset:-a b}"',
            '${unset:-"a b"}',
            "${set:+${set}s}",
            "${unset:-'$set'}",
            '${unset:-"$set"}',
        ),
    ),
    Case(
        name="expand-word-escaped",
        why="a brace or slash that is escaped belongs to the word",
        dockerfile=_SET + _labels("${unset:-a\\}b}", "${unset:-\\$set}", "${path/\\/a/X}", "${unset:-a:b-c}"),
    ),
    Case(
        name="expand-quotes-in-word",
        why="quotes within braces hold a brace and go away, single ones within double quotes too",
        dockerfile=_SET
        + _labels("\"${unset:-'q'}\"", "${unset:-a'b c'd}", "${unset:-'}'}", '${unset:-"}"}', '"${unset:-"}"}"', '${set:+"a b"}c'),
    ),
    Case(
        name="expand-quote-in-word-not-closed",
        why="a single quote within braces within double quotes must be closed, unlike in a shell",
        dockerfile='FROM base\nLABEL a="${unset:-it\'s}"\n',
        fails="it's",
        line=2,
    ),
    Case(
        name="expand-patterns",
        why="only * and ? are special in a pattern, and a backslash before them; brackets and anchors are not",
        dockerfile=_SET
        + "ARG odd='[a]*b?c#%^$'\n"
        + _labels("${odd#[a]}", "${odd/\\*/X}", "${odd/\\?/X}", "${odd/#[/X}", "${odd%$}", "${odd/^/X}", "${path/./X}"),
    ),
    Case(
        name="expand-pattern-escape-unknown",
        why="a backslash before anything else in a pattern",
        dockerfile="FROM base\nARG a=b\nLABEL l=${a#\\[}\n",
        fails="[",
        line=3,
    ),
    Case(
        name="expand-not-a-shell",
        why="neither commands nor arithmetic nor backquotes nor tilde nor braces",
        dockerfile='FROM base\nLABEL a="$(id)" b="$((1+1))" c="`id`" d=~ e={x,y} f=* g=$[1]\n',
    ),
    Case(
        name="tricky-04-positional",
        why="he$1x is hex: a digit or a special character after $ is one name, and it is unset",
        dockerfile=_SET + _labels("he$1x", "he$12x", "a$@b", "a$#b", "a$*b", "a$?b", "a$$b", "a$!b", "a$-b", "a$0b", "${1}x", "${1:-one}"),
    ),
    Case(name="tricky-04-empty-name", why="${} is a mistake", dockerfile="FROM base\nLABEL a=${}\n", fails="${}", line=2),
    Case(name="expand-no-end", why="a brace that is not closed", dockerfile="FROM base\nLABEL a=${b\n", fails="${b", line=2),
    Case(name="expand-no-end-of-word", why="nor after a modifier", dockerfile="FROM base\nLABEL a=${b:-c\n", fails="${b", line=2),
    Case(name="expand-unknown-modifier", why="no such modifier", dockerfile="FROM base\nARG b=c\nLABEL a=${b^^}\n", fails="^", line=3),
    Case(
        name="expand-unknown-colon-modifier",
        why="nor after a colon",
        dockerfile="FROM base\nARG b=c\nLABEL a=${b:1:2}\n",
        fails=":",
        line=3,
    ),
    Case(name="expand-bad-name", why="a name of a variable has no dot", dockerfile="FROM base\nLABEL a=${b.c}\n", fails=".", line=2),
    Case(name="tricky-04-quote-not-closed", why="a quote that is not closed", dockerfile='FROM base\nLABEL a="b\n', fails='"', line=2),
    Case(name="expand-single-quote-not-closed", why="nor a single one", dockerfile="FROM base\nENV a='b\n", fails="'", line=2),
)

_QUOTES = (
    Case(
        name="expand-quotes",
        why="single quotes keep all, double quotes expand; both go away, wherever they stand",
        dockerfile=_SET
        + _labels("'$set'", '"$set"', "'a'\"b\"c", "a' b '$set", '"it\'s"', "'say \"hi\"'", '""', "''", 'x""y', '"a\\"b"', "'a\\b'"),
    ),
    Case(
        name="expand-escapes",
        why="a backslash keeps the next byte; within double quotes only before a quote, a dollar and itself",
        dockerfile=_SET
        + _labels(
            "\\$set", "\\\\$set", "a\\ b", '"\\$set"', '"\\\\$set"', '"a\\nb"', "a\\nb", "\\'q\\'", '\\"q\\"', '"a\\ b"', "'\\$set'", "\\x"
        ),
    ),
    Case(
        name="expand-result-is-not-parsed-again",
        why="what came out of a variable has no quotes, blanks or variables",
        dockerfile="FROM base\nARG a='\"q\" $b \\\\ x=y'\nARG b=b\nLABEL v=$a w=\"$a\" x='$a'\nENV E=$a\n",
    ),
    Case(
        name="expand-label-and-env-names",
        why="names are expanded in LABEL and ENV",
        dockerfile='FROM base\nARG n=name\nLABEL $n=1 "a b"=2 "${n} x"=3\nENV E_$n=1\n',
    ),
    Case(
        name="expand-several-on-a-line",
        why="quotes and escaped blanks hold words together",
        dockerfile='FROM base\nENV a="x y" b=\'x  y\' c=x\\ y d= e="" f=x\\\n  g=z\t\th=tab\n',
    ),
    Case(
        name="expand-old-form",
        why="without = the rest of the line is the value: blanks at its ends go, within they stay, quotes go",
        dockerfile="FROM base\nENV a b  c   d\nENV e   \"q q\"  x \nENV f $a-x\nENV g a=b\nENV h '$a'\nLABEL i two words\n",
    ),
    Case(
        name="expand-unicode",
        why="letters of any script are letters of a name; so are those of values",
        dockerfile="FROM base\nARG a=žluť\nLABEL v=$a-ü w=$až x='你好'\nENV E=\"€ $a\"\n",
    ),
    Case(
        name="expand-names-are-exact",
        why="case matters, digits and underscores belong to a name",
        dockerfile="FROM base\nARG Name=1 name=2 NAME=3 n_1=4 _n=5\nLABEL a=$Name b=$name c=$NAME d=$n_1 e=$_n f=$n\n",
    ),
    Case(
        name="expand-backtick-escape",
        why="with the directive a backtick escapes and continues, and a backslash is a byte",
        dockerfile="""\
# escape=`
FROM base
ARG set=value
ENV a=`$set b="`$set" c=C:\\dir\\$set d=x` y `
  e=``
LABEL f='`$set' g="a`"b" h=\\
RUN echo one `
  two \\$set $set > /seen
""",
    ),
)

_WHERE = (
    Case(
        name="expand-where",
        why="ENV, LABEL, EXPOSE, USER, WORKDIR, VOLUME, STOPSIGNAL and ARG expand",
        dockerfile="""\
FROM base
ARG name=value number=80 range=90-92
ARG second=$name
ENV E=$second
LABEL l=$name
EXPOSE $number ${range}/udp
WORKDIR /w/$name
VOLUME /v/$name
STOPSIGNAL ${nothing:-9}
USER ${nothing:-bob}
""",
    ),
    Case(
        name="expand-where-not",
        why="CMD, ENTRYPOINT, SHELL, HEALTHCHECK and MAINTAINER are as written",
        dockerfile="""\
FROM base
ARG name=value
CMD ["$name", "${name}"]
ENTRYPOINT echo $name
SHELL ["/bin/sh", "-$name"]
HEALTHCHECK CMD test $name
MAINTAINER $name
""",
    ),
    Case(
        name="expand-not-in-json-of-volume",
        why="the words of VOLUME are expanded in both forms",
        dockerfile='FROM base\nARG name=value\nVOLUME ["/$name", "/b"]\nVOLUME /c $name\n',
    ),
    Case(
        name="expand-words-are-split",
        why="a variable with blanks is several words in EXPOSE, and one in VOLUME",
        dockerfile='FROM base\nARG ports="80 443/udp"\nARG paths="/a /b"\nEXPOSE $ports\nVOLUME $paths\nVOLUME "$paths/c"\n',
    ),
    Case(
        name="expand-healthcheck-flags-not",
        why="the flags of HEALTHCHECK are not expanded",
        dockerfile="FROM base\nARG t=5s\nHEALTHCHECK --interval=$t CMD true\n",
        fails="$t",
        line=3,
    ),
    Case(
        name="expand-env-of-base",
        why="the base image's ENV counts",
        dockerfile='FROM configured\nLABEL a=$GREETING b="$SPACED" c=$FROM_BASE\nENV PATH=/x:$PATH GREETING=$GREETING.\n',
        base="configured",
    ),
    Case(
        name="expand-in-arg-default",
        why="quotes and modifiers work in the default of an ARG",
        dockerfile='FROM base\nARG a="x y"\nARG b=\'$a\'\nARG c="${a#x }"\nARG d=$a$a\nLABEL a=$a b=$b c=$c d=$d\nRUN echo "$a|$b|$c|$d" > /seen\n',
    ),
)

CASES = (*_MODIFIERS, *_QUOTES, *_WHERE)
