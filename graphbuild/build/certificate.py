"""Writing the certificate of an unchanged build, which `graphbuild.start` reads.

It is written only when every input was old enough that a later change must show in its stat, and lists all that the
answer depends on: what was read, the outputs, the store's generation (gc and repair change it), our own code.
"""

import contextlib
import marshal
import os
import struct
import sys
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from pathlib import Path

from graphbuild.build.exports import output_paths
from graphbuild.build.inputs import Inputs, Signature, Watched, signature

_ABSENT: Signature = (-1, 0, 0, 0, 0)  # as `graphbuild.start` expects it for a path that was not there

Folder = tuple[bytes, bytes, bytes]


def certificate_of(inputs: Inputs, outputs: Iterable[Path], generation: Path, environment: Mapping[str, str], said: str) -> bytes | None:
    """What to write; None while an input is too fresh to be told from a later change by its stat."""
    if inputs.racy:
        return None
    ours = _by_folder((*_outputs(outputs), *_code(), str(generation)))
    try:
        payload = marshal.dumps((_packed(inputs.watched) + _packed(ours), sorted(environment.items()), said))
    except struct.error:  # a number beyond 63 bits, from a peculiar file system
        return None
    return blake2b(payload, digest_size=20).digest() + payload


def write_certificate(path: str, certificate: bytes) -> bool:
    """Write it, when all that it speaks of is on the disk; whether it could be."""
    temporary = f"{path}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(certificate)
        os.rename(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        return False
    return True


def remove_certificate(path: str) -> None:
    """Forget it: whatever is built next is looked at in full."""
    with contextlib.suppress(OSError):
        os.unlink(path)


def _outputs(outputs: Iterable[Path]) -> list[str]:
    return [name for output in outputs for name in output_paths(output) or [str(output)]]


def _code() -> list[str]:
    """The files of all modules that are not Python's own: graphbuild, plugins, what they import."""
    standard = os.path.dirname(os.__file__)
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    return sorted({file for file in files if file and (not file.startswith(standard) or "-packages" in file)})


def _by_folder(names: Iterable[str]) -> Watched:
    watched: Watched = {}
    for name in map(os.fsencode, names):
        folder, slash, base = name.rpartition(b"/")
        watched.setdefault(folder + slash, {})[base] = _signature(name)
    return watched


def _signature(name: bytes) -> Signature | None:
    try:
        return signature(os.lstat(name))
    except OSError:
        return None


def _packed(watched: Watched) -> list[Folder]:
    """What is watched in as few objects as can be: reading them is a part of every unchanged build."""
    pack = struct.Struct("=5q").pack
    return [
        (folder, b"\0".join(names), b"".join([pack(*(sign or _ABSENT)) for sign in names.values()])) for folder, names in watched.items()
    ]
