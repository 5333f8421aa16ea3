"""RUN with here-documents: what the builder makes of them, and what is left to the shell."""

from case import Case

_TAB = "\t"

CASES = (
    Case(
        name="heredoc-script",
        why="the lines are one script of the default shell, without -e: a failure in the middle is none",
        dockerfile="""\
FROM base
RUN <<EOF
echo one > /seen
false
echo two >> /seen
EOF
""",
    ),
    Case(
        name="heredoc-exit-code",
        why="the last line's exit code is the step's",
        dockerfile="FROM base\nRUN <<EOF\necho one\nexit 7\nEOF\n",
        fails="exit code 7",
        line=2,
    ),
    Case(
        name="heredoc-not-a-dockerfile",
        why="neither comments nor instructions nor directives are looked for within",
        dockerfile="""\
FROM base
RUN <<EOF > /dev/null
EOF
RUN <<END
# comment
FROM() { echo "FROM $*" > /seen; }
FROM nowhere AS x
echo '# kept' >> /seen

echo after a blank >> /seen
END
RUN echo next >> /seen
""",
    ),
    Case(
        name="heredoc-variables",
        why="the builder expands nothing; the shell has ARG and ENV as variables and sees the text as written",
        dockerfile="""\
FROM base
ARG NAME=arg
RUN <<EOF
NAME=changed
echo "$NAME" \\$NAME "\\$NAME" '$NAME' ${NONE:-none} > /seen
EOF
""",
    ),
    Case(
        name="heredoc-continuation-within",
        why="a backslash at a line's end is the shell's",
        dockerfile="FROM base\nRUN <<EOF\necho a \\\n  b > /seen\nEOF\n",
    ),
    Case(
        name="tricky-20-heredoc-shebang",
        why="a text that begins with #! is a file with that interpreter and its options, called by the shell",
        dockerfile="""\
FROM base
ARG NAME=arg
RUN <<EOF
#!/bin/awk -f
BEGIN { print "awk", ENVIRON["NAME"] > "/seen" }
EOF
RUN <<EOF
#!/bin/sh -e
echo $0 $# "$NAME" \\$NAME $- > /script
ls -A /dev/pipes >> /script
EOF
RUN ls -d /dev/pipes || echo gone > /after
""",
    ),
    Case(
        name="heredoc-shebang-fails",
        why="the interpreter's -e works",
        dockerfile="FROM base\nRUN <<EOF\n#!/bin/sh -e\nfalse\ntrue\nEOF\n",
        fails="exit code 1",
        line=2,
    ),
    Case(
        name="heredoc-shebang-missing",
        why="an interpreter that is not there is the shell's failure",
        dockerfile="FROM base\nRUN <<EOF\n#!/bin/nope\nEOF\n",
        fails="exit code 127",
        line=2,
    ),
    Case(
        name="heredoc-shebang-not-first",
        why="only the first two bytes make a script a file",
        dockerfile="FROM base\nRUN <<EOF\n\n#!/bin/awk -f\necho $0 > /seen\nEOF\n",
    ),
    Case(
        name="heredoc-shebang-in-workdir-as-user",
        why="the file may be run by whoever the step is",
        dockerfile="FROM base\nWORKDIR /srv/app\nUSER bob\nRUN <<EOF\n#!/bin/sh\npwd > /tmp/seen\nid -u >> /tmp/seen\nEOF\n",
    ),
    Case(
        name="heredoc-shebang-tabs",
        why="it is looked for before <<- strips the tabs, so it is a comment of a script without -e",
        dockerfile=f"FROM base\nRUN <<-EOF\n{_TAB}#!/bin/sh -e\n{_TAB}false\n{_TAB}echo $0 > /seen\n{_TAB}EOF\n",
    ),
    Case(
        name="heredoc-for-a-command",
        why="with a command on the line the text is its input, given by the shell, which expands it",
        dockerfile="""\
FROM base
ARG NAME=arg
RUN cat <<EOF > /seen
$NAME \\$NAME ${NAME#a} `echo sub`
a \\
b
EOF
RUN <<EOF cat > /before
$NAME
EOF
RUN <<EOF sh -s one "two three"
echo $# "\\$@" > /args
EOF
""",
    ),
    Case(
        name="tricky-20-heredoc-quoted",
        why="a quote in the delimiter, however written, and the shell expands nothing",
        dockerfile="""\
FROM base
ARG NAME=arg
RUN cat <<'EOF' > /single
$NAME \\$NAME
EOF
RUN cat <<"EOF" > /double
$NAME \\$NAME
EOF
RUN cat <<E"O"F > /inside
$NAME \\$NAME
EOF
RUN <<'EOF'
echo "$NAME" \\$NAME > /script
EOF
""",
    ),
    Case(
        name="tricky-20-heredoc-tabs",
        why="<<- strips leading tabs, also of the end, and no blank",
        dockerfile=f"""\
FROM base
RUN cat <<-EOF > /seen
{_TAB}{_TAB}two tabs
 {_TAB}blank and tab
{_TAB} tab and blank
{_TAB}end{_TAB}
{_TAB}EOF
RUN <<-EOF
{_TAB}echo "a{_TAB}b" > /script
EOF
""",
    ),
    Case(
        name="heredoc-end-is-exact",
        why="blanks around the word do not end it; without <<- nor do tabs",
        dockerfile=f"FROM base\nRUN cat <<EOF > /seen\n EOF\nEOF \n{_TAB}EOF\nEOFX\nEOF\n",
    ),
    Case(
        name="heredoc-several",
        why="one after the other, in the order of the line",
        dockerfile="""\
FROM base
RUN cat <<ONE > /one && cat <<TWO > /two
1 TWO
TWO
ONE
2
TWO
RUN cat <<A /dev/fd/3 3<<B > /three
a
A
b
B
""",
    ),
    Case(
        name="heredoc-several-without-command",
        why="two of them and no command are nothing to run",
        dockerfile="FROM base\nRUN <<A <<B\ntouch /a\nA\ntouch /b\nB\n",
    ),
    Case(
        name="heredoc-with-shell",
        why="the script goes to SHELL",
        dockerfile='FROM base\nSHELL ["/bin/sh", "-e", "-u", "-c"]\nRUN <<EOF\necho $- > /seen\nEOF\n',
    ),
    Case(
        name="heredoc-with-shell-e",
        why="-e of SHELL ends a script",
        dockerfile='FROM base\nSHELL ["/bin/sh", "-e", "-c"]\nRUN <<EOF\nfalse\ntrue\nEOF\n',
        fails="exit code 1",
        line=3,
    ),
    Case(
        name="heredoc-with-flags",
        why="flags stand before it",
        dockerfile="""\
FROM base
RUN --network=none --mount=type=tmpfs,target=/scratch <<EOF
ls /sys/class/net > /seen
touch /scratch/file
EOF
""",
    ),
    Case(
        name="heredoc-continued-line",
        why="the text begins after the continued line",
        dockerfile="""\
FROM base
RUN cat <<EOF \\
  > /seen && \\
  echo after >> /seen
text
EOF
""",
    ),
    Case(
        name="heredoc-empty",
        why="no line at all",
        dockerfile="FROM base\nRUN <<EOF\nEOF\nRUN cat <<EOF > /seen\nEOF\n",
    ),
    Case(
        name="heredoc-not-one",
        why="<< within quotes, in arithmetic, in JSON or as <<< is none",
        dockerfile="""\
FROM base
RUN echo "1 <<2" '<<EOF' > /seen
RUN echo $((1<<2)) >> /seen
RUN ["touch", "/<<EOF"]
RUN echo \\<\\<EOF >> /seen
""",
    ),
    Case(
        name="heredoc-crlf",
        why="the end is recognized; within the text a carriage return is kept, so the file is named seen and a carriage return",
        dockerfile=b"FROM base\r\nRUN <<EOF\r\necho one > /seen\r\nEOF\r\nRUN echo two >> /seen\r\n",
    ),
    Case(
        name="heredoc-end-of-file",
        why="the end may be the file's last bytes",
        dockerfile="FROM base\nRUN <<EOF\necho one > /seen\nEOF",
    ),
    Case(
        name="heredoc-unterminated",
        why="no end is a mistake, said before anything runs",
        dockerfile="FROM base\nRUN touch /x\nRUN <<EOF\necho hi\n",
        fails="EOF",
        line=3,
    ),
    Case(
        name="heredoc-unterminated-second",
        why="each needs its end",
        dockerfile="FROM base\nRUN cat <<A <<B\na\nA\nb\n",
        fails="B",
        line=2,
    ),
    Case(
        name="heredoc-unicode",
        why="text is bytes",
        dockerfile="FROM base\nRUN cat <<ÉND > /seen\nžluťoučký 你好\nÉND\n",
    ),
)
