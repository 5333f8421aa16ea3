"""Which extended attributes belong to a layer, and reading and writing them on disk.

A layer keeps `user.*`, `trusted.*`, `security.capability` and POSIX ACLs. It never holds what overlayfs keeps for itself, nor what
the machine's own security modules put on every file (`security.selinux`, `security.ima`): that would differ between machines.

On disk one attribute is ours: `MARK`, in the name space that overlayfs hides (mounted with `userxattr`), says what a
folder cannot say by itself: that a directory is implicit, or that an empty file stands for a device node.
"""

import errno
import os

from graphbuild.values.errors import lacking

OPAQUE = b"user.overlay.opaque"
MARK = b"user.overlay.graphbuild"
IMPLICIT = b"implicit"

Xattrs = tuple[tuple[bytes, bytes], ...]
Place = int | bytes  # an open file, or a path whose last component is not followed

_HIDDEN = (b"user.overlay.", b"trusted.overlay.")
_ALONE = frozenset({b"security.capability", b"system.posix_acl_access", b"system.posix_acl_default"})
_REFUSED = frozenset({errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EINVAL})


def belongs(name: bytes) -> bool:
    """True if an attribute of that name is part of a layer."""
    return (name.startswith((b"user.", b"trusted.")) and not name.startswith(_HIDDEN)) or name in _ALONE


def read_xattrs(place: Place) -> tuple[Xattrs, dict[bytes, bytes]]:
    """The attributes that belong to a layer, sorted by name, and those of OPAQUE and MARK that are there."""
    follow = isinstance(place, int)
    try:
        names = os.listxattr(place, follow_symlinks=follow)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return (), {}
        raise
    if not names:
        return (), {}
    kept, ours = [], {}
    for name in sorted(map(os.fsencode, names)):
        if belongs(name):
            kept.append((name, os.getxattr(place, name, follow_symlinks=follow)))
        elif name in (OPAQUE, MARK):
            ours[name] = os.getxattr(place, name, follow_symlinks=follow)
    return tuple(kept), ours


def write_xattrs(place: Place, xattrs: Xattrs) -> None:
    """Set attributes, as far as this process may: the index keeps those that it may not set."""
    for name, value in xattrs:
        try:
            os.setxattr(place, name, value, follow_symlinks=isinstance(place, int))
        except OSError as error:
            if error.errno not in _REFUSED:
                raise


def set_private(place: Place, name: bytes, value: bytes) -> None:
    """Set OPAQUE or MARK, without which a folder form is not right. GraphbuildError where the file system has no user attributes."""
    try:
        os.setxattr(place, name, value, follow_symlinks=isinstance(place, int))
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        raise lacking(
            "the store's file system has no extended attributes of users, which overlays need", "put the store on ext4, xfs, btrfs or tmpfs"
        ) from None


def drop_private(place: Place, name: bytes) -> None:
    """Remove OPAQUE or MARK if it is there."""
    try:
        os.removexattr(place, name, follow_symlinks=isinstance(place, int))
    except OSError as error:
        if error.errno not in (errno.ENODATA, errno.ENOTSUP):
            raise
