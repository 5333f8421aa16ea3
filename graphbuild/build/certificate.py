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
from graphbuild.values.certificate import ABSENT, AMENDED, Amendment, Changed, Folder, Payload, Proof, Said, Stale

_AMENDED = 8  # of so many folders one may be amended, before all are written anew
_SIGNATURE = struct.Struct("=5q")


def certificate_of(
    path: str,
    inputs: Inputs,
    outputs: Iterable[Path],
    generation: Path,
    environment: Mapping[str, str | None],
    said: Said,
    token: bytes = b"",
) -> Proof | None:
    """What to write at `path`; None while an input is too fresh to be told from a later change by its stat.

    `token` names the `build.parts` that go with it.
    """
    if inputs.racy:
        return None
    looked_at = dict(inputs.watched)
    for folder, names in _by_folder((*_outputs(outputs), *code_files(), str(generation))).items():
        looked_at[folder] = names | looked_at.get(folder, {})  # an output that is an input, too, is to be as it was read
    return _proof(path, (_packed(looked_at), sorted(environment.items()), said, token))


def refreshed_certificate(stale: Stale, inputs: Inputs, outputs: Iterable[Path]) -> Proof | None:
    """What to write after a part of a build was looked at again: all is as it was, but for what changed and what was looked at.

    That is an amendment, while it is about few folders. None where something is too fresh, or changed after it was compared: the old
    certificate is true still, and the next run looks again.
    """
    path, (folders, environment, said, token, (digest, amended)), changed = stale
    if inputs.racy or any(inputs.is_racy(sign) for _, sign in changed):
        return None
    now = _now(folders, changed, inputs.watched, _by_folder(_outputs(outputs)))
    if now is None:
        return None
    newer = [folder for folder in amended if folder[0] not in now] + _packed(now)
    if len(newer) * _AMENDED < len(folders):
        return _proof(path + AMENDED, (digest, newer))
    untouched = [folder for folder in folders if folder[0] not in now]
    return _proof(path, (untouched + _packed(now), environment, said, token))


def _now(folders: Iterable[Folder], changed: Changed, watched: Watched, written: Watched) -> Watched | None:
    """The folders in which something changed, was looked at or was written, as they are now; None if it changed again since."""
    now: Watched = {name.rpartition(b"/")[0] + b"/": {} for name, _ in changed}
    now |= {folder: {} for folder in (*watched, *written)}
    for folder, joined, packed in folders:
        if folder in now:
            now[folder] |= zip(joined.split(b"\0"), _SIGNATURE.iter_unpack(packed), strict=False)
    known = dict(changed)
    for folder, names in watched.items():
        for name, sign in names.items():
            if now[folder].get(name) not in (None, sign or ABSENT) and folder + name not in known:
                return None
    for name, sign in changed:
        folder, slash, base = name.rpartition(b"/")
        now[folder + slash][base] = sign
    for newer in (watched, written):
        for folder, names in newer.items():
            now[folder] |= {name: sign or ABSENT for name, sign in names.items()}
    return now


def _proof(path: str, said: Payload | Amendment) -> Proof | None:
    try:
        data = marshal.dumps(said)
    except struct.error:  # a number beyond 63 bits, from a peculiar file system
        return None
    return path, blake2b(data, digest_size=20).digest() + data


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
    for name in (path, path + AMENDED):
        with contextlib.suppress(OSError):
            os.unlink(name)


def _outputs(outputs: Iterable[Path]) -> list[str]:
    return [name for output in outputs for name in output_paths(output) or [str(output)]]


def code_files() -> list[str]:
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


class Unchanged:
    """The folders of a stale certificate in which nothing changed, as `Inputs.known` of a build of the very files that it is about.

    A folder is one of them when what is in it is what it was, and itself, too: else names may have come or gone. All that a search
    finds in such a folder is there, since the same search made the certificate; more may be, that other searches looked at.
    """

    def __init__(self, stale: Stale) -> None:
        _, (folders, *_), changed = stale
        self._packed = {folder: (names, packed) for folder, names, packed in folders}
        self._changed = {name for name, _ in changed}
        self._changed_in = {name.rpartition(b"/")[0] + b"/" for name in self._changed}
        self._folders: dict[bytes, dict[bytes, Signature | None]] = {}

    def __call__(self, folder: bytes) -> dict[bytes, Signature | None] | None:
        """What is in a folder, whose path ends with a slash; None where that has to be looked at."""
        itself = folder[:-1]
        if folder not in self._packed or folder in self._changed_in or itself in self._changed:
            return None
        above, slash, name = itself.rpartition(b"/")
        return self._folder(folder) if self._folder(above + slash).get(name) else None

    def _folder(self, folder: bytes) -> dict[bytes, Signature | None]:
        known = self._folders.get(folder)
        if known is None:
            known = self._folders[folder] = _unpacked(*self._packed.get(folder, (b"", b"")))
        return known


def unpacked(folders: Iterable[Folder]) -> Watched:
    """What a certificate is about."""
    return {folder: _unpacked(names, packed) for folder, names, packed in folders}


def _unpacked(names: bytes, packed: bytes) -> dict[bytes, Signature | None]:
    signs: Iterable[Signature] = _SIGNATURE.iter_unpack(packed)
    found = zip(names.split(b"\0"), signs, strict=False)  # an empty folder splits into one empty name
    return {name: sign if sign != ABSENT else None for name, sign in found}


def _packed(watched: Mapping[bytes, Mapping[bytes, Signature | None]]) -> list[Folder]:
    """What is watched in as few objects as can be: reading them is a part of every unchanged build."""
    pack = _SIGNATURE.pack
    return [
        (folder, b"\0".join(names), b"".join([pack(*(sign or ABSENT)) for sign in names.values()])) for folder, names in watched.items()
    ]
