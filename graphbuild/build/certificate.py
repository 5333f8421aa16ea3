"""Writing the certificate of an unchanged build, which `graphbuild.start` reads.

It is written only when every input was old enough that a later change must show in its stat, and lists all that the
answer depends on: what was read, the outputs, the store's generation (gc and repair change it), our own code.
"""

import contextlib
import marshal
import os
import sys
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from pathlib import Path

from graphbuild.build.exports import output_paths
from graphbuild.build.inputs import Inputs, Signature, signature


def write_certificate(
    path: str, inputs: Inputs, outputs: Iterable[Path], generation: Path, environment: Mapping[str, str], said: str
) -> bool:
    """Write it; whether it could be: not while an input is too fresh to be told from a later change by its stat."""
    if inputs.racy:
        return False
    watched: dict[bytes, Signature | None] = dict(inputs.watched)
    for name in (*_outputs(outputs), *_code(), str(generation)):
        watched[os.fsencode(name)] = _signature(name)
    payload = marshal.dumps((_by_folder(watched), sorted(environment.items()), said))
    temporary = f"{path}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(blake2b(payload, digest_size=20).digest() + payload)
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


def _signature(name: str) -> Signature | None:
    try:
        return signature(os.lstat(name))
    except OSError:
        return None


def _by_folder(watched: Mapping[bytes, Signature | None]) -> list[tuple[bytes, list[tuple[bytes, Signature | None]]]]:
    """Grouped, so that a folder's path is stored once."""
    folders: dict[bytes, list[tuple[bytes, Signature | None]]] = {}
    for path in sorted(watched):
        folder, slash, name = path.rpartition(b"/")
        folders.setdefault(folder + slash, []).append((name, watched[path]))
    return sorted(folders.items())
