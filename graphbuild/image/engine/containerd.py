"""containerd, by `ctr`: an OCI archive through a pipe, without the blobs that the namespace has. Kubernetes looks in k8s.io."""

from collections.abc import Callable, Mapping

from graphbuild.image.engine.programs import Program
from graphbuild.image.engine.seam import Loaded, Progress, Sought
from graphbuild.image.engine.stream import size_of, tar_of, without
from graphbuild.image.write import ImageContent, layout_members, stored
from graphbuild.values.digest import Digest
from graphbuild.values.errors import GraphbuildError, mistake

_FIX = "install and start it: apt install containerd; CONTAINERD_ADDRESS says where its socket is"


class Containerd:
    """A namespace of the containerd that the environment names."""

    name = "containerd"
    tars = False

    def __init__(self, environment: Mapping[str, str], namespace: str) -> None:
        space = namespace or environment.get("CONTAINERD_NAMESPACE") or "default"
        self._ctr = Program("ctr", environment, _FIX, ("--namespace", space))

    def missing(self, sought: Sought) -> str:
        if not sought.names:
            raise mistake("containerd knows images by their names, and this one has none", hint="give it one: `tags: [web:1.0]`")
        code, said = self._ctr.ask("images", "ls")
        rows = [line.split() for line in said.splitlines()[1:]] if code == 0 else []
        there = {row[0]: row[2] for row in rows if len(row) > 2}
        for name in sought.names:
            if name.full not in there:
                return f"containerd has no {name.full}"
            if not sought.has(there[name.full]):
                return f"containerd has another {name.full}"
        return ""

    def load(self, content: ImageContent, codec: str, ours: Callable[[Digest], bool], progress: Progress) -> Loaded:
        del ours
        members, manifest = layout_members(content, codec)
        have = {f"blobs/{line.strip().replace(':', '/')}" for line in self._ctr.run("content", "ls", "-q").splitlines()}
        layers = {f"blobs/{digest.algorithm}/{digest.hex}" for digest, _, _ in (stored(layer, codec) for layer in content.layers)}
        sent = without(members, have & layers)
        try:
            self._ctr.run("images", "import", "-", data=tar_of(sent, content.created, progress))
        except GraphbuildError:
            if not have & layers:
                raise
            sent, have = members, set()  # containerd may have collected meanwhile what no image of its own holds
            self._ctr.run("images", "import", "-", data=tar_of(sent, content.created, progress))
        return Loaded(manifest, len(layers - have), size_of(sent))
