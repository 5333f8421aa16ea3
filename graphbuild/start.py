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
    from collections.abc import Callable
    from typing import Any

    from graphbuild.values.certificate import Certificate, Changed, Folder, Said

VERSION = 4
ABSENT = (-1, 0, 0, 0, 0)  # in place of a stat: the path was not there
AMENDED = ".amended"  # after a certificate's path: what became of a few of its folders
GARBAGE = 100_000  # objects between two looks for cycles: what is imported, and 50,000 files, are none
_FEW = 5_000  # paths that are not worth one more process: it takes as long as 300 of them, and 2 ms
_PROCESSES = 8  # and no more of them
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
        changed = changed_paths(certificate[0], _import) if certificate else None
        if certificate and changed == [] and _say(certificate[2]):
            return 0
        if certificate and changed:
            stale = (path, certificate, changed)
    _import_main()
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


def _import_main() -> None:
    import gc

    gc.set_threshold(GARBAGE, 20, 20)
    _import_msgspec()
    import graphbuild.cli.main  # noqa: F401


def _import() -> None:
    """What every build takes, while others still look at what changed: half of the time of one with a single file."""
    _import_main()
    import graphbuild.cli.build
    import graphbuild.cli.grammar
    import graphbuild.cli.parser  # noqa: F401


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
        folders = newer + [folder for folder in folders if folder[0] not in names]  # what changed lately changes next, most likely
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


def changed_paths(folders: "list[Folder]", meanwhile: "Callable[[], object] | None" = None) -> "Changed | None":
    """The paths whose stat is not what it was; None for too many.

    Many are looked at by processes: threads would wait for each other. `meanwhile` is called as soon as one of them has found something.
    """
    paths = sum(len(packed) for _, _, packed in folders) // 40
    processes = min(1 + paths // _FEW, len(os.sched_getaffinity(0)), _PROCESSES)
    if processes < 2:
        return _differing(folders)
    news, found_one = os.pipe()
    lookers = [_Looker(folders[number::processes], found_one) for number in range(processes)]
    os.close(found_one)
    try:
        if os.read(news, 1) and meanwhile:  # else all of them have ended
            meanwhile()
        answers = [looker.answer() for looker in lookers]
    finally:
        os.close(news)
        for looker in lookers:
            looker.end()
    found: Changed = []
    for answer in answers:
        if answer is None:
            return None
        found += answer
    return found


class _Looker:
    """A process that looks at some of the folders, and writes a byte when it finds the first thing that changed."""

    def __init__(self, folders: "list[Folder]", news: int) -> None:
        self._reader, writer = os.pipe()
        self._process = os.fork()  # no other thread runs yet
        if not self._process:
            try:
                answer = dumps(_differing(folders, news))
                with open(writer, "wb") as pipe:
                    pipe.write(answer)
            finally:
                os._exit(0)
        os.close(writer)

    def answer(self) -> "Changed | None":
        with open(self._reader, "rb", closefd=False) as pipe:
            answer = pipe.read()
        return loads(answer) if answer else None

    def end(self) -> None:
        """It is not needed any more."""
        os.close(self._reader)
        os.kill(self._process, 9)
        os.waitpid(self._process, 0)


def _differing(folders: "list[Folder]", news: int = -1) -> "Changed | None":
    """A byte is written to `news`, a descriptor, when there is a first one."""
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
        if found and news >= 0:
            os.write(news, b"!")
            news = -1
        if len(found) > _MOST:
            return None
    return found


if __name__ == "__main__":
    sys.exit(main())
