"""COPY --chown and --chmod: whose things are and with what modes, also those that are made on the way."""

from case import Case, File, Folder, Symlink

_TREE = {"d": Folder(0o750), "d/f": File("f\n", 0o640), "d/x": File("x\n", 0o755), "d/s": Folder(0o711), "d/s/g": File("g\n", 0o600)}


def _chmod(name: str, mode: str, why: str, **more: object) -> Case:
    """A mode on a tree and on a single file, into new places."""
    text = f"FROM base\nCOPY --chmod={mode} d /out\nCOPY --chmod={mode} d/f d/x /made/on/\n"
    return Case(name=name, why=why, dockerfile=text, files=_TREE, **more)


CASES = (
    Case(
        name="tricky-12-chown-covers-made-parents",
        why="folders that are made on the way are the new owner's; existing ones stay",
        dockerfile="FROM base\nCOPY --chown=bob d /new/deep\nCOPY --chown=bob d/f /real/made/f\nCOPY --chown=bob d/f /real/\n",
        files=_TREE,
    ),
    Case(
        name="chown-existing-folders-inside",
        why="folders inside the copied tree that exist become the new owner's, the destination does not",
        dockerfile="FROM base\nCOPY --chown=ann d /owned\n",
        files={"d/deep/f": "f\n", "d/f": "f\n"},
    ),
    Case(
        name="tricky-14-chown-number",
        why="one number is user and group",
        dockerfile="FROM base\nCOPY --chown=1 d/f /one\nCOPY --chown=1: d/f /colon\nCOPY --chown=1:2 d/f /both\nCOPY --chown=1001 d/f /ann\n",
        files=_TREE,
    ),
    Case(
        name="tricky-14-chown-name",
        why="a name brings its primary group out of /etc/passwd, not a group of the same name or number",
        dockerfile="FROM base\nCOPY --chown=ann d/f /ann\nCOPY --chown=bob d/f /bob\nCOPY --chown=nobody d/f /nobody\n",
        files=_TREE,
    ),
    Case(
        name="chown-name-and-group",
        why="names and numbers mixed",
        dockerfile="FROM base\nCOPY --chown=bob:people d/f /1\nCOPY --chown=bob:29 d/f /2\nCOPY --chown=7:staff d/f /3\nCOPY --chown=0:0 d/f /4\n",
        files=_TREE,
    ),
    Case(
        name="chown-group-alone",
        why="`:group` leaves the user root",
        dockerfile="FROM base\nCOPY --chown=:people d/f /name\nCOPY --chown=:29 d/f /number\n",
        files=_TREE,
    ),
    Case(
        name="chown-name-colon",
        why="`name:` with nothing behind it",
        dockerfile="FROM base\nCOPY --chown=ann: d/f /name\n",
        files=_TREE,
    ),
    Case(
        name="chown-empty",
        why="an empty value is none",
        dockerfile="FROM base\nARG NOBODY\nCOPY --chown=$NOBODY d/f /f\nCOPY --chown= d/f /g\n",
        files=_TREE,
    ),
    Case(
        name="chown-unknown-user",
        why="a name that /etc/passwd has not is quietly root",
        dockerfile="FROM base\nCOPY --chown=stranger d/f /f\nCOPY --chown=stranger:people d/f /g\n",
        files=_TREE,
    ),
    Case(
        name="chown-unknown-group",
        why="a name that /etc/group has not is quietly the user's own group",
        dockerfile="FROM base\nCOPY --chown=bob:strangers d/f /f\nCOPY --chown=7:strangers d/f /g\nCOPY --chown=:strangers d/f /h\n",
        files=_TREE,
    ),
    Case(
        name="chown-number-without-passwd",
        why="numbers need no files; nothing but a root is there",
        dockerfile="FROM scratch\nCOPY --chown=5:6 d /x\n",
        files=_TREE,
        base="scratch",
    ),
    Case(
        name="chown-name-without-passwd",
        why="a name in an image without /etc/passwd",
        dockerfile="FROM scratch\nCOPY --chown=bob d /x\n",
        files=_TREE,
        fails="bob",
        line=2,
    ),
    Case(
        name="chown-root-without-passwd",
        why="root is the one name that needs no file",
        dockerfile="FROM scratch\nCOPY --chown=root:root d /x\nCOPY --chown=root d /y\n",
        files=_TREE,
        base="scratch",
    ),
    Case(
        name="chown-name-of-earlier-run",
        why="the passwd of the image as it is at this step",
        dockerfile="FROM base\nRUN echo 'eve:x:2000:2001::/:/bin/sh' >> /etc/passwd && echo 'eves:x:2002:' >> /etc/group\n"
        "COPY --chown=eve d/f /1\nCOPY --chown=eve:eves d/f /2\n",
        files=_TREE,
        unseen=("/etc/*",),
    ),
    Case(
        name="chown-name-of-the-copied-passwd",
        why="not the passwd that this very step brings, though the next step sees it",
        dockerfile="FROM base\nCOPY --chown=eve etc /etc\nCOPY --chown=eve etc/passwd /next\n",
        files={"etc/passwd": "eve:x:2000:2001::/:/bin/sh\n"},
    ),
    Case(
        name="chown-odd-passwd",
        why="comments, blanks, short lines, a doubled name (the first counts), a user that is named like a number",
        dockerfile="FROM base\nCOPY etc /etc\nCOPY --chown=ok d/f /1\nCOPY --chown=twice d/f /2\nCOPY --chown=42 d/f /3\nCOPY --chown=:dup d/f /4\n",
        files={
            **_TREE,
            "etc/passwd": "# comment:x:1:1\n\nshort\nok:x:100:101\ntwice:x:5:6::/:\ntwice:x:7:8::/:\n42:x:4242:4343::/:\n  space:x:9:9::/:\n",
            "etc/group": "dup:x:11:\ndup:x:12:\n42:x:4444:\n",
        },
        unseen=("/etc/*",),
    ),
    Case(
        name="chown-passwd-behind-link",
        why="/etc/passwd as an absolute symlink stays inside the image",
        dockerfile="FROM base\nRUN mv /etc/passwd /real/pw && ln -s /real/pw /etc/passwd\nCOPY --chown=ann d/f /1\n",
        files=_TREE,
        unseen=("/etc/*", "/real/*"),
    ),
    Case(
        name="chown-big-numbers",
        why="large ids",
        dockerfile="FROM base\nCOPY --chown=2147483647:2000000 d/f /1\n",
        files=_TREE,
    ),
    Case(
        name="chown-negative",
        why="no number: an unknown name, so root",
        dockerfile="FROM base\nCOPY --chown=-1 d/f /1\n",
        files=_TREE,
    ),
    Case(
        name="chown-two-colons",
        why="user:group:more is no owner: the rest is dropped, and the group too",
        dockerfile="FROM base\nCOPY --chown=1:2:3 d/f /1\n",
        files=_TREE,
    ),
    Case(
        name="chown-variables",
        why="ARG and ENV in the flag",
        dockerfile="FROM base\nARG U=ann\nENV G=29\nCOPY --chown=$U:${G} d/f /1\nCOPY --chown=${X:-bob} d/f /2\n",
        files=_TREE,
    ),
    Case(
        name="chown-symlinks-too",
        why="the link itself gets the owner, not where it leads",
        dockerfile="FROM base\nCOPY --chown=ann d /out\n",
        files={"d/f": "f\n", "d/ln": Symlink("f"), "d/abs": Symlink("/real/file"), "d/bad": Symlink("/none")},
    ),
    Case(
        name="chown-clears-set-user-id",
        why="set-user-id and set-group-id survive the change of owner",
        dockerfile="FROM base\nCOPY --chown=bob:staff d /out\n",
        files={"d/suid": File("s\n", 0o4755), "d/sgid": File("g\n", 0o2755), "d/dir": Folder(0o3777)},
    ),
    Case(
        name="chown-user-instruction-does-not-matter",
        why="USER owns nothing that COPY brings",
        dockerfile="FROM base\nUSER ann\nCOPY d/f /made/f\nCOPY --chown=bob d/f /bobs/f\n",
        files=_TREE,
    ),
    _chmod("chmod-octal", "0741", "files and folders alike, and the folders that are made on the way"),
    _chmod("tricky-13-chmod-octal-made-parents", "600", "without a leading zero; made folders get it too, even one nobody can enter"),
    _chmod("chmod-octal-special-bits", "6755", "set-user-id and set-group-id by number"),
    _chmod("chmod-octal-sticky", "1777", "sticky by number"),
    _chmod("chmod-octal-zero", "0", "no rights at all"),
    _chmod("chmod-octal-largest", "7777", "the largest"),
    _chmod("tricky-13-chmod-too-large", "10000", "one more than the largest", fails="10000", line=2),
    _chmod("chmod-not-octal", "0888", "an eight is no octal digit", fails="0888", line=2),
    _chmod("chmod-nonsense", "rwxrwx", "neither octal nor symbolic", fails="rwxrwx", line=2),
    _chmod("chmod-symbolic-equals", "u=rwX,go=rX", "X is execute for folders and for files that had an execute bit"),
    _chmod("chmod-symbolic-plus-x", "+x", "no who is all, whatever the umask"),
    _chmod("chmod-symbolic-plus-w", "+w", "no who and w: the umask of chmod(1) would hide it from group and others"),
    _chmod("chmod-symbolic-a-minus-w", "a-w", "taking away"),
    _chmod("chmod-symbolic-copy-bits", "g=u,o=g", "bits of another class, in order"),
    _chmod("chmod-symbolic-special", "u+s,g+s,+t", "set-user-id, set-group-id and sticky by letters"),
    _chmod("chmod-symbolic-several-ops", "u+x-w,go=", "several operations for one class; an empty right side"),
    _chmod("chmod-symbolic-order", "a=,u+rX,g+X", "X looks at the bits as they are when its turn comes"),
    _chmod("chmod-symbolic-numeric-clause", "u=7", "digits are no letters", fails="u=7", line=2),
    Case(
        name="chmod-symbolic-drops-special",
        why="what `=` does to set-id and sticky bits, of files and folders",
        dockerfile="FROM base\nCOPY --chmod=u=rw,g=r,o= d /eq\nCOPY --chmod=a+r d /plus\nCOPY --chmod=u-s d /minus\n",
        files={"d/suid": File("s\n", 0o4755), "d/sgid": File("g\n", 0o2755), "d/dir": Folder(0o3775), "d/st": File("t\n", 0o1644)},
    ),
    Case(
        name="chmod-octal-drops-special",
        why="an octal mode leaves no special bits of the source",
        dockerfile="FROM base\nCOPY --chmod=755 d /out\n",
        files={"d/suid": File("s\n", 0o4755), "d/dir": Folder(0o3775)},
    ),
    Case(
        name="chmod-existing-folders",
        why="the destination that exists keeps its mode; folders inside that exist do not",
        dockerfile="FROM base\nCOPY --chmod=0705 d /owned\nCOPY --chmod=0704 d/f /owned/f2\n",
        files={"d/deep/f": "f\n", "d/f": "f\n"},
    ),
    Case(
        name="chmod-symlinks-untouched",
        why="a link has no mode and its target is not reached",
        dockerfile="FROM base\nCOPY --chmod=600 d /out\n",
        files={"d/f": "f\n", "d/abs": Symlink("/real/file"), "d/rel": Symlink("f")},
    ),
    Case(
        name="chmod-and-chown",
        why="both, with made parents",
        dockerfile="FROM base\nCOPY --chown=bob:staff --chmod=4750 d/f /a/b/c\nCOPY --chmod=u=rwx,go= --chown=1:2 d /t/u\n",
        files=_TREE,
    ),
    Case(
        name="chmod-variables",
        why="ARG and ENV in the flag",
        dockerfile="FROM base\nARG M=0711\nENV E=u=rwx,go=r\nCOPY --chmod=$M d/f /1\nCOPY --chmod=${E} d/f /2\n",
        files=_TREE,
    ),
    Case(
        name="chmod-empty",
        why="an empty value is none",
        dockerfile="FROM base\nARG M\nCOPY --chmod=$M d/f /f\n",
        files=_TREE,
    ),
    Case(
        name="chmod-undeclared-variable-in-scratch",
        why="on nothing: the root itself is not touched",
        dockerfile="FROM scratch\nCOPY --chmod=700 --chown=3:4 d /\n",
        files=_TREE,
        base="scratch",
    ),
    Case(
        name="chmod-several-files-parents",
        why="the folder that several files need is made once, with the mode",
        dockerfile="FROM base\nCOPY --chmod=640 d/f d/x /p/q/\n",
        files=_TREE,
    ),
)
