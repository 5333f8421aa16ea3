"""The grammar of `graphbuild image`."""

import argparse
from collections.abc import Callable
from typing import Any

Add = Callable[[Any, str, str, str], argparse.ArgumentParser]

_FORMATS = ("docker", "oci-archive", "oci")


def declare(commands: Any, add: Add, project: Callable[[argparse.ArgumentParser], None]) -> None:
    """Add the command to a parser's commands; `add` makes a parser of name, text and example, `project` adds what all take."""
    image = add(commands, "image", "look after images: list, tag, save, load, import, compare", "graphbuild image ls")
    actions = image.add_subparsers(dest="action", metavar="ACTION", required=True)
    parsers = [
        declare_one(actions, add) for declare_one in (_list, _inspect, _history, _tag, _remove, _prune, _save, _load, _import, _pull, _push)
    ]
    parsers += [declare_one(actions, add) for declare_one in (_tree, _diff, _squash, _verify, _whose)]
    for parser in parsers:
        project(parser)


def _list(actions: Any, add: Add) -> argparse.ArgumentParser:
    ls = add(actions, "ls", "list the store's images, with what they share with others", "graphbuild image ls web")
    ls.add_argument("name", nargs="?", default="", metavar="NAME", help="only images of that repository or name; * matches anything")
    ls.add_argument("-q", "--quiet", action="store_true", help="ids only")
    ls.add_argument("-a", "--all", action="store_true", help="accepted; all are listed anyway")
    ls.add_argument("--no-trunc", action="store_true", help="whole ids")
    ls.add_argument("--digests", action="store_true", help="whole ids with their algorithm")
    ls.add_argument(
        "-f",
        "--filter",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="dangling=true|false, label=KEY[=VALUE], reference=GLOB, before=IMAGE, since=IMAGE; may be repeated",
    )
    ls.add_argument("--format", default="", metavar="TEMPLATE", help="table, json, or text with {{.Repository}}, {{.Tag}}, {{.ID}} …")
    return ls


def _inspect(actions: Any, add: Add) -> argparse.ArgumentParser:
    inspect = add(actions, "inspect", "print all that is known of images, as JSON", "graphbuild image inspect web:1")
    inspect.add_argument("images", nargs="+", metavar="IMAGE")
    inspect.add_argument("-f", "--format", default="", metavar="TEMPLATE", help="{{.Id}}, {{json .Config}} … instead")
    return inspect


def _history(actions: Any, add: Add) -> argparse.ArgumentParser:
    history = add(actions, "history", "say what made each layer: its target, line, command and size", "graphbuild image history web:1")
    history.add_argument("image", metavar="IMAGE")
    history.add_argument("--no-trunc", action="store_true", help="whole commands")
    history.add_argument("-q", "--quiet", action="store_true", help="ids of layers only")
    history.add_argument("--format", default="", metavar="TEMPLATE", help="table, json, or text with {{.CreatedBy}}, {{.Size}} …")
    return history


def _tag(actions: Any, add: Add) -> argparse.ArgumentParser:
    tag = add(actions, "tag", "give an image one more name", "graphbuild image tag web:1 registry.example/web:1")
    tag.add_argument("image", metavar="IMAGE")
    tag.add_argument("name", metavar="NAME")
    return tag


def _remove(actions: Any, add: Add) -> argparse.ArgumentParser:
    rm = add(actions, "rm", "take names away; an image goes with its last one", "graphbuild image rm web:1")
    rm.add_argument("images", nargs="+", metavar="IMAGE")
    rm.add_argument("-f", "--force", action="store_true", help="also with several names, or while a container is made of it")
    return rm


def _prune(actions: Any, add: Add) -> argparse.ArgumentParser:
    prune = add(actions, "prune", "remove images that have no name", "graphbuild image prune -a -f")
    prune.add_argument("-a", "--all", action="store_true", help="all that no container is made of, named or not")
    prune.add_argument("-f", "--force", action="store_true", help="without asking")
    return prune


def _save(actions: Any, add: Add) -> argparse.ArgumentParser:
    save = add(actions, "save", "write images into an archive or an OCI layout", "graphbuild image save web:1 -o web.tar")
    save.add_argument("images", nargs="+", metavar="IMAGE")
    save.add_argument("-o", "--output", default="", metavar="PATH", help="where to (default: stdout)")
    save.add_argument("--format", choices=_FORMATS, default="docker", help="default: docker, what `docker load` reads")
    save.add_argument(
        "--compression", choices=("gzip", "zstd", "none"), default="gzip", help="of the layers of OCI formats (default: gzip)"
    )
    return save


def _load(actions: Any, add: Add) -> argparse.ArgumentParser:
    load = add(actions, "load", "take in the images of an archive or an OCI layout", "graphbuild image load -i web.tar")
    load.add_argument("path", nargs="?", default="", metavar="PATH", help="an archive or a folder (default: stdin)")
    load.add_argument("-i", "--input", default="", metavar="PATH", help="the same, as Docker has it")
    load.add_argument("--platform", default="", metavar="OS/ARCH", help="which one of an image for several")
    load.add_argument("-q", "--quiet", action="store_true", help="print ids only")
    return load


def _import(actions: Any, add: Add) -> argparse.ArgumentParser:
    import_ = add(actions, "import", "make an image of a root file system tarball", "curl -L URL | graphbuild image import - legacy:7")
    import_.add_argument("source", metavar="FILE|URL|-")
    import_.add_argument("name", nargs="?", default="", metavar="NAME")
    import_.add_argument(
        "-c", "--change", action="append", default=[], metavar="INSTRUCTION", help='such as "CMD [/bin/bash]"; may be repeated'
    )
    import_.add_argument("-m", "--message", default="", metavar="TEXT", help="what its history says")
    import_.add_argument("--platform", default="", metavar="OS/ARCH", help="what it is for (default: this machine)")
    return import_


def _pull(actions: Any, add: Add) -> argparse.ArgumentParser:
    pull = add(actions, "pull", "take in images of registries", "graphbuild image pull docker.io/library/alpine:3.20")
    pull.add_argument("images", nargs="+", metavar="IMAGE")
    pull.add_argument("--platform", default="", metavar="OS/ARCH", help="which one of an image for several (default: this machine's)")
    pull.add_argument("-q", "--quiet", action="store_true", help="print ids only")
    return pull


def _push(actions: Any, add: Add) -> argparse.ArgumentParser:
    push = add(actions, "push", "give images to the registries that their names say", "graphbuild image push registry.example/web:1")
    push.add_argument("images", nargs="+", metavar="IMAGE")
    push.add_argument(
        "--compression", choices=("gzip", "zstd", "none"), default="gzip", help="of layers that came from no registry (default: gzip)"
    )
    push.add_argument("-q", "--quiet", action="store_true", help="print digests only")
    return push


def _tree(actions: Any, add: Add) -> argparse.ArgumentParser:
    tree = add(actions, "tree", "show what an image holds layer by layer, and what it ships in vain", "graphbuild image tree web:1 --top 5")
    tree.add_argument("image", metavar="IMAGE")
    tree.add_argument("--top", type=int, default=10, metavar="N", help="files of each layer, the biggest first (default: 10)")
    tree.add_argument("--json", action="store_true", help="as JSON")
    return tree


def _diff(actions: Any, add: Add) -> argparse.ArgumentParser:
    diff = add(actions, "diff", "say what differs between two images", "graphbuild image diff web:1 web:2 --format markdown")
    diff.add_argument("old", metavar="IMAGE")
    diff.add_argument("new", metavar="IMAGE")
    diff.add_argument("--format", choices=("text", "json", "markdown"), default="text", help="default: text")
    return diff


def _squash(actions: Any, add: Add) -> argparse.ArgumentParser:
    squash = add(actions, "squash", "make an image of one layer that shows the same files", "graphbuild image squash web:1 -t web:small")
    squash.add_argument("image", metavar="IMAGE")
    squash.add_argument("-t", "--tag", action="append", default=[], metavar="NAME", help="a name for it; may be repeated")
    squash.add_argument("-m", "--message", default="", metavar="TEXT", help="what its history says")
    return squash


def _verify(actions: Any, add: Add) -> argparse.ArgumentParser:
    verify = add(actions, "verify", "recompute every digest of images, and name all that differ", "graphbuild image verify")
    verify.add_argument("images", nargs="*", metavar="IMAGE", help="default: all")
    return verify


def _whose(actions: Any, add: Add) -> argparse.ArgumentParser:
    whose = add(
        actions, "whose", "say which target, line, layer and package a file comes from", "graphbuild image whose web:1:/usr/bin/python3"
    )
    whose.add_argument("path", metavar="IMAGE:PATH")
    whose.add_argument("--json", action="store_true", help="as JSON")
    return whose
