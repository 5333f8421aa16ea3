"""COPY --link: a layer of its own that never looks at what is below."""

from case import Case, File, Folder, Symlink

_FILES = {"f": "f\n", "d": Folder(0o700), "d/one": File("1\n", 0o640), "d/s": Folder(0o711), "d/s/two": "2\n"}

CASES = (
    Case(
        name="link-new-place",
        why="parents are made as without",
        dockerfile="FROM base\nCOPY --link f /new/deep/f\nCOPY --link d /tree\nCOPY --link d /tree2/\n",
        files=_FILES,
    ),
    Case(
        name="tricky-17-link-replaces-destination-link",
        why="a link to a folder on the way is replaced by a folder, its target untouched",
        dockerfile="FROM base\nCOPY --link f /lib/f\nCOPY --link f /link/\n",
        files=_FILES,
    ),
    Case(
        name="tricky-17-link-onto-folder-without-slash",
        why="an existing folder is not seen: without a slash a file takes its place",
        dockerfile="FROM base\nCOPY --link f /real\n",
        files=_FILES,
    ),
    Case(
        name="link-onto-full-folder-without-slash",
        why="a full tree gives way to a file",
        dockerfile="FROM base\nCOPY --link f /owned\n",
        files=_FILES,
    ),
    Case(
        name="link-existing-parents-owner",
        why="folders that exist take the made ones' owner and mode",
        dockerfile="FROM base\nCOPY --link f /owned/f\nCOPY --link f /owned/deep/\nCOPY --link d /srv/app\n",
        files=_FILES,
    ),
    Case(
        name="link-sticky-tmp",
        why="/tmp loses its sticky bit when a file goes into it",
        dockerfile="FROM base\nCOPY --link f /tmp/\nCOPY --link f /root/\n",
        files=_FILES,
    ),
    Case(
        name="link-onto-file",
        why="a file replaces a file",
        dockerfile="FROM base\nCOPY --link f /owned/file\n",
        files=_FILES,
    ),
    Case(
        name="link-folder-onto-file",
        why="a folder replaces a file, which no other COPY does",
        dockerfile="FROM base\nCOPY --link d /real/file\n",
        files=_FILES,
    ),
    Case(
        name="link-below-file",
        why="a file on the way is replaced by a folder",
        dockerfile="FROM base\nCOPY --link f /real/file/deep/f\n",
        files=_FILES,
    ),
    Case(
        name="link-folder-onto-link-to-folder",
        why="a folder's contents onto a link: it becomes a folder",
        dockerfile="FROM base\nCOPY --link d /link\n",
        files=_FILES,
    ),
    Case(
        name="link-onto-dangling-link",
        why="a link that leads nowhere is replaced",
        dockerfile="FROM base\nCOPY --link f /dangling\nCOPY --link f /loop/f\n",
        files=_FILES,
    ),
    Case(
        name="link-relative-destination",
        why="WORKDIR counts for the destination",
        dockerfile="FROM base\nWORKDIR /w/x\nCOPY --link f .\nCOPY --link f ../y/\nCOPY --link f name\n",
        files=_FILES,
    ),
    Case(
        name="link-to-root",
        why="a tree onto `/`",
        dockerfile="FROM base\nCOPY --link t /\nCOPY --link f /\n",
        files={"f": "f\n", "t": Folder(0o700), "t/owned/new": "new\n", "t/lib/new": "new\n"},
    ),
    Case(
        name="tricky-17-link-chown-name",
        why="names cannot be looked up: nothing is below",
        dockerfile="FROM base\nCOPY --link --chown=bob f /f\n",
        files=_FILES,
        fails="bob",
        line=2,
    ),
    Case(
        name="tricky-17-link-chown-group-name",
        why="nor can a group's",
        dockerfile="FROM base\nCOPY --link --chown=0:people f /f\n",
        files=_FILES,
        fails="people",
        line=2,
    ),
    Case(
        name="link-chown-number",
        why="numbers need no look-up; parents too",
        dockerfile="FROM base\nCOPY --link --chown=5:6 d /new/d\nCOPY --link --chown=7 f /srv/f\n",
        files=_FILES,
    ),
    Case(
        name="link-chown-root-name",
        why="root by name",
        dockerfile="FROM base\nCOPY --link --chown=root:root f /new/f\n",
        files=_FILES,
    ),
    Case(
        name="link-with-chmod-onto-folder",
        why="with --chmod the engine forgets --link: an existing folder is seen",
        dockerfile="FROM base\nCOPY --link --chmod=600 f /real\nCOPY --link --chmod=u=rw f /lib/f\n",
        files=_FILES,
    ),
    Case(
        name="link-with-chmod-and-chown-name",
        why="and names can be looked up again",
        dockerfile="FROM base\nCOPY --link --chmod=600 --chown=bob f /f\n",
        files=_FILES,
    ),
    Case(
        name="link-several-sources",
        why="several sources, a wildcard and a link among them",
        dockerfile="FROM base\nCOPY --link f ln d /out/\nCOPY --link l* /pattern/\n",
        files={**_FILES, "ln": Symlink("d/one")},
    ),
    Case(
        name="link-wildcard-without-match",
        why="no match: nothing changes",
        dockerfile="FROM base\nCOPY --link none* /owned/\n",
        files=_FILES,
    ),
    Case(
        name="link-missing-literal",
        why="a missing source",
        dockerfile="FROM base\nCOPY --link missing /out/\n",
        files=_FILES,
        fails="missing",
        line=2,
    ),
    Case(
        name="link-from-stage",
        why="owners of a stage are kept, made parents are root's",
        dockerfile="FROM base AS made\nRUN mkdir /m && echo x > /m/x && chown -R bob:staff /m\nFROM base\n"
        "COPY --link --from=made /m /new/m\nCOPY --link --from=made /m/x /owned/\n",
    ),
    Case(
        name="link-from-stage-then-run",
        why="what --link brought is there for a RUN, and can be changed and removed",
        dockerfile="FROM base\nCOPY --link d /m\nCOPY --link f /m/f\nRUN rm /m/one && echo more >> /m/f && chmod 755 /m\n",
        files=_FILES,
    ),
    Case(
        name="link-after-run-removed",
        why="a folder that a RUN removed comes back with the new content alone",
        dockerfile="FROM base\nRUN rm -r /owned && mkdir /owned && touch /owned/run\nCOPY --link f /owned/f\n",
        files=_FILES,
    ),
    Case(
        name="link-onto-scratch",
        why="nothing below at all",
        dockerfile="FROM scratch\nCOPY --link d /\nCOPY --link f /x/\n",
        files=_FILES,
        base="scratch",
    ),
    Case(
        name="link-after-link",
        why="two of them: the later one's folders win",
        dockerfile="FROM base\nCOPY --link --chown=1:1 f /a/b/one\nCOPY --link --chown=2:2 f /a/b/two\nCOPY --link d /a/b\n",
        files=_FILES,
    ),
    Case(
        name="link-heredoc",
        why="an inline file",
        dockerfile="FROM base\nCOPY --link <<EOF /lib/inline\ntext\nEOF\n",
    ),
    Case(
        name="link-add-archive",
        why="ADD --link of a folder beside a file",
        dockerfile="FROM base\nADD --link f d /lib/\n",
        files=_FILES,
    ),
)
