"""ADD of files and folders of the context: what COPY does, and archives told from other files by what is in them."""

from archives import Archive, Member
from case import Case, File, Folder, Symlink

_TAR = Archive((Member("in", "in\n"),))
_GZ = Archive((Member("in", "in\n"),), "gz")


def _kind(name: str, why: str, compress: str, file: str) -> Case:
    return Case(name=name, why=why, dockerfile=f"FROM base\nADD {file} /out/\n", files={file: Archive((Member("in", "in\n"),), compress)})


CASES = (
    Case(
        name="add-like-copy",
        why="files, folders, wildcards, owners, modes and parents as with COPY",
        dockerfile="FROM base\nADD a /new/deep/b\nADD d /tree\nADD *.x /pattern/\nADD --chown=bob --chmod=640 a /o/w/n\nADD none* /no/\n",
        files={"a": "a\n", "d": Folder(0o700), "d/f": File("f\n", 0o4755, (7, 7)), "1.x": "1\n", "2.x": "2\n"},
    ),
    Case(
        name="add-missing-literal",
        why="a missing source",
        dockerfile="FROM base\nADD missing.tar.gz /out/\n",
        fails="missing.tar.gz",
        line=2,
    ),
    Case(
        name="add-from-flag",
        why="ADD has no --from",
        dockerfile="FROM base AS made\nFROM base\nADD --from=made /real/file /x\n",
        fails="from",
        line=3,
    ),
    _kind("add-tar", "a plain tar", "", "a.tar"),
    _kind("add-tar-gz", "gzip", "gz", "a.tar.gz"),
    _kind("add-tar-bz2", "bzip2", "bz2", "a.tar.bz2"),
    _kind("add-tar-xz", "xz", "xz", "a.tar.xz"),
    _kind("add-tar-zst", "zstd", "zst", "a.tar.zst"),
    _kind("add-tar-lzma", "the older lzma, which has no magic number", "lzma", "a.tar.lzma"),
    _kind("tricky-19-tar-by-another-name", "the name does not matter: an archive by any other", "gz", "a.txt"),
    Case(
        name="tricky-19-text-named-tar",
        why="the name does not matter: a text that is called an archive is copied",
        dockerfile="FROM base\nADD a.tar.gz /out/\n",
        files={"a.tar.gz": "no archive\n"},
    ),
    Case(
        name="tricky-19-plain-gz-is-copied",
        why="something compressed that is no tar is copied as it is",
        dockerfile="FROM base\nADD a.gz /out/\nADD a.gz /as/name\n",
        files={"a.gz": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\xcb\xc9,.Q(NM\xcdS(I\xad(\xe1\x02\x00\xbb\xb8\x14\xc7\x10\x00\x00\x00"},
    ),
    Case(
        name="add-empty-file",
        why="an empty file is no archive, nor is one of zeros shorter than a block",
        dockerfile="FROM base\nADD empty zeros /out/\n",
        files={"empty": "", "zeros": b"\0" * 100},
    ),
    Case(
        name="add-empty-archive",
        why="nothing but zeros is not taken for an archive",
        dockerfile="FROM base\nADD a.tar /out/\n",
        files={"a.tar": b"\0" * 10240},
    ),
    Case(
        name="add-empty-archive-compressed",
        why="the same, compressed",
        dockerfile="FROM base\nADD a.tar.gz /out/\n",
        files={"a.tar.gz": Archive((), "gz")},
    ),
    Case(
        name="add-copy-does-not-unpack",
        why="COPY never unpacks",
        dockerfile="FROM base\nCOPY a.tar.gz /out/\n",
        files={"a.tar.gz": Archive((Member("in", "in\n"),), "", "v7")},
        varies=("/out/a.tar.gz",),
    ),
    Case(
        name="add-old-tar-without-magic",
        why="a tar from before the magic number",
        dockerfile="FROM base\nADD a.tar /out/\n",
        files={"a.tar": Archive((Member("in", "in\n"),), "", "v7")},
    ),
    Case(
        name="add-gnu-and-ustar",
        why="both other forms, with long names",
        dockerfile="FROM base\nADD gnu.tar ustar.tar /out/\n",
        files={
            "gnu.tar": Archive((Member("g/" + "n" * 150, "gnu\n"), Member("g/ln", kind="symlink", target="t" * 120)), "", "gnu"),
            "ustar.tar": Archive((Member("u/" + "p" * 90 + "/" + "n" * 90, "ustar\n"),), "gz", "ustar"),
        },
    ),
    Case(
        name="add-tar-wildcard",
        why="every match is unpacked, and what is no archive is copied beside",
        dockerfile="FROM base\nADD *.x /out/\n",
        files={
            "a.x": Archive((Member("a", "a\n"), Member("both", "a\n"))),
            "b.x": Archive((Member("b", "b\n"), Member("both", "b\n")), "gz"),
            "c.x": "c\n",
        },
    ),
    Case(
        name="add-tar-in-folder",
        why="an archive inside a folder is a file",
        dockerfile="FROM base\nADD d /out/\nADD . /all/\n",
        files={"d/a.tar": "not looked at\n", "d/b.tar": Archive((Member("in", "in\n"),), "", "v7")},
        varies=("*/b.tar",),
        unseen=("/all/Dockerfile",),
    ),
    Case(
        name="add-tar-without-slash",
        why="an archive's destination is a folder, slash or not",
        dockerfile="FROM base\nADD a.tar /new\nADD a.tar /real\nADD a.tar /\n",
        files={"a.tar": _TAR},
    ),
    Case(
        name="add-tar-onto-file",
        why="an archive onto a file",
        dockerfile="FROM base\nADD a.tar /real/file\n",
        files={"a.tar": _TAR},
        fails="/real/file",
        line=2,
    ),
    Case(
        name="add-tar-onto-link",
        why="the destination is followed: to a folder, a chain, and nowhere",
        dockerfile="FROM base\nADD a.tar /link\nADD a.tar /chain/sub\nADD a.tar /lib/\nADD a.tar /dangling\n",
        files={"a.tar": _TAR},
    ),
    Case(
        name="add-tar-onto-link-to-file",
        why="a destination that leads to a file",
        dockerfile="FROM base\nADD a.tar /filelink\n",
        files={"a.tar": _TAR},
        fails="file",
        line=2,
    ),
    Case(
        name="add-tar-behind-link",
        why="a source that is a link to an archive",
        dockerfile="FROM base\nADD ln /out/\n",
        files={"real.tar": _GZ, "ln": Symlink("real.tar")},
    ),
    Case(
        name="add-several-archives",
        why="several sources, archives and others, in order",
        dockerfile="FROM base\nADD a.tar f b.tar d /out/\n",
        files={"a.tar": _TAR, "f": "f\n", "b.tar": Archive((Member("in", "second\n"),)), "d/x": "x\n"},
    ),
    Case(
        name="add-unpack-false",
        why="--unpack=false copies archives",
        dockerfile="FROM base\nADD --unpack=false a.tar f /out/\n",
        files={"a.tar": Archive((Member("in", "in\n"),), "", "v7"), "f": "f\n"},
        varies=("/out/a.tar",),
    ),
    Case(
        name="add-unpack-true",
        why="--unpack and --unpack=true are what ADD does anyway",
        dockerfile="FROM base\nADD --unpack a.tar f /1/\nADD --unpack=true a.tar /2/\n",
        files={"a.tar": _TAR, "f": "f\n"},
    ),
    Case(
        name="add-truncated-tar",
        why="an archive that ends in the middle of a file",
        dockerfile="FROM base\nADD a.tar /out/\n",
        files={"a.tar": Archive((Member("in", "x" * 5000),), cut=2048)},
        fails="a.tar",
        line=2,
    ),
    Case(
        name="add-truncated-gzip",
        why="a compressed archive that ends early",
        dockerfile="FROM base\nADD a.tgz /out/\n",
        files={"a.tgz": Archive((Member("in", "".join(str(each * each) for each in range(3000))),), "gz", cut=3000)},
        fails="a.tgz",
        line=2,
    ),
    Case(
        name="add-tar-without-end",
        why="an archive whose last zeros are missing is whole all the same",
        dockerfile="FROM base\nADD a.tar /out/\n",
        files={"a.tar": Archive((Member("in", "in\n"),), cut=1024)},
    ),
    Case(
        name="add-tar-with-half-an-end",
        why="one block of zeros at the end instead of two",
        dockerfile="FROM base\nADD a.tar /out/\n",
        files={"a.tar": Archive((Member("in", "in\n"),), cut=1536)},
    ),
    Case(
        name="add-checksum-of-local-file",
        why="--checksum is for what comes from elsewhere",
        dockerfile=f"FROM base\nADD --checksum=sha256:{'0' * 64} a /a\n",
        files={"a": "a\n"},
        fails="checksum",
        line=2,
    ),
    Case(
        name="add-keep-git-dir-of-local-file",
        why="--keep-git-dir beside a file of the context",
        dockerfile="FROM base\nADD --keep-git-dir=true a /a\n",
        files={"a": "a\n"},
    ),
    Case(
        name="add-exclude",
        why="--exclude, with an archive beside",
        dockerfile="FROM base\nADD --exclude=*.o d a.tar /out/\n",
        files={"d/a.o": "o\n", "d/a.c": "c\n", "a.tar": Archive((Member("in.o", "o\n"),))},
    ),
    Case(
        name="add-link-archive",
        why="--link and an archive: links of the base on the way are replaced",
        dockerfile="FROM base\nADD --link a.tar /lib/\nADD --link a.tar /owned\n",
        files={"a.tar": _TAR},
    ),
    Case(
        name="add-ignored-archive",
        why="an archive that .dockerignore hides is missing",
        dockerfile="FROM base\nADD a.tar /out/\n",
        files={"a.tar": _TAR, ".dockerignore": "*.tar\n"},
        fails="a.tar",
        line=2,
    ),
    Case(
        name="add-heredoc",
        why="an inline file, also one that would be an archive by name",
        dockerfile="FROM base\nADD <<a.tar /out/\ntext\na.tar\n",
    ),
)
