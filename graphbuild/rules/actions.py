"""Actions: closed, frozen descriptions of one unit of work each. Rules return them; only the build loop performs them.

An action refers to the results of others by `Ref`, never by digest: digests take the references' place when the action
becomes ready, and only then has it a key. What an action does not say, it cannot depend on.
"""

from typing import Literal

import msgspec

from graphbuild.rules.mounts import Mount
from graphbuild.rules.refs import ConfigExpression, Ref, Sources, StackFiles, WorkspaceFile
from graphbuild.values.config import ConfigPatch


class Run(msgspec.Struct, frozen=True, tag="run"):
    """Run a command on a stack; its result is the one layer of what changed, or none.

    A `command` that is one string goes to the config's shell (else `/bin/sh -c`); a tuple is executed as it is. User,
    workdir and env come from `config`. `network` is "none" or "host"; `timeout` in seconds, 0 for none. `like_docker`: what
    it sees and what is kept of it are as in a RUN of Docker's engine, in the places where a step is better off otherwise (its host name,
    no SOURCE_DATE_EPOCH). `proxies`: variables that it sees, and that are in no key.
    """

    layers: tuple[Ref, ...]
    config: ConfigExpression
    command: str | tuple[str, ...]
    mounts: tuple[Mount, ...] = ()
    network: Literal["none", "host"] = "none"
    timeout: float = 0
    like_docker: bool = False
    proxies: tuple[tuple[str, str], ...] = ()


class Copy(msgspec.Struct, frozen=True, tag="copy"):
    """Copy files to the folder `to`; each keeps its path less `strip`. Its result is one layer.

    `base`: the stack in which `to` and the names in `owner` ("user[:group]", names or ids) resolve; the layer depends
    on nothing else of it. `chmod` sets the permission bits of files (directories get x where they get r).
    """

    source: Sources | StackFiles
    to: str
    strip: str = ""
    owner: str = ""
    chmod: int | None = None
    base: tuple[Ref, ...] = ()


class Folder(msgspec.Struct, frozen=True, tag="folder"):
    """A folder of the workspace as a tree: modes, hard links and extended attributes as on disk, all owned by 0:0.

    `ignore` are patterns of what is not in it, in the language of a .dockerignore (`values.patterns`).
    """

    path: str
    ignore: tuple[str, ...] = ()


class StackTree(msgspec.Struct, frozen=True, tag="stack-tree"):
    """A stack as a tree, with the owners that its files have."""

    layers: tuple[Ref, ...]


class Pick(msgspec.Struct, frozen=True, tag="pick"):
    """What `path` names in a tree: a file, or what is in a folder; the wildcards of Go's filepath.Match may choose several, unless it
    is `plain`.

    Symlinks are followed inside the tree. A `plain` folder brings its own mode too. `include`: of a folder only what these patterns
    choose, each with the folders on the way to it. `unpack`: a file that is a tar (of any compression) stands for what is in it.
    """

    tree: Folder | StackTree
    path: str
    include: tuple[str, ...] = ()
    unpack: bool = False
    plain: bool = False


class TextItem(msgspec.Struct, frozen=True, tag="text-item"):
    """A file, written out."""

    name: str
    content: bytes
    mode: int = 0o644


class BlobItem(msgspec.Struct, frozen=True, tag="blob-item"):
    """A fetched blob as a file of that name. `unpack` as in a Pick."""

    blob: Ref
    name: str
    mode: int = 0o600
    unpack: bool = False


Item = Pick | TextItem | BlobItem


class Put(msgspec.Struct, frozen=True, tag="put"):
    """Put items at `to`, one after the other, by the rules of a Dockerfile's COPY and ADD. Its result is one layer, or none.

    `to` is absolute; with a slash at its end it is a folder, and made; with no items that is all that is done. `owner` is
    "user[:group]", `mode` octal or symbolic as chmod(1) takes it ("u=rwX,go=rX"); "" keeps what the items have. Both hold for the
    folders that are made on the way too, an octal mode at least. `base`: the stack that it is put into; the layer depends on nothing
    of it but what is at the places in question. Without a base nothing is there: no symlink is followed, no name known.
    """

    items: tuple[Item, ...]
    to: str
    owner: str = ""
    mode: str = ""
    exclude: tuple[str, ...] = ()
    base: tuple[Ref, ...] = ()


class Fetch(msgspec.Struct, frozen=True, tag="fetch"):
    """Download `url` (or one of `mirrors`); its result is the blob with that sha256 (hex).

    Without a digest it asks the server in each build, and what is built on it depends on what came. `anywhere`: bytes of that digest
    do, wherever they came from; else only those that one of the URLs gave, so that a digest which was forgotten there is noticed.
    """

    url: str
    sha256: str = ""
    size: int = 0  # bytes; 0 where not known
    mirrors: tuple[str, ...] = ()
    anywhere: bool = True


class Checkout(msgspec.Struct, frozen=True, tag="checkout"):
    """Files of a git repository as one layer, owned by 0:0, with those of its submodules.

    `ref` is a branch, a tag, a full reference or a commit; "" is the default branch. A name is looked up in each build, and what is
    built on it depends on the commit that it stands for. `commit` is the one that it must stand for, or its beginning: a full one is
    looked up once. `subdir` is the folder of the repository whose files are taken. `keep_git_dir`: with a `.git` of that one commit,
    where the whole repository is taken. In `url` a password may be given: it is in no key.
    """

    url: str
    ref: str = ""
    subdir: str = ""
    keep_git_dir: bool = False
    commit: str = ""
    submodules: bool = True


class ImportTar(msgspec.Struct, frozen=True, tag="import-tar"):
    """A root file system tarball (none, gz, bz2, xz, zst: told by content) as one layer. What `docker import` does."""

    source: WorkspaceFile | Ref


class ImportImage(msgspec.Struct, frozen=True, tag="import-image"):
    """An image from an OCI layout folder, an OCI archive or a `docker save` archive: its layers, and its config.

    `reference` is a tag, a digest or "" (the only image there). `platform` is "os/arch[/variant]" or "" for this machine's.
    """

    source: WorkspaceFile | Ref
    reference: str = ""
    platform: str = ""


class Pull(msgspec.Struct, frozen=True, tag="pull"):
    """An image of a registry: its layers, and its config.

    `reference` is [host/]path[:tag] as people write it; `digest` ("sha256:…") that of the manifest, or of an index of several platforms,
    which it is pinned to. Without one the registry is asked in each build what the tag stands for. `platform` as in an ImportImage.
    """

    reference: str
    digest: str = ""
    platform: str = ""


class ArchivePart(msgspec.Struct, frozen=True, tag="archive"):
    """All files of an archive: format "tar" (any compression) or "deb" (its data member). Later parts win, path by path."""

    source: WorkspaceFile | Ref
    format: str = "tar"


class FilePart(msgspec.Struct, frozen=True, tag="text"):
    """One file, written out."""

    path: str
    content: bytes
    mode: int = 0o644
    uid: int = 0
    gid: int = 0


class DirectoryPart(msgspec.Struct, frozen=True, tag="directory"):
    path: str
    mode: int = 0o755
    uid: int = 0
    gid: int = 0


class SymlinkPart(msgspec.Struct, frozen=True, tag="symlink"):
    """A symlink. Parts after it that name a path below it land where it leads (a merged /usr: `bin` → `usr/bin`)."""

    path: str
    target: str


Part = ArchivePart | FilePart | DirectoryPart | SymlinkPart


class Assemble(msgspec.Struct, frozen=True, tag="assemble"):
    """Put parts together, in order, as one layer on nothing. Pure: no script runs."""

    parts: tuple[Part, ...]


class Flatten(msgspec.Struct, frozen=True, tag="flatten"):
    """A stack's merged tree as one layer."""

    layers: tuple[Ref, ...]


class Union(msgspec.Struct, frozen=True, tag="union"):
    """Check that stacks can be seen as one: no path touched by two of them with different content, no directory over a symlink.

    `stacks` pairs each parent's name with its layers. Its result is empty; who needs the union depends on it.
    """

    stacks: tuple[tuple[str, tuple[Ref, ...]], ...]
    overlap: str = "error"  # or "last-wins"


class ImageExport(msgspec.Struct, frozen=True, tag="to"):
    """A place for an image. `format`: "oci" (layout folder), "oci-archive" or "docker" (archive). `path` from the workspace root."""

    format: str
    path: str


class Image(msgspec.Struct, frozen=True, tag="image"):
    """A stack and a config as an OCI image, written to every export. Its result is the config's digest.

    `compression`: "gzip", "zstd" or "none". Annotations and tags are in no key. `engines` are to have it: "docker", "podman",
    "containerd[:NAMESPACE]". `platform` is that of the image where its config says none.
    """

    layers: tuple[Ref, ...]
    config: ConfigExpression
    tags: tuple[str, ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    compression: str = "gzip"
    exports: tuple[ImageExport, ...] = ()
    engines: tuple[str, ...] = ()
    platform: str = ""


class ImageIndex(msgspec.Struct, frozen=True, tag="index"):
    """Images of several platforms as one, an OCI image index, written to every export: OCI layouts and archives.

    `images` are the results of Images, each with its platform. Annotations and tags are in no key.
    """

    images: tuple[tuple[str, Ref], ...]
    tags: tuple[str, ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    compression: str = ""
    exports: tuple[ImageExport, ...] = ()


class ExportFiles(msgspec.Struct, frozen=True, tag="files"):
    """Take files of a stack out, as a folder or, where `format` is "tar", as a tar. Each keeps its path less `strip`."""

    source: StackFiles
    to: str
    format: str = "dir"
    strip: str = ""


class TextTest(msgspec.Struct, frozen=True, tag="text-test"):
    """Regular expressions (of Python's `re`; ^ and $ match at every line) that are found in a text, and that are not."""

    contains: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()


class CommandTest(msgspec.Struct, frozen=True, tag="command-test"):
    """Run a command, and throw away what it changes. It passes if the exit code and what it writes are as they should be."""

    run: Run
    exit: int = 0
    stdout: TextTest = TextTest()
    stderr: TextTest = TextTest()


class FileTest(msgspec.Struct, frozen=True, tag="file-test"):
    """What is at `path` in a stack; nothing, where it does not `exist`. Computed: nothing runs.

    `kind`: "file", "directory", "symlink" or "" for any. A symlink at `path` is followed, unless `kind` or `target`, its text, ask for
    it. `mode` are the permission bits (07777), `owner` is "user[:group]", names of the stack or ids. `timeout`: seconds that the search for
    an expression may take, 0 for the workspace's limit.
    """

    layers: tuple[Ref, ...]
    path: str
    exists: bool = True
    kind: str = ""
    target: str = ""
    mode: int | None = None
    owner: str = ""
    content: TextTest = TextTest()
    timeout: float = 0


class ConfigNames(msgspec.Struct, frozen=True, tag="config-names"):
    """Names that a config may have: of variables and labels, ports ("8080/tcp"), folders."""

    env: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()


class ConfigTest(msgspec.Struct, frozen=True, tag="config-test"):
    """What a config `has`: every variable, label, port and volume there, and exactly that of whatever else is not None; and `lacks`."""

    config: ConfigExpression
    has: ConfigPatch
    lacks: ConfigNames = ConfigNames()


Test = CommandTest | FileTest | ConfigTest
Action = (
    Run
    | Copy
    | Put
    | Fetch
    | Checkout
    | ImportTar
    | ImportImage
    | Pull
    | Assemble
    | Flatten
    | Union
    | Image
    | ImageIndex
    | ExportFiles
    | Test
)


def is_test(action: Action) -> bool:
    """Whether it makes nothing, and passes or fails: with the exit code of tests, and without a stop of what does not depend on it."""
    return isinstance(action, Test)


def command_of(action: Action) -> Run | None:
    """The command that an action runs, if it runs one."""
    match action:
        case Run():
            return action
        case CommandTest():
            return action.run
        case _:
            return None


def is_volatile(action: Action) -> bool:
    """Whether it asks the network, in every build, what there is now."""
    match action:
        case Fetch():
            return not action.sha256
        case Pull():
            return not action.digest
        case Checkout():
            return not (is_commit(action.ref) or is_commit(action.commit))
        case _:
            return False


def is_commit(text: str) -> bool:
    """Whether a text is the full name of a commit of git, SHA-1 or SHA-256."""
    return len(text) in (40, 64) and not text.strip("0123456789abcdef")


def stands_on(action: Action) -> tuple[Ref, ...]:
    """The layers that an action's own layer goes on top of; none where its result is the same on any."""
    match action:
        case Run():
            return action.layers
        case Copy() | Put():
            return action.base
        case _:
            return ()


def exported(action: Action) -> tuple[str, ...]:
    """The paths, from the workspace root, that an action writes outside of the store."""
    match action:
        case Image() | ImageIndex():
            return tuple(export.path for export in action.exports)
        case ExportFiles():
            return (action.to,)
        case _:
            return ()
