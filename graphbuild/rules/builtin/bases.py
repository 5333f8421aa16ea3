"""Bases: `scratch` (nothing), `tar` (a root file system), `oci` (an image from a layout or an archive), `image` (one of a registry), `git`."""

import re
from typing import Annotated

import msgspec
from msgspec import Meta

from graphbuild.rules import (
    Analysis,
    Checkout,
    ConfigExpression,
    ConfigPatch,
    Context,
    Fetch,
    ImportImage,
    ImportTar,
    LockContext,
    Pull,
    Ref,
    Rule,
    Snapshot,
    WorkspaceFile,
)

_PASSWORD = re.compile(r"https?://[^/?#]*@")
_SHA256 = re.compile(r"(sha256:)?[0-9a-f]{64}")


class Scratch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The empty stack: no file, no config."""


class Tar(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A root file system tarball: `path`, or `url`, pinned by `sha256` or in build.lock."""

    path: Annotated[str, Meta(description="The tarball in the package: plain, gz, bz2, xz or zst.")] = ""
    url: Annotated[str, Meta(description="Where to download it instead; http or https.")] = ""
    sha256: Annotated[str, Meta(description="The digest of what `url` serves, 64 hex digits; without it build.lock pins one.")] = ""


class Oci(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An image somebody else built: `path`, or `url`, pinned by `sha256` or in build.lock."""

    path: Annotated[str, Meta(description="The layout folder or the archive in the package.")] = ""
    url: Annotated[str, Meta(description="Where to download the archive instead; http or https.")] = ""
    sha256: Annotated[str, Meta(description="The digest of what `url` serves, 64 hex digits; without it build.lock pins one.")] = ""
    reference: Annotated[str, Meta(description="A tag or a digest; needed where the source holds several images.")] = ""
    platform: Annotated[str, Meta(description="os/arch[/variant]; what is built for by default.")] = ""


class Image(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An image of a registry, pinned in build.lock."""

    reference: Annotated[str, Meta(description="[host/]path[:tag][@digest], as for `docker pull`.")]
    platform: Annotated[str, Meta(description="os/arch[/variant]; what is built for by default.")] = ""


class Git(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A git repository's files."""

    url: Annotated[str, Meta(description="The repository: https://, http://, ssh:// or git@host:path.")]
    ref: Annotated[
        str, Meta(description="A branch, a tag or a commit; the default branch otherwise. Names are looked up in each build.")
    ] = ""
    commit: Annotated[str, Meta(description="The commit that it must be, in hex digits, or its beginning.")] = ""
    subdir: Annotated[str, Meta(description="The folder of it to take.")] = ""
    keep_git_dir: Annotated[bool, Meta(description="Take `.git`, with this one commit, too.")] = False
    submodules: Annotated[bool, Meta(description="Take the files of submodules too.")] = True


def _source(context: Context, attributes: Tar | Oci, rule: str) -> tuple[WorkspaceFile | Ref, tuple[tuple[str, Fetch], ...]]:
    """Where the bytes come from, and the download they need."""
    if bool(attributes.path) == bool(attributes.url):
        raise context.mistake(f"`{rule}` takes either `path` or `url`", rule, hint="for example `path: rootfs.tar.gz`")
    if attributes.path:
        if attributes.sha256:
            raise context.mistake("`sha256` belongs to `url`; a path is checked by its content anyway", rule, "sha256")
        return WorkspaceFile(context.path(attributes.path)), ()
    if not attributes.url.startswith(("http://", "https://")):
        raise context.mistake(f"{attributes.url!r} is not an http or https URL", rule, "url")
    return context.ref("fetch"), (("fetch", Fetch(attributes.url, _digest(context, attributes, rule))),)


def _digest(context: Context, attributes: Tar | Oci, rule: str) -> str:
    """What pins a download, in hex; "" where nothing does, for a command made it up."""
    if attributes.sha256:
        if not _SHA256.fullmatch(attributes.sha256):
            hint = "64 hex digits; `curl -L URL | sha256sum` tells them, and without `sha256` build.lock keeps them"
            raise context.mistake(f"{attributes.sha256!r} is not a SHA-256", rule, "sha256", hint=hint)
        return attributes.sha256.removeprefix("sha256:")
    if _PASSWORD.match(attributes.url):
        raise context.mistake("a URL with a password is not written into build.lock", rule, "url", hint="pin it here, by `sha256`")
    digest = str((context.lock or {}).get(attributes.url, ""))
    if not digest and not context.settings.anywhere:
        raise context.mistake(
            f"{attributes.url} is not pinned in build.lock", rule, "url", hint="run `graphbuild lock`, or give its `sha256`"
        )
    if digest and not _SHA256.fullmatch(digest):
        raise context.mistake(
            f"build.lock pins {attributes.url} by {digest!r}, which is no SHA-256", rule, hint="`graphbuild lock --update` writes it anew"
        )
    return digest.removeprefix("sha256:")


def _pins(_context: LockContext, attributes: Tar | Oci) -> tuple[str, ...]:
    """The download that build.lock is to pin."""
    pinned = attributes.sha256 or not attributes.url.startswith(("http://", "https://")) or _PASSWORD.match(attributes.url)
    return () if pinned or attributes.path else (attributes.url,)


def _platform(context: Context, attributes: Oci | Image) -> str:
    """Which of a source's images is meant; "" is this machine's, or the only one there."""
    return attributes.platform or context.settings.foreign


def _config(context: Context) -> ConfigExpression:
    """The config of files that come without one: all it says is what they are for, where that is not this machine."""
    if not context.settings.foreign:
        return context.snapshot.config
    _, architecture, *variant = context.settings.foreign.split("/")
    return (ConfigPatch(architecture=architecture, variant="".join(variant)), *context.snapshot.config)


def scratch(context: Context, _attributes: Scratch) -> Analysis:
    return Analysis(providers=(msgspec.structs.replace(context.snapshot, config=_config(context)),))


def tar(context: Context, attributes: Tar) -> Analysis:
    source, fetch = _source(context, attributes, "tar")
    snapshot = Snapshot((context.ref("import"),), _config(context))
    return Analysis((*fetch, ("import", ImportTar(source))), (snapshot,))


def oci(context: Context, attributes: Oci) -> Analysis:
    source, fetch = _source(context, attributes, "oci")
    image = context.ref("import")
    snapshot = Snapshot((image,), (image, *context.snapshot.config))
    return Analysis((*fetch, ("import", ImportImage(source, attributes.reference, _platform(context, attributes)))), (snapshot,))


def image(context: Context, attributes: Image) -> Analysis:
    digest = attributes.reference.partition("@")[2] or (context.lock or {}).get(attributes.reference, "")
    if not digest and not context.settings.anywhere:
        raise context.mistake(f"{attributes.reference} is not pinned in build.lock", "image", hint="run `graphbuild lock`")
    pulled = context.ref("pull")
    snapshot = Snapshot((pulled,), (pulled, *context.snapshot.config))
    return Analysis((("pull", Pull(attributes.reference, digest, _platform(context, attributes))),), (snapshot,))


def git(context: Context, attributes: Git) -> Analysis:
    if not re.fullmatch("[0-9a-f]*", attributes.commit):
        raise context.mistake(f"{attributes.commit!r} is not the name of a commit", "git", "commit", hint="hex digits")
    if not attributes.url or attributes.url.startswith("-"):
        raise context.mistake(f"{attributes.url!r} is not the URL of a repository", "git", "url")
    checkout = Checkout(
        *(attributes.url, attributes.ref, attributes.subdir, attributes.keep_git_dir, attributes.commit, attributes.submodules)
    )
    return Analysis((("checkout", checkout),), (Snapshot((context.ref("checkout"),), _config(context)),))


RULES = (
    Rule("scratch", "base", Scratch, scratch, doc="Nothing: for static binaries, and for files that others pick up."),
    Rule("tar", "base", Tar, tar, short="path", pins=_pins, doc="A root file system tarball, as `docker import` takes it."),
    Rule(
        "oci",
        "base",
        Oci,
        oci,
        short="path",
        pins=_pins,
        doc="An image from an OCI layout folder, an OCI archive or a `docker save` archive, with its config.",
    ),
    Rule(
        "image",
        "base",
        Image,
        image,
        short="reference",
        pins=lambda _context, attributes: (attributes.reference,),
        doc="An image of a registry, with its config; pinned by its digest in build.lock, for all of its platforms.",
    ),
    Rule("git", "base", Git, git, short="url", doc="A git repository's files, owned by root: to copy from, or to mount."),
)
