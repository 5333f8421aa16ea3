"""COPY and ADD with here-documents: files that are written in the Dockerfile."""

from case import Case

_TAB = "\t"

CASES = (
    Case(
        name="tricky-20-document-file",
        why="a file of mode 0644 of root, its parents 0755",
        dockerfile="FROM base\nUSER bob\nCOPY <<EOF /new/deep/file\nline 1\n  line 2\n\nEOF\n",
    ),
    Case(
        name="tricky-20-document-name-in-folder",
        why="the delimiter is the file's name where the destination is a folder",
        dockerfile="FROM base\nCOPY <<hello.txt /out/\nhello\nhello.txt\nCOPY <<there /real\nthere is\nthere\n",
    ),
    Case(
        name="tricky-20-document-several",
        why="several documents, in order, beside a file of the context",
        dockerfile="FROM base\nCOPY <<one plain <<two /out/\n1\none\n2\ntwo\n",
        files={"plain": "p\n"},
    ),
    Case(
        name="document-several-of-one-name",
        why="two documents with one delimiter",
        dockerfile="FROM base\nCOPY <<x <<x /out/\nfirst\nx\nsecond\nx\n",
    ),
    Case(
        name="tricky-20-document-expansion",
        why="ARG and ENV are expanded, with defaults; what is unset is empty; a backslash saves a dollar",
        dockerfile="FROM base\nARG A=arg\nENV E=env\nCOPY <<EOF /x\n$A ${E} ${NO:-default} [$NO] \\$A \\\\$A a$A.b ${A}b\nEOF\n",
    ),
    Case(
        name="document-backslash-is-no-part-of-the-end",
        why="a backslash in the delimiter goes away: the line that ends the document has none",
        dockerfile="FROM base\nCOPY <<\\EOF /4\n$A\n\\EOF\n",
        fails="EOF",
        line=2,
    ),
    Case(
        name="document-backslash-delimiter",
        why="a backslash in the delimiter quotes in a shell, but here the text is expanded",
        dockerfile="FROM base\nARG A=arg\nCOPY <<E\\OF /1\n$A\nEOF\n",
    ),
    Case(
        name="tricky-20-document-quoted-parts",
        why="double, single, and a quote in the middle",
        dockerfile='FROM base\nARG A=arg\nCOPY <<"EOF" /1\n$A \\$A\nEOF\nCOPY <<\'EOF\' /2\n$A \\$A\nEOF\nCOPY <<E"O"F /3\n$A\nEOF\n',
    ),
    Case(
        name="document-quotes-inside",
        why="quotes in the text are text, also single ones that would stop an expansion",
        dockerfile="FROM base\nARG A=arg\nCOPY <<EOF /x\n'$A' \"$A\" `$A` it's\nEOF\n",
    ),
    Case(
        name="document-backslashes-inside",
        why="backslashes: at line's end, before letters, before quotes, doubled",
        dockerfile="FROM base\nCOPY <<EOF /x\none \\\ntwo \\n \\t \\\" \\' \\\\ \\\\\\\\ end\\\nEOF\n",
    ),
    Case(
        name="document-escape-directive",
        why="another escape does not reach the text: there the backslash still saves a dollar",
        dockerfile="# escape=`\nFROM base\nARG A=arg\nCOPY <<EOF /x\n\\$A `$A `` \\ `\nEOF\n",
    ),
    Case(
        name="tricky-20-document-tabs",
        why="`<<-` takes tabs from the front of lines and of the end, not spaces",
        dockerfile=f"FROM base\nCOPY <<-EOF /x\n{_TAB}one\n{_TAB}{_TAB}two\n  three\n {_TAB}four\nfive{_TAB}six\n{_TAB}EOF\n",
    ),
    Case(
        name="document-tabs-are-kept",
        why="`<<` keeps tabs, and a delimiter behind a tab ends nothing",
        dockerfile=f"FROM base\nCOPY <<EOF /x\n{_TAB}one\n{_TAB}EOF\nEOF\n",
    ),
    Case(
        name="document-tabs-quoted",
        why="`<<-` with quotes: tabs go, dollars stay",
        dockerfile=f"FROM base\nCOPY <<-'EOF' /x\n{_TAB}$A\n{_TAB}EOF\n",
    ),
    Case(
        name="document-empty",
        why="an empty document is an empty file",
        dockerfile="FROM base\nCOPY <<EOF /x\nEOF\nCOPY <<EOF /y\n\nEOF\n",
    ),
    Case(
        name="document-no-expansion-in-comments",
        why="lines that look like comments, instructions and directives are text",
        dockerfile="FROM base\nCOPY <<EOF /x\n# comment\nFROM nowhere\n# syntax=x\nRUN false\nEOF\n",
    ),
    Case(
        name="document-never-ends",
        why="a document that is never ended",
        dockerfile="FROM base\nCOPY <<EOF /x\ntext\n EOF\n",
        fails="EOF",
        line=2,
    ),
    Case(
        name="document-end-with-space",
        why="a space behind the delimiter ends nothing",
        dockerfile="FROM base\nCOPY <<EOF /x\ntext\nEOF \nEOF\n",
    ),
    Case(
        name="document-end-of-file-without-newline",
        why="the delimiter is the file's last line, without a newline",
        dockerfile="FROM base\nCOPY <<EOF /x\ntext\nEOF",
    ),
    Case(
        name="document-chown-chmod",
        why="owner and mode, of parents too",
        dockerfile="FROM base\nCOPY --chown=bob --chmod=0750 <<EOF /new/x\ntext\nEOF\nCOPY --chmod=+x <<EOF /y\ntext\nEOF\n",
    ),
    Case(
        name="document-from",
        why="--from beside a document: the document is still inline",
        dockerfile="FROM base AS made\nRUN echo s > /s\nFROM base\nCOPY --from=made s <<doc /out/\ntext\ndoc\n",
    ),
    Case(
        name="document-delimiter-is-a-path",
        why="a delimiter with a slash is no file's name",
        dockerfile="FROM base\nCOPY <<a/b /out/\ntext\na/b\n",
        fails="a/b",
        line=2,
    ),
    Case(
        name="document-delimiter-with-dots",
        why="dots, dashes and underscores in the delimiter",
        dockerfile="FROM base\nCOPY <<.my-file_1.conf /out/\ntext\n.my-file_1.conf\n",
    ),
    Case(
        name="document-json-form",
        why="there are no documents in the JSON form",
        dockerfile='FROM base\nCOPY ["<<EOF", "/out/"]\n',
        files={"<<EOF": "named\n"},
        differs="the engine makes an empty file EOF of it",
        tree={"/out": "dir 0755 0:0", "/out/<<EOF": 'file 0644 0:0 "named\\n"'},
    ),
    Case(
        name="document-after-continuation",
        why="the document starts after the last continued line",
        dockerfile="FROM base\nCOPY --chown=bob \\\n  <<EOF \\\n  # comment\n  /x\ntext\nEOF\n",
    ),
    Case(
        name="document-onto-link",
        why="the destination is followed",
        dockerfile="FROM base\nCOPY <<EOF /filelink\ntext\nEOF\nCOPY <<EOF /lib/x\ntext\nEOF\n",
    ),
    Case(
        name="document-beyond-ascii",
        why="text in UTF-8 and carriage returns",
        dockerfile="FROM base\nCOPY <<EOF /x\ngrüße ネコ\r\nb\nEOF\n",
    ),
    Case(
        name="document-crlf-dockerfile",
        why="a Dockerfile with CR LF: the document too",
        dockerfile=b"FROM base\r\nCOPY <<EOF /x\r\none\r\ntwo\r\nEOF\r\n",
    ),
    Case(
        name="document-long",
        why="a document of many lines",
        dockerfile="FROM base\nCOPY <<EOF /x\n" + "".join(f"line {each}\n" for each in range(500)) + "EOF\n",
    ),
    Case(
        name="document-looks-like-redirect",
        why="`<<<` is no document, and `a<<b` neither",
        dockerfile="FROM base\nCOPY a<<b /out/\n",
        files={"a<<b": "named\n"},
    ),
    Case(
        name="document-number-before",
        why="a number before `<<` is a descriptor in a shell",
        dockerfile="FROM base\nCOPY 3<<EOF /out/\ntext\nEOF\n",
    ),
    Case(
        name="document-in-onbuild",
        why="a document in a trigger",
        dockerfile="FROM base AS parent\nONBUILD COPY <<EOF /x\ntext\nEOF\nFROM parent\n",
    ),
)
