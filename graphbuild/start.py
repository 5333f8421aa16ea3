"""The entry point. An unchanged build is answered from its certificate before anything else is imported.

A certificate says: the last run of this very command line, in this folder, with this environment, found nothing to do or
did it all; and this is the stat of everything it looked at. If every stat is what it was, there is nothing to do now; if a
few are not, the build is told which (`build.parts` knows whom they matter to). It is written by `build.certificate`, and lists
sources, specs, outputs, the store, our own code.
Only what a bare interpreter has loaded already is imported here: start-up *is* the time of such a build.
"""

import os
import sys
from _blake2 import blake2b  # hashlib would load OpenSSL: 3 ms
from marshal import dumps, loads

TYPE_CHECKING = False  # as type checkers read it; `typing` would take 5 ms
if TYPE_CHECKING:
    from typing import Any

    from graphbuild.values.certificate import Certificate, Changed, Folder, Said

VERSION = 4
ABSENT = (-1, 0, 0, 0, 0)  # in place of a stat: the path was not there
AMENDED = ".amended"  # after a certificate's path: what became of a few of its folders
GARBAGE = 100_000  # objects between two looks for cycles: what is imported, and 50,000 files, are none
_FEW = 5_000  # paths that are not worth a second process: it takes as long as 300 of them, and 2 ms

_MOST = 1_000  # changed paths that are worth listing


def main() -> int:
    """The `graphbuild` command. Returns its exit code."""
    try:
        return _main()
    except KeyboardInterrupt:  # before or after anything that handles signals
        sys.stderr.write("graphbuild: interrupted\n")
        return 8


def _main() -> int:
    arguments = sys.argv[1:]
    stale = None
    if not arguments or arguments[0] in ("run", "test", "dockerfile"):
        path = certificate_path(arguments)
        certificate = read_certificate(path)
        changed = changed_paths(certificate[0]) if certificate else None
        if certificate and changed == [] and _say(certificate[2]):
            return 0
        if certificate and changed:
            stale = (path, certificate, changed)
    import gc

    gc.set_threshold(GARBAGE, 20, 20)
    _import_msgspec()
    from graphbuild.cli.main import main as cli

    code: int = cli(arguments, stale)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # everything is closed: taking the interpreter apart, module by module, would cost 20 ms


def _say(said: "Said") -> bool:
    """Say what an unchanged build says. False where stdout takes nothing: it is full, or its reader is gone, and the command says how."""
    try:
        if said[0]:
            sys.stdout.write(said[0])
            sys.stdout.flush()
    except OSError:
        return False
    sys.stderr.write(said[1])
    return True


def _import_msgspec() -> None:
    """Import msgspec without typing_extensions, of which it wants what `typing` has since 3.11: that would take 15 ms."""
    known = sys.modules.get("typing_extensions")
    sys.modules["typing_extensions"] = None  # type: ignore[assignment]
    try:
        import msgspec  # noqa: F401
    finally:
        del sys.modules["typing_extensions"]
        if known is not None:
            sys.modules["typing_extensions"] = known


def certificate_path(arguments: list[str]) -> str:
    """Where the certificate of a command line is: beside the store that the command line or the environment names."""
    environment = os.environ
    store = environment.get("GRAPHBUILD_STORE")
    for index, argument in enumerate(arguments):
        if argument == "--store" and index + 1 < len(arguments):
            store = arguments[index + 1]
        elif argument.startswith("--store="):
            store = argument[8:]
    if not store:
        cache = environment.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        store = os.path.join(cache, "graphbuild")
    identity = repr((VERSION, arguments, os.getcwd(), os.geteuid(), sys.version)).encode("utf-8", "surrogateescape")
    return os.path.join(store, "certificates", blake2b(identity, digest_size=20).hexdigest())


def read_certificate(path: str) -> "Certificate | None":
    """What the certificate at `path` says, as it was amended since; None when there is none, or it was of another environment."""
    found = _read(path)
    if found is None:
        return None
    digest, (folders, environment, said, token) = found
    for name, value in environment:
        if os.environ.get(name) != value:
            return None
    amendment = _read(path + AMENDED)
    newer = amendment[1][1] if amendment and amendment[1][0] == digest else []
    if newer:
        names = {folder for folder, _, _ in newer}
        folders = [folder for folder in folders if folder[0] not in names] + newer
    return folders, environment, said, token, (digest, newer)


def _read(path: str) -> "tuple[bytes, Any] | None":
    """The digest of what was written at `path`, and what it was; None where there is nothing, or it is damaged."""
    try:
        with open(path, "rb") as file:
            data = file.read()
        if blake2b(data[20:], digest_size=20).digest() == data[:20]:
            return data[:20], loads(data[20:])
    except (OSError, ValueError, EOFError, TypeError):
        pass
    return None


def changed_paths(folders: "list[Folder]") -> "Changed | None":
    """The paths whose stat is not what it was; None for too many. Many are looked at by two processes: threads would wait for each other."""
    if sum(len(packed) for _, _, packed in folders) < 40 * _FEW:
        return _differing(folders)
    half = len(folders) // 2
    reader, writer = os.pipe()
    child = os.fork()  # no other thread runs yet
    if not child:
        try:
            os.close(reader)
            with open(writer, "wb") as pipe:
                pipe.write(dumps(_differing(folders[half:])))
        finally:
            os._exit(0)
    os.close(writer)
    found = None
    try:
        found = _differing(folders[:half])
    finally:
        if found is None:
            os.kill(child, 9)  # its answer does not matter any more
        with open(reader, "rb") as pipe:
            answer = pipe.read()
        os.waitpid(child, 0)
    others = loads(answer) if found is not None and answer else None
    return None if found is None or others is None else found + others


def _differing(folders: "list[Folder]") -> "Changed | None":
    lstat = os.lstat
    found: Changed = []
    for folder, names, packed in folders:
        numbers = iter(memoryview(packed).cast("q").tolist())
        signatures = zip(numbers, numbers, numbers, numbers, numbers, strict=True)
        for name, known in zip(names.split(b"\0"), signatures, strict=False):  # an empty folder splits into one empty name
            try:
                status = lstat(folder + name)
            except OSError:
                if known[0] != -1:
                    found.append((folder + name, ABSENT))
                continue
            if (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_mode) != known:
                found.append((folder + name, (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_mode)))
        if len(found) > _MOST:
            return None
    return found


if __name__ == "__main__":
    sys.exit(main())
