"""RUN: what it leaves behind. Files of every kind, changed, moved and removed, in one layer and across several."""

from case import Case, File, Folder, Symlink

_TIMES = "a layer's times are all SOURCE_DATE_EPOCH: the same inputs give the same bytes"

_TREE = {
    "tree/file": File("file\n", mode=0o640),
    "tree/other": "other\n",
    "tree/sub/deep": "deep\n",
    "tree/sub/more/leaf": "leaf\n",
    "tree/empty": Folder(),
    "tree/link": Symlink("sub"),
}
_COPIED = "FROM base\nCOPY tree /tree\n"

_CHANGES = (
    Case(
        name="layer-remove",
        why="a file, a directory, a link and not what it leads to",
        dockerfile=_COPIED + "RUN rm /tree/file /tree/link && rm -r /tree/sub\n",
        files=_TREE,
    ),
    Case(
        name="layer-remove-all",
        why="the directory itself goes, not only what is in it",
        dockerfile=_COPIED + "RUN rm -r /tree\n",
        files=_TREE,
    ),
    Case(
        name="layer-remove-of-base",
        why="of an image that others made too",
        dockerfile="FROM base\nRUN rm /etc/group /usr/lib/library /loop && rm -r /owned /home/ann\n",
    ),
    Case(
        name="layer-opaque",
        why="a directory that is removed and made again is empty, has its new mode, and hides all below",
        dockerfile=_COPIED + "RUN rm -rf /tree/sub && mkdir -m 700 /tree/sub && touch /tree/sub/new\nRUN find /tree/sub > /seen\n",
        files=_TREE,
    ),
    Case(
        name="layer-opaque-and-empty",
        why="with nothing new in it",
        dockerfile=_COPIED + "RUN rm -rf /tree && mkdir /tree\nRUN find /tree > /seen\n",
        files=_TREE,
    ),
    Case(
        name="layer-opaque-with-old-names",
        why="a name that is there again is the new file, the others are gone",
        dockerfile=_COPIED
        + "RUN rm -rf /tree/sub && mkdir -p /tree/sub/more && echo new > /tree/sub/deep\nRUN find /tree/sub -type f | xargs cat > /seen\n",
        files=_TREE,
    ),
    Case(
        name="layer-remove-and-make-again",
        why="a file that is removed in one step and made in the next",
        dockerfile=_COPIED + "RUN rm /tree/file\nRUN echo again > /tree/file\n",
        files=_TREE,
    ),
    Case(
        name="layer-make-and-remove",
        why="what is gone at the step's end was never there",
        dockerfile="FROM base\nRUN touch /a && mkdir -p /b/c && rm -r /a /b\nRUN touch /c\nRUN rm /c\n",
    ),
    Case(
        name="layer-file-becomes-directory",
        why="and the other way round, and links too",
        dockerfile=_COPIED
        + """\
RUN rm /tree/file && mkdir /tree/file && touch /tree/file/in
RUN rm -r /tree/sub && echo now a file > /tree/sub
RUN rm /tree/link && mkdir /tree/link && touch /tree/link/in
RUN rm -r /tree/empty && ln -s other /tree/empty
""",
        files=_TREE,
    ),
    Case(
        name="layer-directory-made-again-later",
        why="a directory that one step removes and the next makes is empty, two layers up too",
        dockerfile=_COPIED
        + "RUN rm -r /tree/sub\nRUN mkdir /tree/sub && touch /tree/sub/new\nRUN touch /tree/sub/last && find /tree/sub | sort > /seen\n",
        files=_TREE,
    ),
    Case(
        name="layer-move-and-back",
        why="a name that leaves in one step and comes back in the next",
        dockerfile=_COPIED + "RUN mv /tree /away\nRUN echo more >> /away/file && rm /away/other\nRUN mv /away /tree\n",
        files=_TREE,
    ),
    Case(
        name="layer-closed",
        why="files and directories without any right are captured whole, and read again by root",
        dockerfile="""\
FROM base AS first
RUN mkdir -p /closed/in && echo x > /closed/file && chmod 0 /closed/file /closed/in /closed && chown -R 1000:1000 /closed
FROM base
COPY --from=first /closed /copied
RUN cat /copied/file > /seen; stat -c '%a %u' /copied /copied/in /copied/file >> /seen
""",
    ),
    Case(
        name="layer-many-layers",
        why="as many layers as an image may have in practice: seventy steps, each sees all before it",
        dockerfile="FROM base\n" + "".join(f"RUN echo {n} > /f{n} && cat /f* | wc -l > /seen\n" for n in range(1, 71)),
        unseen=("/f*",),
    ),
    Case(
        name="layer-move",
        why="a directory of a lower layer moves with all in it",
        dockerfile=_COPIED + "RUN mv /tree/sub /moved && mv /tree/file /tree/sub && mv /tree /wood\n",
        files=_TREE,
    ),
    Case(
        name="layer-rename-new-over-old",
        why="the usual way to replace a file",
        dockerfile=_COPIED + "RUN echo new > /tree/.tmp && mv /tree/.tmp /tree/file\n",
        files=_TREE,
    ),
    Case(
        name="layer-modes",
        why="modes of lower files and directories change, their content and children do not; all twelve bits",
        dockerfile=_COPIED + "RUN chmod 4711 /tree/file && chmod 2770 /tree/sub && chmod 1777 /tree/empty && chmod 0 /tree/other\n",
        files=_TREE,
    ),
    Case(
        name="layer-owners",
        why="of lower files, of a link itself, of what it leads to",
        dockerfile=_COPIED + "RUN chown -R 1:2 /tree && chown -h 3:4 /tree/link && chown 5:6 /tree/link && chown 70000:80000 /tree/other\n",
        files=_TREE,
    ),
    Case(
        name="layer-owner-takes-setuid-away",
        why="the kernel does, in a lower layer's copy as elsewhere; chmod after it does not",
        dockerfile="""\
FROM base
RUN touch /a /b /c && chmod 6755 /a /b /c
RUN chown 1000:1000 /a && chown 1000:1000 /b && chmod 6755 /b
""",
    ),
    Case(
        name="layer-append",
        why="the changed file has its old owner and mode",
        dockerfile="FROM base\nRUN echo more >> /owned/file && echo more >> /srv/app/app\n",
    ),
    Case(
        name="layer-through-links",
        why="links of lower layers are followed by the step, inside the image",
        dockerfile="FROM base\nRUN touch /link/one /rlink/two /chain/three /lib/four && echo more >> /filelink; touch /up/five\n",
    ),
    Case(
        name="layer-link-changed",
        why="a link gets another target; a link is replaced by a directory and leaves what it led to alone",
        dockerfile="FROM base\nRUN ln -sfn /srv /link && rm /rlink && mkdir /rlink && touch /rlink/in\n",
    ),
    Case(
        name="layer-as-user",
        why="files are the user's, of a set-group-id directory the group's",
        dockerfile="FROM base\nUSER bob\nRUN touch /owned/new /owned/deep/new && mkdir /owned/deep/folder && ln -s x /owned/sym && rm /owned/file\n",
    ),
    Case(
        name="layer-touch-only",
        why="a file whose time alone changes",
        dockerfile="FROM base\nRUN touch -d @1 /real/file\nRUN stat -c %Y /real/file > /seen\n",
        differs=_TIMES,
        tree={"/seen": 'file 0644 0:0 "0\\n"'},
    ),
    Case(
        name="layer-case-of-names",
        why="names that differ in case only are two",
        dockerfile="FROM base\nRUN echo a > /Name && echo b > /name && rm /Name\n",
    ),
)

_KINDS = (
    Case(
        name="layer-hard-links",
        why="two names of one file stay one file within a layer",
        dockerfile="FROM base\nRUN echo one > /a && ln /a /b && mkdir /d && ln /a /d/c\nRUN stat -c '%n %h' /a /b /d/c > /seen\n",
    ),
    Case(
        name="layer-hard-link-to-lower",
        why="a new name of a lower file is a link to it",
        dockerfile="FROM base\nRUN ln /real/file /real/second\nRUN stat -c %h /real/file > /seen\n",
        differs="a difference between two layers in which only the new name stands loses the link; Docker's own graph drivers keep it",
        tree={"/real/second": 'file 0644 0:0 "real\\n" = /real/file', "/seen": 'file 0644 0:0 "2\\n"'},
    ),
    Case(
        name="layer-hard-link-broken-by-writing",
        why="writing to one name in a later step leaves the other as it was: layers are copied up by name",
        dockerfile="FROM base\nRUN echo one > /a && ln /a /b\nRUN echo two >> /a; cat /b > /seen\n",
    ),
    Case(
        name="layer-hard-link-one-removed",
        why="the other name remains",
        dockerfile="FROM base\nRUN echo one > /a && ln /a /b\nRUN rm /a\nRUN cat /b > /seen\n",
    ),
    Case(
        name="layer-symlinks",
        why="targets are kept as written, also those that lead nowhere or out",
        dockerfile="FROM base\nRUN ln -s ../../x /one && ln -s . /two && ln -s 'a b' /three && ln -s /no//where/./ /four && ln -s /seen /srv/é\n",
    ),
    Case(
        name="layer-fifo",
        why="a pipe is no file to be read",
        dockerfile="FROM base\nRUN mkfifo -m 620 /pipe\n",
    ),
    Case(
        name="layer-devices",
        why="mknod works for root, and the nodes are in the image",
        dockerfile="FROM base\nRUN mknod -m 640 /null c 1 3 && mknod /disk b 259 1048575 && mknod /big c 4095 65537\n",
    ),
    Case(
        name="layer-socket",
        why="a socket cannot be in a layer and is left out without a word",
        dockerfile="""\
FROM debian
RUN perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => "/socket", Listen => 1)' && test -S /socket && touch /after
""",
        base="debian",
    ),
    Case(
        name="layer-sparse",
        why="a file with a hole has its whole size and content",
        dockerfile="FROM base\nRUN truncate -s 3000000 /hole && echo end >> /hole\nRUN stat -c %s /hole > /seen\n",
    ),
    Case(
        name="layer-names",
        why="blanks, newlines, bytes that are no UTF-8, a leading dash, long names and long paths",
        dockerfile="""\
FROM base
RUN touch '/a b' "$(printf '/new\\nline')" '/back\\\\slash' /žluť "$(printf '/\\377byte')" ./-dash '/"quote"' && long=$(printf %0255d 0) && touch /$long && \\
    ln -s $long /long && mkdir -p /$long.d 2> /dev/null || mkdir -p /deep/$long/$long/$long && touch /deep/$long/$long/$long/file
""",
    ),
    Case(
        name="layer-many-files",
        why="nothing is lost among hundreds",
        unseen=("/many/*",),
        dockerfile="FROM base\nRUN mkdir /many && cd /many && for i in $(seq 500); do echo $i > f$i; done\nRUN rm /many/f*7 && cat /many/* | sort -n | md5sum > /seen\n",
    ),
    Case(
        name="layer-whiteout-names",
        why="files that only look like a whiteout's neighbours",
        dockerfile="FROM base\nRUN touch /.wh /wh.real /.w.h.real\n",
    ),
    Case(
        name="layer-user-attributes",
        why="extended attributes in the user namespace",
        dockerfile="""\
FROM debian
RUN touch /a /b && mkdir /d && perl -e '$name = "user.note"; $value = "kept"; for $file (@ARGV) { !syscall(188, $file, $name, $value, 4, 0) or die $! }' /a /b /d
RUN echo more >> /b && chmod 700 /d
""",
        base="debian",
    ),
    Case(
        name="layer-file-capability",
        why="what setcap writes is kept: ping without setuid",
        dockerfile="""\
FROM debian
RUN cp /bin/true /tool && perl -e '($file, $name) = ("/tool", "security.capability"); $value = pack("V5", 0x02000001, 1 << 10, 0, 0, 0); !syscall(188, $file, $name, $value, 20, 0) or die $!'
""",
        base="debian",
    ),
)

_MOUNT_POINTS = (
    Case(
        name="layer-nothing-of-mount-points",
        why="what a step writes to /dev, /dev/shm and /proc is nowhere afterwards; /tmp and /run are the image's",
        dockerfile="""\
FROM base
RUN touch /dev/made /dev/shm/made /tmp/made && mkdir /run && touch /run/made
RUN ls /dev/made /dev/shm/made 2> /dev/null | wc -l > /seen
""",
    ),
    Case(
        name="tricky-24-no-stubs-of-hosts",
        why="neither hosts nor resolv.conf, which the step had, are in an image that has none",
        dockerfile="FROM base\nRUN ls /etc/hosts /etc/resolv.conf > /seen\n",
    ),
    Case(
        name="layer-hosts-of-the-image-stay",
        why="those that the image has are as COPY left them, and a step cannot see or remove them",
        dockerfile="""\
FROM base
COPY hosts resolv.conf /etc/
RUN grep -c mine /etc/hosts /etc/resolv.conf > /seen; rm -f /etc/hosts /etc/resolv.conf; true
""",
        files={"hosts": "10.1.1.1 mine\n", "resolv.conf": "search mine\n"},
    ),
    Case(
        name="layer-remove-etc",
        why="the mounted files keep their directory alive during the step; afterwards it is empty, and still there",
        dockerfile="FROM base\nRUN rm -rf /etc; ls /etc > /seen\n",
    ),
    Case(
        name="layer-hosts-is-a-link",
        why="an image whose /etc/resolv.conf is a dangling link keeps it",
        dockerfile="FROM base\nRUN --mount=type=tmpfs,target=/x true\nCOPY links /\nRUN true\n",
        files={"links/etc/resolv.conf": Symlink("../run/resolved/resolv.conf")},
    ),
    Case(
        name="layer-dev-of-the-image-stays",
        why="what an image has in /dev is hidden during a step and there afterwards",
        dockerfile="FROM base\nCOPY own /dev/own\nRUN ls /dev/own > /seen 2> /dev/null; true\n",
        files={"own": "own\n"},
    ),
)

CASES = (*_CHANGES, *_KINDS, *_MOUNT_POINTS)
