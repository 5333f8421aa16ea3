"""How a Dockerfile is read: directives, comments, continuations, line ends, white space, encodings."""

from case import Case

_TAB = "\t"

_DIRECTIVES = (
    Case(
        name="directive-escape",
        why="a backtick continues and a backslash does not",
        dockerfile="# escape=`\nFROM base\nRUN echo escape `\n  two > /seen; echo \\\\ >> /seen\n",
    ),
    Case(
        name="directive-escape-backslash",
        why="the default, said",
        dockerfile="# escape=\\\nFROM base\nRUN echo escape-backslash \\\n  two > /seen\n",
    ),
    Case(
        name="directive-blanks-and-case",
        why="blanks and case do not matter",
        dockerfile="#   EsCaPe   =   `   \nFROM base\nRUN echo blanks-and-case `\n  two > /seen\n",
    ),
    Case(name="directive-no-blanks", why="nor are blanks needed", dockerfile="#escape=`\nFROM base\nRUN echo no-blanks `\n  two > /seen\n"),
    Case(
        name="directive-several",
        why="any order, one after the other",
        dockerfile="# check=skip=all\n# escape=`\nFROM base\nRUN echo several `\n  two > /seen\n",
    ),
    Case(
        name="directive-after-comment",
        why="a comment before it makes it a comment",
        dockerfile="# hello\n# escape=`\nFROM base\nRUN echo after-comment \\\n  two > /seen\n",
    ),
    Case(
        name="directive-after-blank-line",
        why="and so does an empty line",
        dockerfile="\n# escape=`\nFROM base\nRUN echo after-blank-line \\\n  two > /seen\n",
    ),
    Case(
        name="directive-unknown-first",
        why="and one that nobody knows",
        dockerfile="# nope=1\n# escape=`\nFROM base\nRUN echo unknown-first \\\n  two > /seen\n",
    ),
    Case(
        name="directive-after-instruction",
        why="and an instruction",
        dockerfile="ARG a\n# escape=`\nFROM base\nRUN echo after-instruction \\\n  two > /seen\n",
    ),
    Case(
        name="directive-in-continuation",
        why="nor does it hold in the middle of a line",
        dockerfile="FROM base\nRUN echo in-continuation \\\n# escape=`\n  two > /seen\n",
    ),
    Case(name="directive-escape-wrong", why="no such escape", dockerfile="# escape=x\nFROM base\n", fails="escape", line=1),
    Case(name="directive-twice", why="once only", dockerfile="# escape=`\n# escape=`\nFROM base\n", fails="escape", line=2),
    Case(
        name="directive-check",
        why="rules of checks are no errors by default",
        dockerfile='# check=skip=JSONArgsRecommended\nFROM base AS Capital\nCMD echo x\nLABEL directive="$undefined check"\n',
    ),
    Case(
        name="directive-check-error", why="unless it is asked for", dockerfile="# check=error=true\nFROM base\nMAINTAINER x\n", fails="lint"
    ),
    Case(
        name="directive-syntax",
        why="the first line of most Dockerfiles: which frontend reads it. There is one here",
        dockerfile="# syntax=docker/dockerfile:1\n# escape=`\nFROM base\nRUN echo one `\n  two > /seen\n",
        skip_engine="it would fetch that frontend from a registry",
        tree={"/seen": 'file 0644 0:0 "one two\\n"'},
    ),
    Case(
        name="directive-syntax-of-a-version",
        why="of a version, of a channel, by digest, with blanks",
        dockerfile="#syntax = docker.io/docker/dockerfile:1.7-labs@sha256:" + "0" * 64 + "\nFROM base\nRUN echo one > /seen\n",
        skip_engine="it would fetch that frontend from a registry",
        tree={"/seen": 'file 0644 0:0 "one\\n"'},
    ),
    Case(
        name="directive-shebang",
        why="a first line for the shell is not in the way",
        dockerfile="#!/usr/bin/env build\n# escape=`\nFROM base\nRUN echo shebang \\\n  two > /seen\n",
    ),
)

_COMMENTS = (
    Case(
        name="tricky-21-comments-in-continuation",
        why="comments and empty lines between continued lines vanish, with any blanks before #",
        dockerfile=f"""\
FROM base
RUN echo tricky-21-comments-in-continuation \\
# comment
    # indented comment \\
{_TAB}# after a tab

    two \\

 # another
    three > /seen
""",
    ),
    Case(
        name="comment-is-not-at-the-end",
        why="# behind an instruction is a word",
        dockerfile="FROM base\nRUN echo a #b > /seen\nCMD x # y\n",
    ),
    Case(
        name="comment-with-escape", why="a comment is not continued", dockerfile="FROM base\n# comment \\\nRUN echo with-escape > /seen\n"
    ),
    Case(
        name="comment-indented",
        why="blanks before # do not matter",
        dockerfile=f"  # one\n{_TAB}# two\nFROM base\n   # three\nRUN echo indented > /seen\n",
    ),
    Case(
        name="comment-last-of-continuation",
        why="a continuation that ends in a comment",
        dockerfile="FROM base\nRUN echo last-of-continuation > /seen \\\n# comment\n",
    ),
    Case(name="comment-in-values", why="# within a value is of the value", dockerfile='FROM base\nENV a=b#c d="#e"\nLABEL l=#x\n'),
    Case(name="comment-only-hash", why="# alone", dockerfile="#\nFROM base\n#\nRUN echo only-hash \\\n#\n  two > /seen\n"),
)

_LINES = (
    Case(
        name="line-continued-in-word",
        why="the parts of a word are joined without a blank",
        dockerfile="FROM base\nRUN echo o\\\nne t\\\n  wo > /seen\nEN\\\nV a=b\n",
    ),
    Case(
        name="line-escape-and-blanks",
        why="blanks behind the escape do not matter",
        dockerfile=f"FROM base\nRUN echo escape-and-blanks \\  \n two \\{_TAB}\n three > /seen\n",
    ),
    Case(
        name="line-double-escape",
        why="an escaped escape at the end does not continue",
        dockerfile="FROM base\nRUN echo > /seen a\\\\\nENV x=y\\\\\nLABEL z=1\n",
    ),
    Case(
        name="line-escape-alone",
        why="a line of the escape alone continues",
        dockerfile="FROM base\nRUN echo escape-alone \\\n\\\n  two > /seen\n\\\nRUN echo three >> /seen\n",
    ),
    Case(
        name="line-escape-at-end-of-file", why="nothing to continue with", dockerfile="FROM base\nRUN echo escape-at-end-of-file > /seen \\"
    ),
    Case(
        name="line-empty-in-continuation",
        why="an empty line does not end it",
        dockerfile="FROM base\nRUN echo empty-in-continuation \\\n\n\n  two > /seen\n\n\nRUN echo three >> /seen\n",
    ),
    Case(
        name="line-blank-in-continuation",
        why="nor does one of blanks",
        dockerfile=f"FROM base\nRUN echo blank-in-continuation \\\n   \n{_TAB}\n  two > /seen\n",
    ),
    Case(name="line-no-newline-at-end", why="the last line needs none", dockerfile="FROM base\nRUN echo no-newline-at-end > /seen"),
    Case(
        name="line-crlf",
        why="a carriage return before a newline is of the line end, also behind an escape",
        dockerfile=b'# escape=\\\r\nFROM base\r\nRUN echo crlf \\\r\n  two > /seen\r\nENV a=b\r\nLABEL c="d"\r\nCMD ["e"]\r\n\r\n',
    ),
    Case(
        name="line-bom",
        why="a byte order mark at the beginning is not of the first instruction",
        dockerfile=b"\xef\xbb\xbfFROM base\nRUN echo bom > /seen\n",
    ),
    Case(
        name="line-bom-and-directive",
        why="nor does it hide a directive",
        dockerfile=b"\xef\xbb\xbf# escape=`\nFROM base\nRUN echo bom-and-directive `\n two > /seen\n",
    ),
    Case(
        name="line-tabs-and-indentation",
        why="blanks and tabs before and between words",
        dockerfile=f"  FROM{_TAB}base\n{_TAB}RUN{_TAB}{_TAB}echo tabs-and-indentation{_TAB}two > /seen\n    ENV{_TAB}a=b   \n",
    ),
    Case(
        name="line-keywords-in-any-case",
        why="instructions and AS",
        dockerfile='From base As x\nrUn echo keywords-in-any-case > /seen\nenv A=b\ncmd ["x"]\nlAbEl l=1\nexpose 1\nuser bob\nentrypoint e\n',
    ),
    Case(
        name="line-flags-keep-case",
        why="flags and their values do not",
        dockerfile="FROM base\nRUN --NETWORK=none true\n",
        fails="NETWORK",
        line=2,
    ),
    Case(
        name="line-unicode",
        why="UTF-8 in every kind of instruction",
        dockerfile='FROM base\nRUN echo "Grüße, 世界" > "/日本.txt"\nENV Ä=ö\nLABEL é="ñ"\nCMD ["ø"]\nWORKDIR /å\n',
    ),
    Case(name="line-not-utf-8", why="a Dockerfile is UTF-8", dockerfile=b"FROM base\nRUN echo '\xe9' > /seen\n", fails="UTF-8"),
    Case(name="line-long", why="a line of 60,000 bytes", dockerfile="FROM base\nRUN echo " + "x" * 60000 + " | wc -c > /seen\n"),
    Case(
        name="line-too-long", why="a line of more than 65,535 bytes", dockerfile="FROM base\nRUN echo " + "x" * 65536 + "\n", fails="65535"
    ),
    Case(
        name="line-many",
        why="400 instructions that make no layer",
        dockerfile="FROM base\n" + "".join(f"ENV a{n % 20}={n}\n" for n in range(400)),
    ),
    Case(
        name="line-vertical-space",
        why="form feeds and other odd white space are within words",
        dockerfile="FROM base\nRUN printf 'a\x0bb\x0cc' > /seen\n",
    ),
    Case(
        name="line-nul-free-quotes",
        why="an unbalanced quote in RUN is the shell's",
        dockerfile="FROM base\nRUN echo \"it's\" > /seen && echo \\' >> /seen\n",
    ),
)

_FILE = (
    Case(
        name="file-heredoc-of-cmd",
        why="there are no here-documents but of RUN, COPY and ADD",
        dockerfile="FROM base\nCMD cat <<EOF\nhello\nEOF\n",
        fails="hello",
        line=3,
    ),
    Case(
        name="file-elsewhere",
        why="-f, with the context where it was",
        dockerfile="FROM base\nCOPY a /a\n",
        file="docker/Own.dockerfile",
        files={"a": "a\n", "Dockerfile": "FROM nope\n"},
    ),
    Case(name="file-empty", why="no instruction", dockerfile="", fails="Dockerfile", line=-1),
    Case(name="file-of-comments", why="no instruction either", dockerfile="# one\n\n# two\n", fails="Dockerfile", line=-1),
    Case(name="instruction-unknown", why="no such instruction", dockerfile="FROM base\nRUNN true\n", fails="RUNN", line=2),
    Case(
        name="instruction-unknown-from-continuation",
        why="a forgotten escape makes the next line an instruction",
        dockerfile="FROM base\nRUN echo instruction-unknown-from-continuation \\\n  two\n  && three\n",
        fails="&&",
        line=4,
    ),
    Case(
        name="instruction-json-alone", why="words without an instruction", dockerfile='FROM base\n["echo", "x"]\n', fails='["echo"', line=2
    ),
)

CASES = (*_DIRECTIVES, *_COMMENTS, *_LINES, *_FILE)
