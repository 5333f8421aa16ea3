"""`graphbuild shell LABEL -- COMMAND` where the command is not there."""

from workspaces import BASE, Workspace


def test_a_command_that_is_not_there_is_named(ws: Workspace):
    ws.write({"build.yaml": BASE})
    assert "nosuch (not found in PATH=" in ws.fails("shell", ":base", "--network", "none", "--", "nosuch", "-l", code=127)
