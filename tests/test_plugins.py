"""Installed plugins are found as Python's own reader of entry points finds them."""

from importlib.metadata import EntryPoints, entry_points

import pytest

from graphbuild.build.plugins import GROUP, find_plugins, parse_entry_points

TEXTS = (
    "",
    "[graphbuild.plugins]\ndebian = graphbuild_debian\n",
    "[console_scripts]\na = b:c\n\n[graphbuild.plugins]\n  one=first.module:attribute [extra]\n# two = second\n\nthree = third\n[other]\nx = y\n",
    "[graphbuild.plugins]\r\nwindows = lines\r\n",
    "; a remark\n[graphbuild.plugins.more]\nno = no\n",
)


@pytest.mark.parametrize("text", TEXTS)
def test_the_text_of_entry_points_is_read_as_python_reads_it(text):
    theirs = [(point.name, point.module) for point in EntryPoints._from_text_for(text, None) if point.group == GROUP]
    assert list(parse_entry_points(text)) == theirs


def test_what_is_installed_is_found(tmp_path):
    theirs = sorted({point.name for point in entry_points(group=GROUP)})
    for _ in range(2):  # by looking, and from what is remembered
        assert [plugin.name for plugin in find_plugins(tmp_path, tmp_path / "cache", ())] == theirs
