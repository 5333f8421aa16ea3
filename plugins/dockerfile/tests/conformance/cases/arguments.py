"""ARG and ENV: which value holds where, what RUN sees, what is kept."""

from case import Case

_ENV = (
    Case(
        name="tricky-02-env-before-the-instruction",
        why="all values of one ENV are expanded with what was before it; those of one ARG one after the other",
        dockerfile="""\
FROM base
ENV a=old
ENV a=new b=$a
ARG c=old
ARG c=new d=$c
LABEL e=x$f f=y
ENV r=$c-$d
""",
    ),
    Case(
        name="env-order",
        why="a value that is set again stays in its place; new ones come last, in their order",
        dockerfile="FROM base\nENV z=1 y=2\nENV x=3\nENV y=4 GREETING=5\nENV w=6\n",
    ),
    Case(
        name="env-empty-and-odd",
        why="empty values, values with =, names with dots and dashes",
        dockerfile='FROM base\nENV a= b="" c==d e=f=g h.i=1 j-k=2 0=3\nRUN env | grep -E "^(a|b|c|e|h.i|j-k|0)=" | sort > /seen\n',
    ),
    Case(
        name="env-lines-in-a-value",
        why="a value may not have a newline in a Dockerfile, but one that came from the command line may",
        dockerfile='FROM base\nARG lines\nENV a="x \\\n  y" b="$lines"\nRUN echo "$b" > /seen\n',
        args=("--build-arg", "lines=one\ntwo"),
    ),
    Case(
        name="env-duplicate-in-one",
        why="the last of one instruction holds",
        dockerfile="FROM base\nENV a=1 b=2 a=3\nLABEL a=1 b=2 a=3\n",
    ),
    Case(
        name="env-inherited-by-stages",
        why="a stage has the ENV of the stage it stands on, and of no other",
        dockerfile="""\
FROM base AS one
ENV one=1
FROM base AS two
ENV two=2
FROM one
RUN echo "$one-$two" > /seen
ENV three=3
""",
    ),
    Case(
        name="env-path",
        why="the usual line, twice",
        dockerfile="FROM base\nENV PATH=/opt/bin:$PATH\nENV PATH $PATH:/last\nRUN echo $PATH > /seen\n",
    ),
)

_SCOPE = (
    Case(
        name="tricky-01-later-wins",
        why="ENV and ARG of one name: the later wins in RUN and where variables are expanded; ENV alone is kept",
        dockerfile="""\
FROM base
ARG a=arg
ENV a=env
RUN echo $a > /1
LABEL l1=$a
ENV b=env
ARG b=arg
RUN echo $b > /2
LABEL l2=$b
ENV kept=$b
ARG PATH=/bin
RUN echo $PATH > /3
""",
    ),
    Case(
        name="tricky-01-given-arg-does-not-beat-env",
        why="a value from the command line is the ARG's, so an ENV after it wins, and an ARG without default after an ENV",
        dockerfile="FROM base\nARG a\nENV a=env\nRUN echo $a > /1\nENV b=env\nARG b\nRUN echo $b > /2\nENV c=env\nARG c\nRUN echo $c > /3\n",
        args=("--build-arg", "a=cli", "--build-arg", "b=cli"),
    ),
    Case(
        name="tricky-03-global-arg",
        why="is seen by FROM alone; ARG without a value takes it into a stage, also its given value",
        dockerfile="""\
ARG image=base one=1 two=2
FROM ${image} AS first
LABEL before="[$one]"
ARG one
LABEL after="[$one]"
ARG two=own
LABEL two="$two"
ARG two
LABEL again="$two"
ARG image
LABEL image=$image
""",
    ),
    Case(
        name="tricky-03-global-arg-given",
        why="a given value holds for the global one, for the stage's, and over its default",
        dockerfile='ARG one=1\nFROM base\nLABEL a="[$one]"\nARG one\nLABEL b=$one\nARG one=own\nLABEL c=$one\nRUN echo $one > /seen\n',
        args=("--build-arg", "one=cli"),
    ),
    Case(
        name="tricky-03-stage-on-stage",
        why="a stage that stands on a stage has its ARGs; one beside it has not",
        dockerfile="""\
FROM base AS one
ARG a=1
ARG b
FROM one AS two
LABEL a="[$a]"
RUN echo "[$a]" > /seen
ARG b
FROM two
LABEL two="[$a$b]"
RUN echo "[$a$b]" >> /seen
""",
        args=("--build-arg", "b=2"),
    ),
    Case(
        name="arg-not-beside",
        why="an ARG of another stage is unset",
        dockerfile='FROM base AS one\nARG a=1\nFROM base\nRUN echo "[$a]" > /seen\nLABEL l="[$a]"\n',
        args=("--build-arg", "a=2"),
    ),
    Case(
        name="arg-only-from-its-line",
        why="before its line it is unset, even where it is given",
        dockerfile='FROM base\nLABEL before="[$a]"\nRUN echo "[$a]" > /seen\nARG a\nLABEL after="[$a]"\nRUN echo "[$a]" >> /seen\n',
        args=("--build-arg", "a=cli"),
    ),
    Case(
        name="arg-again",
        why="a second ARG replaces the value; without a value it keeps it",
        dockerfile='FROM base\nARG a=1\nARG a=2\nLABEL x="$a"\nARG a\nLABEL y="$a"\nARG a=\nLABEL z="[$a]"\nRUN echo "[$a]" > /seen\n',
    ),
    Case(
        name="arg-given-empty",
        why="an empty value is a value",
        dockerfile='FROM base\nARG a=default\nLABEL l="[${a-unset}]" m="${a:-empty}"\nRUN echo "[${a-unset}]" > /seen\n',
        args=("--build-arg", "a="),
    ),
    Case(
        name="arg-given-from-environment",
        why="--build-arg NAME takes the client's variable; one that is not there is as if not given",
        dockerfile="FROM base\nARG THERE=default\nARG NOT_THERE=default\nLABEL l=$THERE m=$NOT_THERE\n",
        args=("--build-arg", "THERE", "--build-arg", "NOT_THERE"),
        env={"THERE": "from outside"},
    ),
    Case(
        name="arg-given-twice",
        why="the last holds; the value may have = and blanks",
        dockerfile="FROM base\nARG a\nARG b\nLABEL a=$a b=$b\n",
        args=("--build-arg", "a=1", "--build-arg", "a=2", "--build-arg", "b=x=y z"),
    ),
    Case(
        name="arg-not-declared",
        why="a given value that nobody declares is no mistake and nowhere",
        dockerfile='FROM base\nRUN env | grep -c NOBODY > /seen || true\nLABEL l="[$NOBODY]"\n',
        args=("--build-arg", "NOBODY=x"),
    ),
    Case(
        name="arg-given-is-not-expanded",
        why="a value from the command line is as it is",
        dockerfile='FROM base\nARG b=x\nARG a\nLABEL l=$a\nRUN echo "$a" > /seen\n',
        args=("--build-arg", 'a=$b "q" \\n'),
    ),
    Case(
        name="arg-default-chain",
        why="a default takes the values before it, global ones too",
        dockerfile="ARG a=1\nARG b=$a.2\nARG c=${b}.3\nFROM base\nARG c\nARG d=$c.4\nARG e=${d}.5\nLABEL l=$e\n",
    ),
    Case(
        name="arg-default-chain-given",
        why="and what is given in the middle goes on",
        dockerfile="ARG a=1\nARG b=$a.2\nARG c=${b}.3\nFROM base\nARG c\nLABEL l=$c\n",
        args=("--build-arg", "b=cli"),
    ),
    Case(
        name="arg-of-itself",
        why="a default may use the value before it, of the base image's ENV or of another ARG",
        dockerfile="FROM base\nARG GREETING=$GREETING-arg\nARG GREETING=${GREETING}-again\nLABEL l=$GREETING\nRUN echo $GREETING > /seen\n",
    ),
    Case(
        name="arg-odd-names",
        why="a name may have dashes and dots; only a process can use it",
        dockerfile='FROM base\nARG a-b=1\nARG c.d=2\nLABEL l="${a-unset}" m=$a-b\nRUN ["sh", "-c", "cat /proc/$$/environ | tr \'\\\\0\' \'\\\\n\' | grep -e a-b -e c.d > /seen; true"]\n',
    ),
    Case(
        name="arg-in-exec-form",
        why="is a variable of the process, not a word of the instruction",
        dockerfile='FROM base\nARG a=1\nRUN ["sh", "-c", "echo $a \\"$0\\" > /seen", "$a"]\n',
    ),
    Case(
        name="arg-is-not-kept",
        why="neither in the config nor for who builds on it; a LABEL or ENV made of it is",
        dockerfile="FROM base AS one\nARG secret=hush\nENV kept=$secret\nFROM one\nRUN env | grep -e hush | sort > /seen\n",
    ),
)

_PREDEFINED = (
    Case(
        name="arg-platforms",
        why="the eight of BUILD and TARGET, and the stage's name, where they are declared; a variant that there is none of is empty",
        dockerfile="""\
FROM base AS named
ARG TARGETPLATFORM TARGETOS TARGETARCH TARGETVARIANT BUILDPLATFORM BUILDOS BUILDARCH BUILDVARIANT TARGETSTAGE
RUN env | grep -E '^(TARGET|BUILD)' | sort > /seen
LABEL l="$TARGETPLATFORM $TARGETOS/$TARGETARCH/$TARGETVARIANT $BUILDPLATFORM $TARGETSTAGE"
""",
    ),
    Case(
        name="arg-platforms-not-declared",
        why="are unset in a stage that does not declare them",
        dockerfile='FROM base\nLABEL l="[$TARGETPLATFORM$BUILDARCH]"\nRUN env | grep -c -E "^(TARGET|BUILD)" > /seen || true\n',
    ),
    Case(
        name="arg-platforms-global",
        why="are there before the first FROM without being declared",
        dockerfile="ARG name=base-$TARGETOS-$BUILDARCH\nFROM --platform=$BUILDPLATFORM base\nARG name\nLABEL l=$name\n",
    ),
    Case(
        name="arg-platforms-own-default",
        why="a default of one's own beats what is predefined",
        dockerfile="FROM base\nARG TARGETARCH=mine\nARG BUILDOS\nLABEL l=$TARGETARCH-$BUILDOS\n",
    ),
    Case(
        name="arg-platforms-given",
        why="and so does a given value",
        dockerfile="FROM base\nARG TARGETARCH\nLABEL l=$TARGETARCH\nRUN echo $TARGETARCH > /seen\n",
        args=("--build-arg", "TARGETARCH=cli"),
    ),
    Case(
        name="arg-platform-of-command-line",
        why="--platform sets those of TARGET",
        dockerfile='FROM scratch\nARG TARGETVARIANT TARGETARCH TARGETPLATFORM BUILDARCH\nLABEL l="$TARGETPLATFORM $TARGETARCH $TARGETVARIANT $BUILDARCH"\nCOPY f /f\n',
        files={"f": ""},
        args=("--platform", "linux/arm/v7"),
        base="scratch",
    ),
    Case(
        name="arg-target-stage",
        why="TARGETSTAGE is the name of what is built, in every stage; default without --target",
        dockerfile="FROM base AS one\nARG TARGETSTAGE\nRUN echo $TARGETSTAGE > /one\nFROM one AS two\nRUN echo $TARGETSTAGE > /two\nFROM two AS three\n",
        args=("--target", "two"),
    ),
    Case(
        name="tricky-05-proxies",
        why="reach RUN in both spellings without being declared; are no variables for the builder; are not kept",
        dockerfile="""\
FROM base
RUN env | grep -i _proxy | sort > /seen
LABEL l="[$HTTP_PROXY$http_proxy]"
""",
        args=(
            *("--build-arg", "HTTP_PROXY=http://proxy.example:1", "--build-arg", "https_proxy=http://proxy.example:2"),
            *(
                "--build-arg",
                "NO_PROXY=localhost",
                "--build-arg",
                "all_proxy=socks://proxy.example",
                "--build-arg",
                "ftp_proxy=ftp://proxy.example",
            ),
        ),
    ),
    Case(
        name="tricky-05-proxies-declared",
        why="a declared one is a variable for the builder, in its own spelling only; RUN has both",
        dockerfile="""\
FROM base
ARG HTTP_PROXY
LABEL l="[$HTTP_PROXY$http_proxy]"
ARG no_proxy=default
LABEL m="[$no_proxy]"
RUN env | grep -i _proxy | sort > /seen
""",
        args=("--build-arg", "HTTP_PROXY=http://proxy.example:1"),
    ),
    Case(
        name="arg-epoch",
        why="SOURCE_DATE_EPOCH is in RUN only where it is declared, and moves no clock",
        dockerfile="""\
FROM base
RUN env | grep -c EPOCH > /1 || true
ARG SOURCE_DATE_EPOCH
RUN env | grep EPOCH > /2; test $(date +%s) -gt 1700000000 && echo now >> /2
LABEL l=$SOURCE_DATE_EPOCH
""",
        args=("--build-arg", "SOURCE_DATE_EPOCH=1000000000"),
    ),
    Case(
        name="arg-buildkit-own",
        why="BUILDKIT_ and other names are ordinary when declared",
        dockerfile="FROM base\nARG BUILDKIT_MULTI_PLATFORM=x\nARG BUILDKIT_INLINE_CACHE\nLABEL l=[$BUILDKIT_MULTI_PLATFORM$BUILDKIT_INLINE_CACHE]\n",
    ),
)

_WRONG = (
    Case(name="arg-nothing", why="no name", dockerfile="FROM base\nARG\n", fails="ARG", line=2),
    Case(name="arg-no-name", why="a value without a name", dockerfile="FROM base\nARG =x\n", fails="ARG", line=2),
    Case(name="env-nothing", why="no name", dockerfile="FROM base\nENV\n", fails="ENV", line=2),
    Case(name="env-no-value", why="a name alone", dockerfile="FROM base\nENV a\n", fails="ENV", line=2),
    Case(name="env-no-name", why="a value without a name", dockerfile="FROM base\nENV =x\n", fails="ENV", line=2),
    Case(name="env-mixed", why="words without = among those with one", dockerfile="FROM base\nENV a=1 b c=2\n", fails="b", line=2),
    Case(name="env-comment-at-end", why="# is a word there", dockerfile="FROM base\nENV a=1 # comment\n", fails="#", line=2),
    Case(name="label-no-value", why="a name alone", dockerfile="FROM base\nLABEL a\n", fails="LABEL", line=2),
    Case(name="label-nothing", why="nothing", dockerfile="FROM base\nLABEL\n", fails="LABEL", line=2),
    Case(name="label-no-name", why="a value without a name", dockerfile="FROM base\nLABEL =x\n", fails="LABEL", line=2),
)

CASES = (*_ENV, *_SCOPE, *_PREDEFINED, *_WRONG)
