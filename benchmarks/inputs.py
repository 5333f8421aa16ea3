"""What the builds are made of: a base tar, 50,000 small files, one large file. The same bytes at every call."""

import io
import random
import shutil
import tarfile
import unittest
from pathlib import Path

FILES = 50_000
FOLDERS = 1_250
MEAN_SIZE = 3_800  # bytes: 190 MB in all
GIB = 1 << 30
_CHUNK = 1 << 20


def base_tar(path: Path) -> None:
    """A root file system with busybox-static as /bin/busybox and the few applets the jobs call."""
    busybox = shutil.which("busybox")
    if not busybox:
        raise unittest.SkipTest("busybox-static is not installed")
    program = Path(busybox).read_bytes()
    with tarfile.open(path, "w") as tar:
        for folder, mode in (("bin", 0o755), ("etc", 0o755), ("tmp", 0o1777)):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            tar.addfile(entry)
        entry = tarfile.TarInfo("bin/busybox")
        entry.size, entry.mode = len(program), 0o755
        tar.addfile(entry, io.BytesIO(program))
        for applet in ("sh", "sleep", "true"):
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)


def many_files(folder: Path) -> None:
    """FILES files of 100 to 7,500 bytes, half of it text-like, in FOLDERS folders: what node_modules looks like."""
    chance = random.Random(50_000)  # noqa: S311, RUF100 - reproducible, not secret
    words = [chance.randbytes(6).hex() for _ in range(2_000)]
    for number in range(FOLDERS):
        place = folder / f"package-{number // 25}" / f"part-{number % 25}"
        place.mkdir(parents=True)
        for index in range(FILES // FOLDERS):
            size = chance.randint(100, 2 * MEAN_SIZE - 100)
            text = " ".join(chance.choices(words, k=size // 26 + 1)).encode()
            (place / f"file-{index}.js").write_bytes(text[: size // 2] + chance.randbytes(size - min(size // 2, len(text))))


def large_file(path: Path) -> None:
    """One GiB that does not compress."""
    chance = random.Random(1 << 30)  # noqa: S311, RUF100 - reproducible, not secret
    with path.open("wb") as file:
        for _ in range(GIB // _CHUNK):
            file.write(chance.randbytes(_CHUNK))
