"""Podman, by its program: it reads an OCI layout whose blobs are links to the store's, and of these only the layers that it has not."""

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from graphbuild.image.engine.programs import Program
from graphbuild.image.engine.seam import Loaded, Progress, Sought
from graphbuild.image.write import ImageContent, layout_members, manifest_of, parse_tags
from graphbuild.values.digest import Digest

_FIX = "install it: apt install podman"


class Podman:
    """This user's podman."""

    name = "podman"
    tars = False

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._podman = Program("podman", {**environment, **_inside()}, _FIX)

    def missing(self, sought: Sought) -> str:
        for name in [name.full for name in sought.names] or [sought.config.hex]:
            code, said = self._podman.ask("image", "inspect", "--format", "{{.Id}}", name)
            if code:
                return f"podman has no {name}"
            if not sought.has(said.strip()):
                return f"podman has another {name}"
        return ""

    def load(self, content: ImageContent, codec: str, ours: Callable[[Digest], bool], progress: Progress) -> Loaded:
        del ours
        # Nameless: podman calls it after the folder, and only its first name would be taken.
        members, manifest = layout_members(msgspec.structs.replace(content, tags=()), codec)
        config = manifest_of(content, codec)[2].hex
        with tempfile.TemporaryDirectory(prefix="graphbuild-") as folder:
            name = f"load-{config[:12]}"
            layout = Path(folder) / name
            for member in members:
                place = layout / member.name
                place.parent.mkdir(parents=True, exist_ok=True)
                if isinstance(member.content, bytes):
                    place.write_bytes(member.content)
                else:
                    os.symlink(member.content, place)
            # From within: podman makes a name of the path as it is given, and not every path is one.
            said = self._podman.run("load", "-i", name, folder=folder)
        local = next((line.partition(": ")[2].strip() for line in said.splitlines() if line.startswith("Loaded image")), "")
        names = [name.full for name in parse_tags(content.tags)]
        if names:
            self._podman.run("tag", config, *names)
        if local and not local.startswith("sha256:"):
            self._podman.run("untag", config, local if ":" in local else f"{local}:latest")
        progress(1, 1)
        return Loaded(manifest, len(content.layers), sum(member.size for member in members))


def _inside() -> dict[str, str]:
    """What tells podman that the user namespace, which a build of an ordinary user lives in, will do as its own."""
    found = {}
    for name, file in (("UID", "uid_map"), ("GID", "gid_map")):
        rows = [line.split() for line in Path(f"/proc/self/{file}").read_text(encoding="ascii").splitlines()]
        outside = next((row[1] for row in rows if row[0] == "0"), "0")
        if outside != "0":
            found[f"_CONTAINERS_ROOTLESS_{name}"] = outside
    return {**found, "_CONTAINERS_USERNS_CONFIGURED": "done"} if found else {}
