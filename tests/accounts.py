"""Becoming an ordinary user: words that start a command as one, and what it gets there.

The account exists only in a mount namespace of the command's own, so the machine is left as it was.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UID = 54321  # and its gid
_ASK = "from graphbuild.sandbox.namespace import enter; print(enter().ids)"


def user_prefix(folder: Path, kind: str) -> tuple[str, ...]:
    """Words that start a command as an ordinary user: with subordinate ids ("full"), or with its own id alone ("single").

    Root only. Its /etc/passwd and the like are written to `folder`, which must last as long as the command.
    """
    for program in ("setpriv", "unshare"):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program} (package util-linux)")
    if kind == "full" and shutil.which("newuidmap") is None:
        pytest.skip("needs newuidmap (package uidmap)")
    granted = "tester:300000:65536" if kind == "full" else ""
    lines = {"passwd": f"tester:x:{UID}:{UID}::/:/bin/sh", "group": f"tester:x:{UID}:", "subuid": granted, "subgid": granted}
    script = []
    for name, line in lines.items():
        path, copy = Path("/etc", name), folder / f"etc-{name}"
        if path.exists():
            copy.write_text(path.read_text() + line + "\n")
            copy.chmod(0o644)
            script.append(f"mount --bind {copy} {path}")
        elif kind == "full":
            pytest.skip(f"needs {path} (package uidmap)")
    script.append(f'exec setpriv --reuid={UID} --regid={UID} --clear-groups -- "$@"')
    return ("unshare", "--mount", "sh", "-ec", "; ".join(script), "sh")


def ordinary_user(folder: Path, kind: str) -> tuple[tuple[str, ...], int]:
    """The words, and whose the files must be; an ordinary user is what it is already. Skips where the machine does not give `kind`."""
    prefix, uid = (user_prefix(folder, kind), UID) if os.geteuid() == 0 else ((), os.geteuid())
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[1]), "PYTHONDONTWRITEBYTECODE": "1"}
    asked = subprocess.run([*prefix, sys.executable, "-c", _ASK], capture_output=True, check=False, env=environment, cwd="/", text=True)
    if asked.stdout.strip() != kind:
        last = asked.stderr.strip().rpartition("\n")[2]
        pytest.skip(f"an ordinary user gets {asked.stdout.strip() or 'no'} ids here: {last}")
    return prefix, uid


def give(folder: Path, uid: int) -> None:
    """Let a user own a folder and all that is in it."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, uid, uid, follow_symlinks=False)
