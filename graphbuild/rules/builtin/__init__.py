"""The built-in rules. They import `graphbuild.rules` and nothing else of graphbuild, exactly as a plugin does."""

from graphbuild.rules.builtin import bases, copy, files, image, put, run, tests

RULES = (*bases.RULES, *run.RULES, *copy.RULES, *put.RULES, *image.RULES, *files.RULES, *tests.RULES)
