"""COPY --from: stages by name and number, images, named contexts; and --exclude."""

from case import Case, File, Folder

_MADE = "FROM base AS made\nRUN mkdir -p /m/s && echo x > /m/x && echo y > /m/s/y && chown -R bob:staff /m && chmod 700 /m/s && chmod 4750 /m/x\n"
_TREE = {
    "d/a.c": "a\n",
    "d/a.o": "a\n",
    "d/b.o": "b\n",
    "d/s/c.o": "c\n",
    "d/s/c.c": "c\n",
    "d/s/t/d.o": "d\n",
    "d/.o": "dot\n",
    "d/doc/x.md": "x\n",
    "d/doc/README.md": "r\n",
    "d/empty": Folder(0o700),
}


def _exclude(name: str, why: str, flags: str, source: str = "d", destination: str = "/out/", **more: object) -> Case:
    return Case(name=name, why=why, dockerfile=f"FROM base\nCOPY {flags} {source} {destination}\n", files=_TREE, **more)


CASES = (
    Case(
        name="tricky-12-from-keeps-owners",
        why="owners and modes of the stage are kept inside; folders that are made are root's",
        dockerfile=f"{_MADE}FROM base\nCOPY --from=made /m /new/m\nCOPY --from=made /m/x /one/x\nCOPY --from=made /m/s /existing/\n",
    ),
    Case(
        name="from-existing-folders-take-the-sources-owner",
        why="folders inside the tree that exist become as the stage's, the destination stays",
        dockerfile="FROM base AS made\nRUN mkdir -p /m/deep && chmod 711 /m/deep && chown ann /m /m/deep && echo x > /m/deep/x\n"
        "FROM base\nCOPY --from=made /m /owned\n",
    ),
    Case(
        name="from-with-chown",
        why="--chown is for the stage's things as well",
        dockerfile=f"{_MADE}FROM base\nCOPY --from=made --chown=ann /m /new/m\nCOPY --from=made --chown=0 --chmod=u=rwX,go= /m /other\n",
    ),
    Case(
        name="from-relative-source",
        why="the source starts at the stage's root, not at its WORKDIR",
        dockerfile="FROM base AS made\nWORKDIR /w\nRUN echo w > /w/f && echo root > /f\nFROM base\nCOPY --from=made f /1\nCOPY --from=made ./f /2\nCOPY --from=made ../w/f /3\n",
    ),
    Case(
        name="from-whole-stage",
        why="`/` of a stage, with everything of the base in it",
        dockerfile="FROM base AS made\nRUN echo x > /owned/x && chmod 711 /srv && rm -r /real\nFROM scratch\nCOPY --from=made / /\n",
    ),
    Case(
        name="tricky-06-from-index",
        why="stages by number, also those with names, and stages of only FROM",
        dockerfile="FROM base AS one\nRUN echo 1 > /f\nFROM base\nRUN echo 2 > /f\nFROM base\nCOPY --from=0 /f /1\nCOPY --from=1 /f /2\n",
    ),
    Case(
        name="tricky-06-from-ignores-case",
        why="names of stages do not know capitals",
        dockerfile="FROM base AS MaDe\nRUN echo x > /x\nFROM base\nCOPY --from=mAdE /x /x\n",
    ),
    Case(
        name="tricky-06-from-forward",
        why="a stage that comes later",
        dockerfile="FROM base AS first\nCOPY --from=later /x /x\nFROM base AS later\nRUN echo x > /x\nFROM first\n",
        fails="later",
        line=2,
    ),
    Case(
        name="tricky-06-from-itself",
        why="the stage itself",
        dockerfile="FROM base AS self\nCOPY --from=self /real/file /x\n",
        fails="self",
        line=2,
    ),
    Case(
        name="tricky-06-from-index-too-large",
        why="a number of no stage before this one",
        dockerfile="FROM base\nFROM base\nCOPY --from=1 /real/file /x\n",
        fails="1",
        line=3,
    ),
    Case(
        name="from-image",
        why="an image that no FROM names; its VOLUMEs, USER and WORKDIR do not count",
        dockerfile="FROM base\nCOPY --from=configured /srv/app /app\nCOPY --from=configured srv/app/app /one\n",
    ),
    Case(
        name="from-variable",
        why="--from is not expanded, and says so",
        dockerfile="ARG WHICH=made\nFROM base AS made\nRUN echo x > /x\nFROM base\nCOPY --from=$WHICH /x /x\n",
        fails="--from",
        line=5,
    ),
    Case(
        name="from-named-context",
        why="a folder by name; its owners are root's, its own ignore file does not count for what is wanted",
        dockerfile="FROM base\nCOPY --from=other a /1\nCOPY --from=other s /2\nCOPY --from=other / /3/\n",
        files={"a": "wrong\n"},
        contexts={"other": {"a": File("a\n", 0o600, (1000, 1000)), "s/b": "b\n", "e": Folder(0o711)}},
    ),
    Case(
        name="tricky-06-named-context-hides-stage",
        why="a named context is asked before the stages",
        dockerfile="FROM base AS other\nRUN echo stage > /a\nFROM base\nCOPY --from=other /a /a\n",
        contexts={"other": {"a": "context\n"}},
    ),
    Case(
        name="tricky-06-named-context-hides-image",
        why="a named context is asked before the images",
        dockerfile="FROM base\nCOPY --from=busybox:1.36 a /a\n",
        contexts={"busybox:1.36": {"a": "context\n"}},
    ),
    Case(
        name="tricky-06-named-context-is-an-image",
        why="a named context that is an image: its files and, for FROM, its config",
        dockerfile="FROM other\nCOPY --from=other /real/file /copied\n",
        contexts={"other": "configured"},
        base="configured",
    ),
    Case(
        name="from-named-context-with-ignore",
        why="the .dockerignore of a named context",
        dockerfile="FROM base\nCOPY --from=other / /out/\n",
        files={".dockerignore": "kept\n"},
        contexts={"other": {".dockerignore": "gone\n", "gone": "g\n", "kept": "k\n"}},
    ),
    Case(
        name="from-named-context-capitals",
        why="names of contexts know capitals, unlike those of stages",
        dockerfile="FROM base\nCOPY --from=OTHER a /a\n",
        contexts={"other": {"a": "a\n"}},
        fails="OTHER",
        line=2,
    ),
    Case(
        name="from-scratch",
        why="`scratch` is nothing here as well, and can be copied",
        dockerfile="FROM base\nCOPY --from=scratch / /x\n",
    ),
    Case(
        name="from-empty-stage",
        why="a stage that is nothing: a wildcard of nothing, and all of nothing",
        dockerfile="FROM scratch AS nil\nFROM base\nCOPY --from=nil / /all/\nCOPY --from=nil /x* /some/\n",
    ),
    Case(
        name="from-missing-in-stage",
        why="a missing literal of a stage",
        dockerfile="FROM base AS made\nFROM base\nCOPY --from=made /missing /x\n",
        fails="/missing",
        line=3,
    ),
    Case(
        name="from-device-and-fifo",
        why="what is neither file nor folder",
        dockerfile="FROM base AS made\nRUN mkdir /m && mknod /m/fifo p && mknod /m/null c 1 3 && mknod /m/loop b 7 0 && chown bob /m/fifo\nFROM base\nCOPY --from=made /m /m\n",
        differs="the engine makes a character device of a block device",
        tree={
            "/m": "dir 0755 0:0",
            "/m/fifo": "fifo 0644 1000:0",
            "/m/loop": "block 0644 0:0 7,0",
            "/m/null": "char 0644 0:0 1,3",
        },
    ),
    Case(
        name="from-sockets",
        why="a socket of a stage",
        dockerfile="FROM base AS made\nRUN mkdir /m && echo x > /m/f && (nc -l -s local:/m/socket & sleep 1; kill %1)\nFROM base\nCOPY --from=made /m /m\n",
    ),
    Case(
        name="from-stage-of-stage",
        why="changes and removals of a chain of stages, seen from outside",
        dockerfile="FROM base AS a\nRUN mkdir /m && echo 1 > /m/1 && echo 2 > /m/2\nFROM a AS b\nRUN rm /m/1 && echo 3 > /m/3\nFROM b AS c\nRUN chown bob /m/2\n"
        "FROM base\nCOPY --from=c /m /m\nCOPY --from=a /m /ma\n",
    ),
    _exclude("exclude-one-pattern", "a pattern is for the base of the source: no slash, no depth", "--exclude=*.o"),
    _exclude("exclude-double-star", "`**/` is any depth, also none", "--exclude=**/*.o"),
    _exclude("exclude-several", "several flags", "--exclude=*.o --exclude=doc --exclude=s/t"),
    _exclude("exclude-path", "a path inside the source", "--exclude=s/c.o"),
    _exclude("exclude-leading-slash", "a leading slash", "--exclude=/doc --exclude=/s/*.c"),
    _exclude("exclude-negation", "`!` brings back", "--exclude=doc/* --exclude=!doc/README.md"),
    _exclude("exclude-source-prefix", "the source's own path is no part of it", "--exclude=d/doc"),
    _exclude("exclude-everything", "nothing is left", "--exclude=*"),
    _exclude("exclude-trailing-slash", "a folder with a slash", "--exclude=doc/"),
    _exclude("exclude-the-file-itself", "a source that is the file that is excluded", "--exclude=a.c", "d/a.c d/a.o"),
    _exclude("exclude-among-wildcards", "matches of a wildcard are excluded by name", "--exclude=*.o", "d/*"),
    _exclude("exclude-with-chown-chmod", "with owner and mode", "--exclude=*.o --exclude=s --chown=bob --chmod=700"),
    _exclude("exclude-with-link", "with --link, into a place that is there", "--link --exclude=*.o", "d", "/owned/deep/"),
    Case(
        name="exclude-empty-folders",
        why="are folders left whose every file is excluded?",
        dockerfile="FROM base\nCOPY --exclude=**/*.o d /out\n",
        files={"d/only/a.o": "a\n", "d/mixed/b.o": "b\n", "d/mixed/c": "c\n", "d/empty": Folder(0o711)},
    ),
    Case(
        name="exclude-in-context-root",
        why="the whole context without some",
        dockerfile="FROM base\nCOPY --exclude=Dockerfile --exclude=.git . /out/\n",
        files={".git/HEAD": "ref\n", "a": "a\n", "s/.git/x": "x\n"},
    ),
    Case(
        name="exclude-from-stage",
        why="of a stage, with a wildcard and a folder in between",
        dockerfile=f"{_MADE}FROM base\nCOPY --from=made --exclude=s /m /1\nCOPY --from=made --exclude=*/y /m /2\nCOPY --from=made --exclude=x /m /m/s /3/\n",
    ),
    Case(
        name="exclude-variables",
        why="a variable in the flag",
        dockerfile="FROM base\nARG NO=*.o\nCOPY --exclude=$NO d /out/\n",
        files=_TREE,
    ),
)
