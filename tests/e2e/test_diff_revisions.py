"""`graphbuild diff REV..REV`: which images differ between two revisions, in digest, and by what."""

import json
from collections.abc import Callable

from monorepo_edits import committed, git
from test_affected import repository
from workspaces import Workspace

SPEC = """\
bases: {none: scratch}
steps:
  code: {copy: {files: "code/**", to: /app}}
  data: {copy: {files: "data/**", to: /data}}
outputs:
  one: {from: code, image: {config: {cmd: [/app/run]}, tags: [one:latest], to: {oci: dist/one}}}
  two: {from: data, image: {to: {oci: dist/two}}}
"""


def revised(workspaces: Callable[..., Workspace]) -> Workspace:
    """Two commits: the second changes image one, drops two, adds three."""
    ws = workspaces("ws")
    ws.write({"build.yaml": SPEC, "code/run": "one", "code/kept": "kept", "data/d": "data"})
    repository(ws)
    spec = SPEC.replace("  two:", "  three:").replace("[/app/run]", "[/app/run, now]")
    ws.write({"build.yaml": spec, "code/run": "changed", "code/new": "new"})
    return committed(ws)


def test_what_changed_what_is_new_what_is_gone(workspaces: Callable[..., Workspace]):
    ws = revised(workspaces)
    found = json.loads(ws.ok("diff", "HEAD~1..HEAD", "--format", "json", "--progress=quiet").out)
    assert found["added"] == {"//:three": 4}
    assert found["removed"] == ["//:two"]
    assert found["same"] == 0
    (one,) = found["changed"].values()
    assert {(file["path"], file["change"], file["delta"]) for file in one["files"]} == {
        ("/app/code/run", "changed", 4),
        ("/app/code/new", "added", 3),
    }
    assert {"field": "Cmd", "old": ["/app/run"], "new": ["/app/run", "now"]} in one["config"]
    assert found["pulled"] == len("changed") + len("new") + len("kept") + len("data")


def test_it_leaves_no_trace(workspaces: Callable[..., Workspace]):
    ws = revised(workspaces)
    ws.ok("diff", "HEAD~1", "--progress=quiet")
    assert git(ws.root, "status", "--porcelain") == ""
    assert len(git(ws.root, "worktree", "list").splitlines()) == 1
    assert not (ws.root / "dist").exists()
    assert ws.ok("image", "ls", "-q").out == ""


def test_against_the_working_tree_and_against_the_head(workspaces: Callable[..., Workspace]):
    ws = revised(workspaces)
    ws.write({"data/d": "other"})
    assert "1 changed" in ws.ok("diff", "HEAD", "--progress=quiet").out
    assert "0 changed, 0 added, 0 removed, 2 the same" in ws.ok("diff", "HEAD..", "--progress=quiet").out


def test_markdown_for_a_pull_request(workspaces: Callable[..., Workspace]):
    text = revised(workspaces).ok("diff", "HEAD~1..HEAD", "--format", "markdown", "--progress=quiet").out
    assert text.startswith("## Images: 1 changed, 1 added, 1 removed, 0 the same\n")
    assert "| `~` | `/app/code/run` | `+4 B` | `content` |" in text
    assert "### `//:two`\n\nGone.\n" in text


def test_a_revision_that_does_not_build_says_so(workspaces: Callable[..., Workspace]):
    ws = revised(workspaces)
    ws.write({"build.yaml": SPEC.replace("copy:", "run: 'false', copy:", 1)})
    assert "build.yaml" in ws.fails("diff", "HEAD", code=2)
    assert "git knows no commit nowhere" in ws.fails("diff", "nowhere..HEAD", code=2)
    assert len(git(ws.root, "worktree", "list").splitlines()) == 1


def test_a_files_name_is_no_markup(workspaces: Callable[..., Workspace]):
    ws = revised(workspaces)
    ws.write({"code/a\\|[x](http:`evil": "new"})
    text = ws.ok("diff", "HEAD", "--format", "markdown", "--progress=quiet").out
    (row,) = [line for line in text.splitlines() if "evil" in line]
    assert row.count("|") == 5
    assert "<code>/app/code/a&#92;&#124;&#91;x&#93;&#40;http&#58;&#96;evil</code>" in row
