"""An ordinary user's build takes files of a git repository: the same as root's."""

from pathlib import Path

import pytest
from accounts import give
from repositories import Repository
from workspaces import Workspace, spec_of, tree_of

PLUGIN = '''\
"""Files of a git repository, with `.git`."""

import msgspec

from graphbuild.rules import Analysis, Checkout, Rule, Snapshot


class Repo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    url: str


def repo(context, attributes):
    return Analysis((("checkout", Checkout(attributes.url, keep_git_dir=True)),), (Snapshot((context.ref("checkout"),)),))


RULES = (Rule("repo", "step", Repo, repo),)
'''


@pytest.mark.parametrize("kind", ["full", "single"])
def test_a_repository_is_the_same_for_an_ordinary_user(folder: Path, of_user, workspaces, kind: str):
    served = Repository(folder / "served")
    served.commit({"f": "one", "run*": "#!"})
    outputs = {"tree": {"from": "src", "files": {"to": {"tar": "tree.tar"}}}}
    files = {"plugins/elsewhere.py": PLUGIN, "build.yaml": spec_of(steps={"src": {"repo": {"url": served.url}}}, outputs=outputs)}
    of_root = workspaces()
    of_root.write(files)
    of_root.run()
    user: Workspace = of_user(kind)
    user.write(files)
    give(served.bare, user.owner)
    user.run()
    assert {"f", "run", ".git/HEAD"} <= tree_of(user.root / "tree.tar").keys()
    assert (user.root / "tree.tar").read_bytes() == (of_root.root / "tree.tar").read_bytes()
    assert user.built() == set()
