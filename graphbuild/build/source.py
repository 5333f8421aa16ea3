"""A file of the workspace as a build sees it."""

import msgspec

from graphbuild.values.certificate import Signature
from graphbuild.values.entry import Kind


class SourceFile(msgspec.Struct, array_like=True, gc=False):
    """A file of the workspace as an input: its mode is 0755 or 0644, whatever its permissions are on disk.

    A FILE has its digest when it has been hashed, which may be some time after it was found.
    """

    path: bytes  # relative to the Sources' folder
    kind: Kind
    mode: int
    size: int = 0
    digest: bytes = b""
    target: bytes = b""
    signature: Signature = (0, 0, 0, 0, 0)
