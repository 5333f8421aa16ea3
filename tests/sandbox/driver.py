"""A process in namespaces of its own that runs jobs for the tests: one JSON request a line in, one JSON answer a line out.

The test process itself cannot enter namespaces: it has threads, and other tests.
"""

import contextlib
import json
import os
import stat
import sys
import tempfile
import threading
import time
from pathlib import Path

from graphbuild.sandbox import namespace, overlay
from graphbuild.sandbox.job import BindMount, Job, Limits, SecretFile, Tmpfs
from graphbuild.sandbox.sandbox import LocalSandbox
from graphbuild.values.errors import GraphbuildError

sys.path.insert(0, os.path.dirname(__file__))
from folders import FolderStack

MOUNTS = {"bind": BindMount, "tmpfs": Tmpfs}


def make_mount(request):
    kind = request.pop("kind")
    if kind == "secret":
        return SecretFile(request.pop("content").encode(), **request)
    return MOUNTS[kind](**request)


def make_job(request, scratch):
    stack = FolderStack(request.pop("layers"), request.pop("implicit", ()), request.pop("attributes", None))
    for name in ("env", "secret_env"):
        request[name] = tuple(map(tuple, request.get(name, ())))
    mounts = tuple(map(make_mount, request.pop("mounts", ())))
    return Job(stack, tuple(request.pop("argv")), scratch, mounts=mounts, limits=Limits(**request.pop("limits", {})), **request)


def listing(upper):
    found = {}
    for folder, folders, files in os.walk(upper):
        for name in (*folders, *files):
            path = os.path.join(folder, name)
            about = os.lstat(path)
            content = Path(path).read_text(errors="replace")[:1000] if stat.S_ISREG(about.st_mode) else None
            found[os.path.relpath(path, upper)] = [stat.filemode(about.st_mode), about.st_uid, about.st_gid, content]
    return dict(sorted(found.items()))


def run(sandbox, request, base):
    cancel_after = request.pop("cancel_after", None)
    scratch = Path(tempfile.mkdtemp(dir=base))
    output, errors, started = [], [], time.monotonic()
    apart = errors.append if request.pop("apart", False) else None
    try:
        job = make_job(request, scratch)
        cancelled = lambda: cancel_after is not None and time.monotonic() > started + cancel_after  # noqa: E731
        outcome = sandbox.run(job, output.append, cancelled, apart)
    except GraphbuildError as error:
        return {"error": str(error), "hint": error.problems[0].hint, "exit_code": error.exit_code, "left": left(scratch)}
    answer = {"code": outcome.exit_code, "reason": outcome.reason, "notes": outcome.notes, "seconds": time.monotonic() - started}
    points = [os.fsdecode(path) for path in outcome.mount_points]
    text = b"".join(output).decode(errors="replace")
    said = {"output": text, "errors": b"".join(errors).decode(errors="replace")}
    return answer | said | {"upper": listing(outcome.upper), "mount_points": points, "left": left(scratch)}


def left(scratch):
    """What a job left behind: mounts, children, and files besides the upper directory."""
    mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(scratch) in line]
    return mounts + sorted(set(os.listdir(scratch)) - {"upper"})


def view(request, base):
    """Mount folders read-only, or with an upper, and read a file through the mount."""
    target = Path(tempfile.mkdtemp(dir=base))
    writable = {"upper": target.with_suffix(".upper"), "work": target.with_suffix(".work")} if request.get("writable") else {}
    try:
        for _ in range(request.get("times", 1)):
            for path in writable.values():
                path.mkdir(exist_ok=True)
            if request.get("old"):
                overlay._mount_old([os.fsencode(folder) for folder in reversed(request["folders"])], os.fsencode(target), None, None)
            else:
                overlay.mount([Path(folder) for folder in request["folders"]], target, **writable)
            text = (target / request["read"]).read_text()
            overlay.unmount(target)
        overlay.unmount(target)
    except GraphbuildError as error:
        return {"error": str(error), "hint": error.problems[0].hint}
    return {"text": text, "mounted": os.path.ismount(target)}


def many(sandbox, requests, base):
    answers = [None] * len(requests)

    def one(number):
        answers[number] = run(sandbox, requests[number], base)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(len(requests))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def main():
    try:
        identity = namespace.enter()
        namespace.enter()  # harmless
    except GraphbuildError as error:
        print(json.dumps({"error": str(error), "hint": error.problems[0].hint}), flush=True)
        return
    base = sys.argv[1]
    contained = False if os.environ.get("WALLS") == "bubblewrap" else None
    with contextlib.closing(LocalSandbox(identity, Path(tempfile.mkdtemp(dir=base)), contained=contained)) as sandbox:
        if sys.argv[2:]:  # one job whose streams are ours
            outcome = sandbox.run(make_job(json.loads(sys.argv[2]), Path(tempfile.mkdtemp(dir=base))), lambda _: None, lambda: False)
            sys.exit(outcome.exit_code)
        serve(identity, sandbox, base)


def serve(identity, sandbox, base):
    print(json.dumps({"ids": identity.ids, "root": identity.root}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        match request.pop("do"):
            case "run":
                answer = run(sandbox, request, base)
            case "many":
                answer = many(sandbox, request["requests"], base)
            case "view":
                answer = view(request, base)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
