"""`cp`: files out of a container and into it, whether it runs or not, by Docker's rules of what is put where.

A child of ours goes into the container's files and sends or takes a tar: that of a running one by its mount namespace, that of
another by mounting it in a namespace of the child's own. It follows symlinks as the container would, and imports nothing there.
"""

import contextlib
import os
import stat
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

import msgspec

from graphbuild.engine.containers import assemble
from graphbuild.engine.containers.archive import Writer, unpack
from graphbuild.engine.containers.copy_tree import raise_limits
from graphbuild.engine.containers.guide import enter_files
from graphbuild.engine.containers.place import Place
from graphbuild.engine.containers.shelf import Container, failed, is_alive, locked
from graphbuild.sandbox import kernel
from graphbuild.store.actions import LayerOutput
from graphbuild.values.errors import EXIT_FAILED, GraphbuildError, Problem, mistake

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def copy_out(place: Place, container: Container, path: str, target: str, *, follow: bool) -> None:
    """Copy a path of a container to one here, or as a tar to the standard output."""

    def send(descriptor: int) -> None:
        writer = Writer(descriptor)
        _add(writer, path, follow=follow)
        writer.close()

    def take(file: IO[bytes]) -> None:
        if target == "-":
            while data := file.read(1 << 16):
                sys.stdout.buffer.write(data)
            sys.stdout.flush()
            return
        unpack(file, lambda member: _destination(target, folder=member.isdir(), contents=_means_contents(path)), _ours)

    if target == "-" and sys.stdout.isatty():
        raise mistake("a tar does not go to a terminal", hint="redirect it, or name a path")
    _with_child(place, container, send, take)


def copy_in(place: Place, container: Container, source: str, path: str, *, follow: bool, archive: bool) -> None:
    """Copy a path here, or the tar on the standard input, to a path of a container."""
    if source != "-":
        try:
            status = os.stat(source) if follow or source.endswith(("/", "/.")) else os.lstat(source)
        except OSError as error:
            raise failed(f"{source}: {error.strerror}") from None
        is_folder = stat.S_ISDIR(status.st_mode)

    def send(file: IO[bytes]) -> None:
        if source == "-":
            while data := sys.stdin.buffer.read(1 << 16):
                file.write(data)
        else:
            writer = Writer(file.fileno(), (lambda member: member) if archive else _roots)
            _add(writer, source, follow=follow)
            writer.close()

    def take(descriptor: int) -> None:
        with os.fdopen(descriptor, "rb") as file:
            if source == "-":
                unpack(file, lambda _member: (_open_folder(path), ""))
            else:
                unpack(file, lambda _member: _destination(path, folder=is_folder, contents=_means_contents(source)))

    _with_child(place, container, take, send, inward=True)


def _roots(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    return member


def _ours(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid, member.gid = os.geteuid(), os.getegid()
    member.pax_headers = {}
    return member


def _means_contents(path: str) -> bool:
    return path.rstrip("/").rpartition("/")[2] == "." and path.endswith(("/.", "."))


def _add(writer: Writer, path: str, *, follow: bool) -> None:
    """Write a path and what is below it, its last name on top."""
    real = os.path.realpath(path) if follow or path.endswith("/") else path
    place = os.path.normpath(real)
    shown = "." if _means_contents(path) else os.path.basename(os.path.normpath(path)) or "."
    try:
        parent = os.open(os.path.dirname(place) or ".", _FOLDER)
    except OSError as error:
        raise failed(f"{path}: {error.strerror}") from None
    try:
        writer.add(parent, os.path.basename(place) or ".", shown)
    except FileNotFoundError:
        raise failed(f"there is no {path}") from None
    finally:
        os.close(parent)


def _destination(target: str, *, folder: bool, contents: bool) -> tuple[int, str]:
    """The folder that a copy goes into, and the name it has there, by the rules of `docker cp`."""
    is_folder = os.path.isdir(target)
    if is_folder:
        return _open_folder(target), "." if folder and contents else ""
    if os.path.lexists(target) and folder:
        raise failed(f"cannot copy a folder to {target}, which is a file")
    if target.endswith("/") and not folder:
        raise failed(f"there is no folder {target}", "make it, or leave out the slash")
    place = os.path.normpath(os.path.realpath(target) if os.path.exists(target) else target)
    return _open_folder(os.path.dirname(place) or "."), os.path.basename(place)


def _open_folder(path: str) -> int:
    try:
        return os.open(path or "/", _FOLDER)
    except OSError as error:
        raise failed(f"{path}: {error.strerror}") from None


def _with_child(
    place: Place, container: Container, inside: Callable[[int], None], outside: Callable[[IO[bytes]], None], *, inward: bool = False
) -> None:
    """Do `inside` in a child that sees the container's files, and `outside` here, with a pipe between them."""
    raise_limits()  # here, for what that imports
    with contextlib.ExitStack() as held:
        enter = _running(container) if container.look().running else _resting(place, container, held)
        read, write = os.pipe2(os.O_CLOEXEC)
        told, tell = os.pipe2(os.O_CLOEXEC)
        child = os.fork()
        ours, theirs = (write, read) if inward else (read, write)
        if not child:
            os.close(ours)
            _inside(enter, inside, theirs, tell)
        os.close(theirs)
        os.close(tell)
        trouble: BaseException | None = None
        try:
            with os.fdopen(ours, "wb" if inward else "rb") as file:
                outside(file)
        except (GraphbuildError, OSError) as error:
            trouble = error
        with os.fdopen(told, "rb") as file:
            said = file.read()
        os.waitpid(child, 0)
        if said:  # what went wrong there made it go wrong here
            code, message, hint = msgspec.msgpack.decode(said, type=tuple[int, str, str])
            raise GraphbuildError(Problem(message, None, hint), exit_code=code)
        if isinstance(trouble, OSError):
            raise failed(f"cannot copy: {trouble.strerror}: {os.fsdecode(trouble.filename or '')}")
        if trouble is not None:
            raise trouble


def _inside(enter: Callable[[], None], work: Callable[[int], None], descriptor: int, tell: int) -> None:
    """Never returns."""
    try:
        os.umask(0)
        enter()
        sys.meta_path.clear()  # the files from here on are the container's
        work(descriptor)
    except GraphbuildError as error:
        _tell(tell, error.exit_code, error.problems[0].message, error.problems[0].hint)
    except BrokenPipeError:
        pass  # said on the other side
    except OSError as error:
        _tell(tell, EXIT_FAILED, f"cannot copy: {error.strerror}: {os.fsdecode(error.filename or b'')}", "")
    except BaseException as error:  # noqa: BLE001 - said, since nobody else can: a time or an owner that no file can have
        _tell(tell, EXIT_FAILED, f"cannot copy: {error!r}", "")
    finally:
        os._exit(0)


def _tell(tell: int, code: int, message: str, hint: str) -> None:
    os.write(tell, msgspec.msgpack.encode((code, message.encode(errors="replace").decode(), hint)))


def _running(container: Container) -> Callable[[], None]:
    state = container.look().state
    assert state is not None

    def enter() -> None:
        enter_files(state)
        os.chdir("/")

    return enter


def _resting(place: Place, container: Container, held: contextlib.ExitStack) -> Callable[[], None]:
    assert place.identity
    try:
        held.enter_context(locked(container.folder))
    except FileNotFoundError:
        raise failed(f"no container {container.name}", "it was removed just now") from None
    if is_alive(container.folder):
        raise failed(f"container {container.name} was started just now", "say it again")
    with place.open() as opened:
        layers = container.spec.image.layers
        folders = [opened.forms.folder(LayerOutput(layer.tree, layer.diff_id)) for layer in layers if layer.tree is not None]

    def enter() -> None:
        merged = Path(container.folder / "merged")
        merged.mkdir(exist_ok=True)
        kernel.unshare(kernel.CLONE_NEWNS)
        kernel.mount(b"none", b"/", b"", kernel.MS_REC | kernel.MS_PRIVATE)
        tree = assemble.mount_layers(container, folders, merged)
        assemble.mount_volumes(container.spec.mounts, tree, place.root / "volumes")
        os.chroot(merged)
        os.chdir("/")

    return enter
