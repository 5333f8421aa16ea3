"""The fake of the seam Sandbox: interprets a handful of commands on the upper directory; no namespaces, no processes."""

import os
import time

from graphbuild.sandbox.job import Outcome


class FakeSandbox:
    """Knows `write PATH TEXT`, `say TEXT`, `complain TEXT` (on stderr), `fail CODE` and `sleep SECONDS`; anything else is not found."""

    def run(self, job, write, cancelled, write_error=None):
        upper = job.scratch / "upper"
        upper.mkdir()
        started = time.monotonic()
        outcome = lambda code, reason="exited": Outcome(code, reason, upper)  # noqa: E731
        match job.argv:
            case ("write", path, text):
                target = upper / path.lstrip("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, encoding="utf-8")
            case ("say", text):
                self._say(job, text.encode() + b"\n", write)
            case ("complain", text):
                self._say(job, text.encode() + b"\n", write_error or write)
            case ("fail", code):
                return outcome(int(code))
            case ("sleep", seconds):
                while time.monotonic() < started + float(seconds):
                    if cancelled():
                        return outcome(137, "cancelled")
                    if job.timeout and time.monotonic() >= started + job.timeout:
                        return outcome(137, "timeout")
                    time.sleep(0.01)
            case (name, *_):
                (write_error or write)(os.fsencode(f"graphbuild: {name}: not found in PATH\n"))
                return outcome(127)
        return outcome(0)

    @staticmethod
    def _say(job, data, write):
        limit = job.limits.output
        write(data[:limit] if limit else data)
        if limit and len(data) > limit:
            write(b"\n[graphbuild: output beyond %d bytes is dropped]\n" % limit)
