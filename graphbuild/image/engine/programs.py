"""Engines that are asked by a program: run, its complaint told."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping

from graphbuild.values.errors import EXIT_FAILED, GraphbuildError, Problem, lacking

_SAID = 6  # lines of a complaint
_ABSENT = (b"failed to dial", b"connection refused", b"cannot access socket", b'no such file or directory: "unix')


class Program:
    """A program of PATH. GraphbuildError (36) where there is none; `fix` says how to get it."""

    def __init__(self, name: str, environment: Mapping[str, str], fix: str, options: tuple[str, ...] = ()) -> None:
        path = shutil.which(name, path=environment.get("PATH"))
        if path is None:
            raise lacking(f"{name} is not installed", fix)
        self._name = name
        self._command = (os.path.abspath(path), *options)
        self._environment = dict(environment)
        self._fix = fix

    def ask(self, *words: str) -> tuple[int, str]:
        """Its exit code and what it prints."""
        done = subprocess.run([*self._command, *words], env=self._environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode and any(text in done.stderr for text in _ABSENT):
            raise lacking(f"{self._name}: {_last(done.stderr)}", self._fix)
        return done.returncode, done.stdout.decode("utf-8", "replace")

    def run(self, *words: str, data: Iterable[bytes] = (), folder: str | None = None) -> str:
        """What it prints, given `data`, in a folder. GraphbuildError with its complaint."""
        pipe = subprocess.PIPE
        with subprocess.Popen([*self._command, *words], cwd=folder, env=self._environment, stdin=pipe, stdout=pipe, stderr=pipe) as process:
            assert process.stdin is not None
            try:
                with contextlib.suppress(BrokenPipeError):  # what it says about it follows
                    for piece in data:
                        process.stdin.write(piece)
                    process.stdin.flush()
                out, err = process.communicate()
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            if any(text in err for text in _ABSENT):
                raise lacking(f"{self._name}: {_last(err)}", self._fix)
            raise GraphbuildError(
                Problem(f"{self._name} {words[0]}: {_last(err) or f'exit code {process.returncode}'}"), exit_code=EXIT_FAILED
            )
        return out.decode("utf-8", "replace")


def _last(text: bytes) -> str:
    lines = [line.strip() for line in text.decode("utf-8", "replace").splitlines() if line.strip()]
    return "; ".join(lines[-_SAID:])[:1000]
