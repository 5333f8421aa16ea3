"""The plugin `dockerfile`: Dockerfiles as targets, and the commands `dockerfile` and `convert`."""

from graphbuild_dockerfile.command import COMMANDS
from graphbuild_dockerfile.rule import RULES

__all__ = ["COMMANDS", "RULES"]
