"""graphbuild's plugin for Debian: the rule `debian`, a base made of signed, locked Debian packages.

It knows of graphbuild only `graphbuild.rules`. See docs/debian.md.
"""

from graphbuild_debian.rule import DEBIAN

RULES = (DEBIAN,)

__all__ = ["RULES"]
