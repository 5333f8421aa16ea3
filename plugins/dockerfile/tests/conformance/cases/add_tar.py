"""What is in an archive that ADD unpacks, and what it meets there."""

from archives import Archive, Member
from case import Case


def _add(name: str, why: str, *members: Member, destination: str = "/out/", flags: str = "", **more: object) -> Case:
    return Case(name=name, why=why, dockerfile=f"FROM base\nADD {flags}a.tar {destination}\n", files={"a.tar": Archive(members)}, **more)


def _dir(name: str, mode: int = 0o755, owner: tuple[int, int] = (0, 0)) -> Member:
    return Member(name, kind="dir", mode=mode, owner=owner)


_HIDES = "the engine makes a layer in which that name hides other files"
_CAPABILITY = (("security.capability", "\x01\x00\x00\x02\x00\x20\x00\x00" + "\x00" * 12),)
_OWNED = (
    _dir("d", 0o710, (5, 6)),
    Member("d/suid", "s\n", mode=0o4755, owner=(7, 8)),
    Member("d/sgid", "g\n", mode=0o2711, owner=(7, 8)),
    _dir("d/sticky", 0o3777, (9, 9)),
    Member("d/none", "n\n", mode=0, owner=(1000, 1000)),
)

CASES = (
    _add("tar-owners-and-modes", "owners and modes are the archive's, special bits too", *_OWNED),
    _add("tar-owners-and-modes-chown", "--chown is for everything, whatever the archive says", *_OWNED, flags="--chown=ann "),
    _add("tar-owners-and-modes-chmod", "--chmod and an archive", *_OWNED, flags="--chmod=600 "),
    _add("tar-owners-and-modes-chmod-symbolic", "symbolic --chmod and an archive", *_OWNED, flags="--chmod=go= "),
    _add("tar-names-of-owners", "numbers count, not names", Member("f", "f\n", owner=(1, 2), names=("bob", "staff"))),
    _add("tar-missing-parents", "folders that the archive does not name", Member("a/b/c", "c\n", owner=(5, 6)), Member("x/y", "y\n")),
    _add("tar-missing-parents-chown", "and whose they are with --chown", Member("a/b/c", "c\n", owner=(5, 6)), flags="--chown=ann "),
    _add("tar-parent-after-child", "a folder that comes after what is in it", Member("a/f", "f\n"), _dir("a", 0o700, (3, 4))),
    _add("tar-root-member", "`./` sets the destination's own mode and owner", _dir("./", 0o700, (3, 4)), Member("./f", "f\n")),
    _add(
        "tar-root-member-existing",
        "`./` and a destination that is there",
        _dir("./", 0o700, (3, 4)),
        Member("./f", "f\n"),
        destination="/owned/",
    ),
    _add("tar-root-member-of-root", "`./` and `/`", _dir("./", 0o700, (3, 4)), Member("./f", "f\n"), destination="/"),
    _add("tar-absolute-names", "absolute names are below the destination", Member("/abs/f", "f\n"), Member("//two", "2\n")),
    _add("tar-dots-in-names", "`..` that stays inside", Member("a/../b", "b\n"), Member("./c/./d", "d\n")),
    _add("tar-climbing-name", "`..` that leaves the destination", Member("../../../evil", "e\n"), fails="evil", line=2),
    _add(
        "tar-climbing-link-then-file",
        "an absolute link and a file through it: the link's root is the destination",
        Member("ln", kind="symlink", target="/real"),
        Member("ln/through", "t\n"),
    ),
    _add(
        "tar-climbing-relative-link-then-file",
        "the same with a relative link over the root is refused",
        Member("ln", kind="symlink", target="../../../../real"),
        Member("ln/through", "t\n"),
        fails="ln",
        line=2,
    ),
    _add(
        "tar-hardlink",
        "hard links",
        Member("a", "a\n"),
        Member("s/b", kind="hardlink", target="a"),
        Member("c", kind="hardlink", target="./a"),
    ),
    _add("tar-hardlink-to-missing", "a hard link to nothing", Member("a", kind="hardlink", target="none"), fails="none", line=2),
    _add(
        "tar-hardlink-to-existing",
        "a hard link to a file that was there before",
        Member("made", kind="hardlink", target="file"),
        destination="/real/",
    ),
    _add(
        "tar-hardlink-absolute",
        "a hard link's absolute target is below the destination",
        Member("d/a", "a\n"),
        Member("b", kind="hardlink", target="/d/a"),
    ),
    _add(
        "tar-hardlink-outside",
        "a hard link to something outside",
        Member("a", kind="hardlink", target="../../etc/passwd"),
        fails="passwd",
        line=2,
    ),
    _add(
        "tar-hardlink-to-symlink",
        "a hard link to a symlink",
        Member("l", kind="symlink", target="x"),
        Member("h", kind="hardlink", target="l"),
        differs="two symlinks that are the same are two files",
        tree={"/out": "dir 0755 0:0", "/out/h": "symlink 0:0 -> x", "/out/l": "symlink 0:0 -> x"},
    ),
    _add(
        "tar-symlinks",
        "links are made as they are",
        Member("rel", kind="symlink", target="x"),
        Member("abs", kind="symlink", target="/etc/passwd", owner=(5, 6)),
        Member("up", kind="symlink", target="../real/file"),
        Member("self", kind="symlink", target="self"),
    ),
    _add("tar-symlink-climbing", "a link that climbs out of the root", Member("l", kind="symlink", target="../../../../etc/passwd")),
    _add(
        "tar-devices",
        "devices and fifos are made",
        Member("null", kind="char", device=(1, 3), mode=0o666),
        Member("loop", kind="block", device=(7, 0), mode=0o660, owner=(0, 6)),
        Member("pipe", kind="fifo", mode=0o620, owner=(5, 6)),
    ),
    _add(
        "tar-whiteout-name",
        "a name like a whiteout's",
        Member("d/.wh.file", ""),
        destination="/owned/",
        fails=".wh.file",
        line=2,
        differs=_HIDES,
    ),
    _add(
        "tar-opaque-name",
        "a name like an opaque mark's",
        Member(".wh..wh..opq", ""),
        destination="/owned/",
        fails=".wh..wh..opq",
        line=2,
        differs=_HIDES,
    ),
    _add("tar-same-name-twice", "the later member wins", Member("f", "1\n", mode=0o600), Member("f", "2\n", mode=0o755)),
    _add("tar-file-then-folder", "a folder where the archive had a file", Member("x", "f\n"), _dir("x", 0o700), Member("x/in", "in\n")),
    _add("tar-folder-then-file", "a file where the archive had a folder", _dir("x"), Member("x/in", "in\n"), Member("x", "f\n")),
    _add("tar-link-then-folder", "a folder where the archive had a link", Member("x", kind="symlink", target="/real"), _dir("x", 0o700)),
    _add("tar-link-then-file", "a file where the archive had a link", Member("x", kind="symlink", target="/real/file"), Member("x", "f\n")),
    _add(
        "tar-onto-existing-folders",
        "folders that are there take the archive's owner and mode",
        _dir("deep", 0o700, (5, 6)),
        Member("deep/f", "f\n"),
        destination="/owned",
    ),
    _add("tar-onto-existing-file", "a file over a file", Member("file", "new\n", mode=0o600, owner=(5, 6)), destination="/owned"),
    _add("tar-file-onto-folder", "a file where a folder is", Member("deep", "f\n"), destination="/owned"),
    _add("tar-folder-onto-file", "a folder where a file is", _dir("file", 0o700), Member("file/in", "in\n"), destination="/real"),
    _add(
        "tar-folder-onto-link",
        "a folder where a link to a folder is: replaced",
        _dir("lib", 0o711),
        Member("lib/new", "new\n"),
        destination="/",
    ),
    _add(
        "tar-below-link-without-folder",
        "a file below a link to a folder, whose folder the archive does not name: through the link",
        Member("lib/new", "new\n"),
        destination="/",
    ),
    _add("tar-file-onto-link", "a file where a link to a file is", Member("filelink", "new\n"), destination="/"),
    _add("tar-link-onto-file", "a link where a file is", Member("file", kind="symlink", target="/etc/group"), destination="/real"),
    _add("tar-link-onto-folder", "a link where a folder is", Member("real", kind="symlink", target="srv"), destination="/"),
    _add("tar-link-onto-link", "a link where a link is", Member("link", kind="symlink", target="/srv"), destination="/"),
    _add(
        "tar-xattrs",
        "extended attributes: a capability, one of a user",
        Member("ping", "p\n", mode=0o755, xattrs=_CAPABILITY),
        Member("user", "u\n", xattrs=(("user.note", "kept"),)),
    ),
    Case(
        name="tar-capability-from-stage",
        why="a capability survives COPY --from, with --chown too, and a RUN that changes the mode; not one that changes the owner",
        dockerfile="FROM base AS made\nADD a.tar /m/\nFROM base\nCOPY --from=made /m /1\nCOPY --from=made --chown=ann --chmod=755 /m/ping /2\n"
        "COPY --from=made /m/ping /3\nRUN chmod 700 /3\nCOPY --from=made /m/ping /4\nRUN chown bob /4\n",
        files={"a.tar": Archive((Member("ping", "p\n", mode=0o755, xattrs=_CAPABILITY),))},
    ),
    _add(
        "tar-odd-names",
        "names beyond ASCII, with newline, tab and space",
        Member("grüße/ネコ", "1\n"),
        Member("a\nb", "2\n"),
        Member(" s\t", "3\n"),
    ),
    _add("tar-long-names", "names beyond the header's fields", Member("/".join(["deep" * 10] * 8), "p\n"), Member("n" * 255, "n\n")),
    _add("tar-many-owners-chown-group", "--chown of a group alone", *_OWNED, flags="--chown=:people "),
    _add(
        "tar-new-place-chown",
        "the made destination and its parents with --chown",
        Member("f", "f\n"),
        destination="/p/q",
        flags="--chown=5:6 ",
    ),
    _add(
        "tar-new-place-chmod",
        "the made destination and its parents with --chmod",
        Member("f", "f\n"),
        destination="/p/q",
        flags="--chmod=711 ",
    ),
)
