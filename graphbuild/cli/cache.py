"""`graphbuild cache`: stats, verify, gc, dir."""

import contextlib
import sys
from pathlib import Path
from typing import Any

from graphbuild.build.project import find_site
from graphbuild.store.store import Store
from graphbuild.store.trouble import DamagedDatabase
from graphbuild.store.verify import drop_database
from graphbuild.ui.text import size
from graphbuild.values.duration import parse_duration, parse_size
from graphbuild.values.errors import EXIT_FAILED, EXIT_OK, mistake


def cache(options: Any) -> int:
    """Look after the store that builds in this folder use."""
    folder = find_site(Path.cwd(), options.store).store
    if options.action == "dir":
        sys.stdout.write(f"{folder}\n")
        return EXIT_OK
    from graphbuild.sandbox.namespace import enter

    enter()  # layers belong to ids that only the mapping may read and remove
    try:
        with contextlib.closing(Store(folder)) as store:
            return {"stats": _stats, "verify": _verify, "gc": _gc}[options.action](store, options)
    except DamagedDatabase as error:
        if options.action != "verify":
            raise
        sys.stdout.write(f"database db.sqlite: {error.what}\n")
        if options.repair:
            drop_database(folder)
        return _verified(1, options.repair)


def _stats(store: Store, _options: Any) -> int:
    found = store.stats()
    sys.stdout.write(f"store {store.root}\n")
    for name in ("actions", "blobs", "indexes", "folders", "logs", "caches", "failed"):
        amount = getattr(found, name)
        sys.stdout.write(f"  {name:12} {amount.count:8}  {size(amount.size):>10}\n")
    sys.stdout.write(f"  {'in all':12} {'':8}  {size(found.total):>10}\n")
    sys.stdout.write(f"  {'reclaimable':12} {'':8}  {size(found.reclaimable):>10}\n")
    sys.stdout.write(f"  {found.hits} times a result was found instead of built\n")
    return EXIT_OK


def _verify(store: Store, options: Any) -> int:
    count = 0
    for damage in store.verify(_progress, repair=options.repair):
        count += 1
        sys.stdout.write(f"{damage.kind} {damage.name}: {damage.message}\n")
    return _verified(count, options.repair)


def _verified(count: int, repaired: bool) -> int:
    """Say how many things were damaged; the exit code."""
    if not count:
        sys.stdout.write("the store is intact\n")
        return EXIT_OK
    done = "dropped; the next build makes them again" if repaired else "run `graphbuild cache verify --repair` to drop them"
    sys.stdout.write(f"{count} damaged: {done}\n")
    return EXIT_OK if repaired else EXIT_FAILED


def _progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{done}/{total}" if done < total else "\r\033[K")


def _gc(store: Store, options: Any) -> int:
    if options.max_size is None and options.keep is None:
        raise mistake("gc needs a bound", hint="for example --max-size 20g, --keep 14d, or both")
    try:
        max_size = parse_size(options.max_size) if options.max_size else None
        keep = parse_duration(options.keep) if options.keep else None
    except ValueError as error:
        raise mistake(str(error), hint="for example --max-size 20g --keep 14d") from None
    report = store.gc(max_size, keep, dry_run=options.dry_run)
    would = "would remove" if options.dry_run else "removed"
    sys.stdout.write(f"{would} {report.removed} things, {size(report.freed)}; {size(report.kept)} kept\n")
    return EXIT_OK
