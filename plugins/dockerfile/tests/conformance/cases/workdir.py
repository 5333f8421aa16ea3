"""WORKDIR: what it makes, whose it is, and where it leads."""

from case import Case

CASES = (
    Case(
        name="tricky-09-workdir-makes-folders",
        why="missing folders, 0755 of root",
        dockerfile="FROM base\nWORKDIR /new/deep\n",
    ),
    Case(
        name="tricky-09-workdir-of-user",
        why="made folders and the USER of the moment: name, name and group, number",
        dockerfile="FROM base\nUSER ann\nWORKDIR /a/b\nUSER bob:staff\nWORKDIR /c\nUSER 7:8\nWORKDIR /d\nUSER 9\nWORKDIR /e\n",
    ),
    Case(
        name="tricky-09-workdir-existing-untouched",
        why="an existing folder keeps owner and mode",
        dockerfile="FROM base\nUSER ann\nWORKDIR /owned\nWORKDIR deep\n",
    ),
    Case(
        name="tricky-09-workdir-root",
        why="WORKDIR / sets the config and makes nothing",
        dockerfile="FROM base\nWORKDIR /\n",
    ),
    Case(
        name="workdir-relative",
        why="relative to the one before, the first to the root",
        dockerfile="FROM base\nWORKDIR a\nWORKDIR b\nWORKDIR ../c\nWORKDIR ./d/../e/\nRUN pwd > /pwd\n",
    ),
    Case(
        name="workdir-relative-to-the-bases",
        why="relative to the base's WORKDIR",
        dockerfile="FROM configured\nWORKDIR sub\nRUN pwd > pwd; id -un > who\n",
        base="configured",
    ),
    Case(
        name="workdir-relative-to-a-stages",
        why="relative to a stage's WORKDIR",
        dockerfile="FROM base AS parent\nWORKDIR /p/q\nFROM parent\nWORKDIR r\n",
    ),
    Case(
        name="workdir-cleaned",
        why="dots and double slashes vanish, a trailing slash too; `..` stops at the root",
        dockerfile="FROM base\nWORKDIR //x//./y/../z/\nWORKDIR ../../../../../top\n",
    ),
    Case(
        name="workdir-variables",
        why="ENV, ARG and defaults, in the middle and relative",
        dockerfile="FROM base\nENV ROOT=/r\nARG NAME=n\nWORKDIR $ROOT/${NAME}/${NO:-d}\nWORKDIR $NAME\n",
    ),
    Case(
        name="workdir-variable-is-empty",
        why="nothing at all",
        dockerfile="FROM base\nARG NOTHING\nWORKDIR /w\nWORKDIR $NOTHING\n",
    ),
    Case(
        name="workdir-no-word",
        why="WORKDIR without a word",
        dockerfile="FROM base\nWORKDIR\n",
        fails="WORKDIR",
        line=2,
    ),
    Case(
        name="workdir-spaces",
        why="everything to the line's end is one path",
        dockerfile="FROM base\nWORKDIR /a b  c\nRUN pwd > /pwd\n",
    ),
    Case(
        name="workdir-quoted",
        why="quotes go away",
        dockerfile='FROM base\nWORKDIR "/q q"\nRUN pwd > /pwd\n',
    ),
    Case(
        name="workdir-json-is-a-name",
        why="there is no JSON form",
        dockerfile='FROM base\nWORKDIR ["/x"]\n',
    ),
    Case(
        name="workdir-link-to-folder",
        why="a link is followed; the config keeps the link's name",
        dockerfile="FROM base\nWORKDIR /link/sub\nRUN pwd > /pwd; pwd -P > /real-pwd\n",
    ),
    Case(
        name="workdir-dangling-link",
        why="a link that leads nowhere",
        dockerfile="FROM base\nWORKDIR /dangling\nRUN echo x > here\n",
    ),
    Case(
        name="workdir-loop",
        why="a link to itself",
        dockerfile="FROM base\nWORKDIR /loop/x\n",
        fails="loop",
        line=2,
    ),
    Case(
        name="workdir-is-a-file",
        why="a file of that name",
        dockerfile="FROM base\nWORKDIR /real/file\n",
        fails="/real/file",
        line=2,
    ),
    Case(
        name="workdir-below-a-file",
        why="a file on the way",
        dockerfile="FROM base\nWORKDIR /real/file/x\n",
        fails="/real/file",
        line=2,
    ),
    Case(
        name="workdir-removed-by-run",
        why="a RUN that removes its WORKDIR: the next RUN finds one again",
        dockerfile="FROM base\nWORKDIR /w\nRUN rmdir /w\nRUN pwd > /pwd\n",
    ),
    Case(
        name="workdir-after-copy",
        why="a WORKDIR that a COPY made keeps the COPY's owner",
        dockerfile="FROM base\nCOPY --chown=ann a /w/a\nUSER bob\nWORKDIR /w\nRUN stat -c %U . > /tmp/owner\n",
        files={"a": "a\n"},
    ),
    Case(
        name="workdir-user-unknown",
        why="a USER that /etc/passwd has not, and a folder to make",
        dockerfile="FROM base\nUSER stranger\nWORKDIR /w\n",
    ),
    Case(
        name="workdir-scratch",
        why="onto nothing",
        dockerfile="FROM scratch\nWORKDIR /a/b\n",
        base="scratch",
    ),
    Case(
        name="workdir-scratch-user",
        why="onto nothing, with a USER by number and by name",
        dockerfile="FROM scratch\nUSER 5:6\nWORKDIR /a\n",
        base="scratch",
    ),
    Case(
        name="workdir-for-add-and-copy",
        why="relative destinations of ADD and COPY, and a destination of `.`",
        dockerfile="FROM base\nWORKDIR /w\nADD a .\nCOPY a b/\nCOPY a ./c\nWORKDIR d\nCOPY a ../e\n",
        files={"a": "a\n"},
    ),
    Case(
        name="workdir-without-use",
        why="a WORKDIR of a stage that only lends its files makes its folder there as well",
        dockerfile="FROM base AS made\nUSER bob\nWORKDIR /w/x\nFROM base\nCOPY --from=made /w /w\n",
    ),
    Case(
        name="workdir-group-of-user",
        why="USER with a group alone in the config of the base: the folder's group",
        dockerfile="FROM base\nUSER :29\nWORKDIR /w\n",
    ),
    Case(
        name="workdir-sticky-parents",
        why="below a folder with set-group-id: the made folder's group",
        dockerfile="FROM base\nUSER ann\nWORKDIR /owned/deep/w\nUSER root\nWORKDIR /owned/deep/v\n",
    ),
)
