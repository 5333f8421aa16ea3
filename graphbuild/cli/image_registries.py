"""`graphbuild image pull` and `push`: images of the store from and to registries."""

import sys
from pathlib import Path
from typing import Any

from graphbuild.build.project import find_site
from graphbuild.cli.session import images_of, once, registries_of
from graphbuild.cli.transfers import Transfers
from graphbuild.engine.archives import content
from graphbuild.engine.library import Library, full_name
from graphbuild.image.model import OCI_MANIFEST
from graphbuild.image.push import Blob, Outgoing, Push
from graphbuild.image.reference import parse_reference
from graphbuild.image.write import manifest_of, stored
from graphbuild.layers.cancel import never
from graphbuild.network.registry import Document
from graphbuild.values.errors import EXIT_OK, mistake


def pulled(library: Library, options: Any) -> int:
    """Take in each image under its name; one that was asked for by a digest alone gets none."""
    site = find_site(Path.cwd(), options.store)
    images = images_of(library.store, once(lambda: registries_of(site, offline=False)), offline=False)
    for text in options.images:
        with images.open(text, "", options.platform, never) as source:
            names = () if "@" in text else (full_name(text),)
            image = library.take(source, names, source.source)
        sys.stdout.write(f"{image.id}\n" if options.quiet else f"{source.source}  {image.id}\n")
    return EXIT_OK


def pushed(library: Library, options: Any) -> int:
    """Push each image under the name that it was called by."""
    site = find_site(Path.cwd(), options.store)
    transfers = Transfers("quiet" if options.quiet else "auto", "sent")
    going = [_outgoing(library, text, options.compression) for text in options.images]
    push = Push(registries_of(site, offline=False), transfers, never)
    done = transfers.run(lambda: push.run(going))
    for one in done:
        known = "" if one.new else "  (was there)"
        sys.stdout.write(f"{one.digest}\n" if options.quiet else f"{one.reference.full}  {one.digest}{known}\n")
    return EXIT_OK


def _outgoing(library: Library, text: str, codec: str) -> Outgoing:
    image = library.find(text)
    name = library.name_of(text, image)
    if not name:
        raise mistake(f"{text} is no name, and so says no registry", hint="give it one: graphbuild image tag")
    written = content(library, image, (name,), codec)
    config, manifest, config_digest, _ = manifest_of(written, codec)
    blobs = {digest: Blob(digest, size, path) for digest, size, path in (stored(layer, codec) for layer in written.layers)}
    return Outgoing(Document(OCI_MANIFEST, manifest), (*blobs.values(), Blob(config_digest, len(config), config)), (parse_reference(name),))
