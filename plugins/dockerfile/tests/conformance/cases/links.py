"""Symlinks and hard links: in sources, in destinations, and on the way."""

from case import Case, Folder, Hardlink, Symlink

_LINKS = {
    "f": "f\n",
    "d/one": "1\n",
    "d/s/two": "2\n",
    "tofile": Symlink("f"),
    "todir": Symlink("d"),
    "abs": Symlink("/d/one"),
    "up": Symlink("../../../f"),
    "chain": Symlink("tofile"),
    "in/up": Symlink("../f"),
    "in/dirup": Symlink("../d"),
}


def _dest(name: str, why: str, destination: str, **more: object) -> Case:
    """A file and a folder to one destination each, below and onto a link."""
    return Case(name=name, why=why, dockerfile=f"FROM base\nCOPY f {destination}\n", files=_LINKS, **more)


CASES = (
    Case(
        name="tricky-16-named-links-are-followed",
        why="a source that is a link gives what it leads to: relative, absolute from the context, over the root, a chain",
        dockerfile="FROM base\nCOPY tofile /1\nCOPY abs /2\nCOPY up /3\nCOPY chain /4\nCOPY in/up /5\n",
        files=_LINKS,
    ),
    Case(
        name="tricky-16-followed-link-keeps-its-name",
        why="into a folder: under the link's name, not the target's",
        dockerfile="FROM base\nCOPY tofile abs chain /out/\n",
        files=_LINKS,
    ),
    Case(
        name="tricky-16-named-link-to-folder",
        why="a source that is a link to a folder gives the contents",
        dockerfile="FROM base\nCOPY todir /1\nCOPY todir/ /2/\nCOPY in/dirup /3\nCOPY todir/s /4\n",
        files=_LINKS,
    ),
    Case(
        name="tricky-16-wildcard-links-are-followed",
        why="matches that are links: to a file and to a folder",
        dockerfile="FROM base\nCOPY to* /out/\n",
        files=_LINKS,
    ),
    Case(
        name="links-inside-are-kept",
        why="links inside a copied folder are copied as links, whatever they lead to",
        dockerfile="FROM base\nCOPY in /out/\nCOPY t /t/\n",
        files={
            **_LINKS,
            "t/rel": Symlink("f"),
            "t/f": "f\n",
            "t/abs": Symlink("/etc/passwd"),
            "t/dangling": Symlink("nowhere"),
            "t/loop": Symlink("loop"),
            "t/out": Symlink("../../../../etc/passwd"),
            "t/dir": Symlink("."),
        },
    ),
    Case(
        name="links-dangling-source",
        why="a named link that leads nowhere",
        dockerfile="FROM base\nCOPY dangling /x\n",
        files={"dangling": Symlink("nowhere")},
        fails="dangling",
        line=2,
    ),
    Case(
        name="links-dangling-source-by-wildcard",
        why="a link that leads nowhere and only matches a pattern fails like a missing literal",
        dockerfile="FROM base\nCOPY dang* /x/\n",
        files={"dangling": Symlink("nowhere"), "dangerous": "d\n"},
        fails="dangling",
        line=2,
    ),
    Case(
        name="links-loop-source",
        why="a link to itself",
        dockerfile="FROM base\nCOPY loop /x\n",
        files={"loop": Symlink("loop")},
        fails="loop",
        line=2,
    ),
    Case(
        name="links-source-outside-the-context",
        why="a link that leads to a file of the machine: the root is the context",
        dockerfile="FROM base\nCOPY machine /x\n",
        files={"machine": Symlink("/etc/passwd")},
        fails="machine",
        line=2,
    ),
    Case(
        name="links-folder-on-the-way",
        why="a link in the middle of a source's path",
        dockerfile="FROM base\nCOPY ln/s/two /1\n",
        files={**_LINKS, "ln": Symlink("d")},
    ),
    Case(
        name="links-folder-on-the-way-twice",
        why="two links in the middle of a source's path",
        dockerfile="FROM base\nCOPY ln/back/one /2\n",
        files={**_LINKS, "ln": Symlink("d"), "d/back": Symlink("../d")},
    ),
    Case(
        name="links-absolute-folder-on-the-way",
        why="an absolute link in the middle of a source's path",
        dockerfile="FROM base\nCOPY ln/two /1\n",
        files={**_LINKS, "ln": Symlink("/d/s")},
    ),
    Case(
        name="links-folder-on-the-way-of-a-stage",
        why="the same in a stage",
        dockerfile="FROM base AS made\nCOPY . /m/\nFROM base\nCOPY --from=made /m/ln/s/two /m/ln/back/one /out/\n",
        files={**_LINKS, "ln": Symlink("d"), "d/back": Symlink("../d")},
    ),
    Case(
        name="links-dots-after-a-link",
        why="`..` after a link is cleaned away before anything is looked up",
        dockerfile="FROM base\nCOPY ln/../f /1\n",
        files={"f": "top\n", "ln": Symlink("a/b"), "a/f": "a's\n", "a/b/x": "x\n"},
    ),
    _dest("tricky-16-onto-link-to-folder", "absolute link to a folder: inside it", "/link"),
    _dest("tricky-16-onto-link-to-folder-by-slash", "with a slash", "/link/"),
    _dest("links-onto-relative-link", "relative link to a folder", "/rlink"),
    _dest("links-onto-chain", "a chain of links", "/chain/x/y"),
    _dest("links-onto-link-over-root", "a link that climbs over the root stays inside", "/up/x"),
    _dest("links-onto-link-to-file", "a link to a file is written through", "/filelink"),
    _dest("links-onto-dangling-link", "a link that leads nowhere: what it leads to is made, with parents", "/dangling"),
    _dest("links-below-dangling-link", "below a link that leads nowhere", "/dangling/x"),
    _dest("links-below-dangling-link-by-slash", "a link that leads nowhere, as a folder", "/dangling/"),
    _dest("links-onto-loop", "a link to itself", "/loop", fails="loop", line=2),
    _dest("links-below-loop", "below a link to itself", "/loop/x", fails="loop", line=2),
    _dest("links-below-link-to-file", "below a link to a file", "/filelink/x", fails="file", line=2),
    _dest("links-dots-after-destination-link", "`..` after a link is cleaned away, not followed", "/lib/../here"),
    Case(
        name="links-folder-onto-link-to-folder",
        why="a folder's contents through an absolute link, deep",
        dockerfile="FROM base\nCOPY d /link\nCOPY d /link/deep\nCOPY d /lib/\n",
        files=_LINKS,
    ),
    Case(
        name="links-folder-onto-dangling-link",
        why="a folder onto a link that leads nowhere",
        dockerfile="FROM base\nCOPY d /dangling\n",
        files=_LINKS,
    ),
    Case(
        name="links-folder-onto-link-to-file",
        why="a folder onto a link to a file",
        dockerfile="FROM base\nCOPY d /filelink\n",
        files=_LINKS,
        fails="file",
        line=2,
    ),
    Case(
        name="links-tree-folder-meets-link-to-folder",
        why="links are followed on the way to the destination, not deep in the copied tree: a folder does not fit on a link",
        dockerfile="FROM base\nCOPY t /\n",
        files={"t/lib/new": "new\n"},
        fails="/lib",
        line=2,
    ),
    Case(
        name="links-tree-file-meets-link",
        why="a file deep in the copied tree meets a link: replaced, and the target is untouched",
        dockerfile="FROM base\nCOPY t /\n",
        files={"t/filelink": "new\n", "t/dangling": "new\n"},
    ),
    Case(
        name="links-tree-link-meets-file-and-link",
        why="a link of the copied tree meets a file and a link",
        dockerfile="FROM base\nCOPY t /\n",
        files={"t/real/file": Symlink("/etc/group"), "t/filelink": Symlink("other")},
    ),
    Case(
        name="links-tree-link-meets-folder",
        why="a link of the copied tree meets a folder",
        dockerfile="FROM base\nCOPY t /\n",
        files={"t/real": Symlink("srv")},
        fails="real",
        line=2,
    ),
    Case(
        name="links-copied-then-used",
        why="a link that one COPY brings is followed by the next",
        dockerfile="FROM base\nCOPY t /\nCOPY f /into/f\n",
        files={"t/into": Symlink("owned"), "f": "f\n"},
    ),
    Case(
        name="links-in-workdir",
        why="a relative destination below a WORKDIR that is a link",
        dockerfile="FROM base\nWORKDIR /link\nCOPY f .\nCOPY f sub/\n",
        files=_LINKS,
    ),
    Case(
        name="links-from-stage-absolute",
        why="an absolute link in a stage is followed in the stage's root",
        dockerfile="FROM base AS made\nRUN ln -s /real/file /ln && ln -s /real /dir && ln -s ../../../real/file /over\n"
        "FROM base\nCOPY --from=made /ln /1\nCOPY --from=made /dir /2\nCOPY --from=made /over /dir/file /3/\n",
    ),
    Case(
        name="links-hard-links-of-the-context",
        why="two names of one file in one copy: they are still one",
        dockerfile="FROM base\nCOPY d /out\n",
        files={"d/a": "same\n", "d/b": Hardlink("d/a"), "d/s/c": Hardlink("d/a")},
    ),
    Case(
        name="links-hard-links-of-a-stage",
        why="hard links that a RUN made: copied by --from in one go, and singly",
        dockerfile="FROM base AS made\nRUN mkdir -p /m/s && echo x > /m/a && ln /m/a /m/b && ln /m/a /m/s/c\n"
        "FROM base\nCOPY --from=made /m /all\nCOPY --from=made /m/a /m/b /two/\nCOPY --from=made /m/a /one\n",
    ),
    Case(
        name="links-hard-links-with-chmod",
        why="hard links and a new mode and owner",
        dockerfile="FROM base\nCOPY --chown=ann --chmod=600 d /out\n",
        files={"d/a": "same\n", "d/b": Hardlink("d/a")},
    ),
    Case(
        name="links-over-hard-linked-file",
        why="a file over one of two hard links leaves the other as it was",
        dockerfile="FROM base\nRUN echo old > /h1 && ln /h1 /h2\nCOPY f /h1\n",
        files=_LINKS,
    ),
    Case(
        name="links-empty-folder-through-link",
        why="a folder that exists behind a link keeps its owner",
        dockerfile="FROM base\nRUN ln -s /owned /own\nCOPY t /own/\nCOPY t /own/deep/\n",
        files={"t": Folder(0o700), "t/x": "x\n"},
    ),
)
