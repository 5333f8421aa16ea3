"""A driver as the tests see it: a process that runs jobs, and where it may do so."""

import copy
import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent


def private_folder():
    """A folder that an ordinary user can reach, which pytest's are not; on the disk, where overlayfs can write."""
    folder = Path(tempfile.mkdtemp(prefix="graphbuild-sandbox-", dir="/var/tmp"))
    folder.chmod(0o755)
    return folder


class Driver:
    """A driver process. `ids` and `root` say what it got; every request is a dict, see driver.py."""

    like_docker = False

    def __init__(self, prefix, base, rootfs, walls=""):
        """`walls`: "bubblewrap" has it make them also where we can."""
        self.base, self.rootfs = base, rootfs
        words = [*prefix, sys.executable, str(HERE / "driver.py"), str(base)]
        environment = {"PYTHONPATH": str(HERE.parent.parent), "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", "WALLS": walls}
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd="/")
        self.hello = json.loads(self.process.stdout.readline() or '{"error": "the driver died", "hint": ""}')

    def ask(self, **request):
        self.send(**request)
        return json.loads(self.process.stdout.readline())

    def send(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()

    def job(self, *argv, **fields):
        return {"do": "run", "argv": argv, "layers": [str(self.rootfs)], "like_docker": self.like_docker} | fields

    def run(self, *argv, **fields):
        return self.ask(**self.job(*argv, **fields))

    def sh(self, script, **fields):
        return self.run("sh", "-c", script, **fields)

    def as_docker(self):
        """The same driver, whose jobs are as a RUN of Docker's engine."""
        view = copy.copy(self)
        view.like_docker = True
        return view

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        finally:
            self.process.kill()  # it is still busy where a test failed half-way
            self.process.stdout.close()
