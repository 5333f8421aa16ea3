"""Odd ignores: patterns of a .dockerignore, and what of one context is left."""

from case import Case

_FILES = {"a": "a\n", "b": "b\n", "d/x": "x\n", "d/y.md": "y\n", "d/s/z": "z\n", "sp ace": "s\n"}

CASES = (
    Case(
        name="odd-ignored-exclude-all-but-deep",
        why="everything but one deep file",
        dockerfile="FROM base\nCOPY . /o/\n",
        files={**_FILES, ".dockerignore": "*\n!d/s/z\n"},
    ),
    Case(
        name="odd-ignored-bang-then-pattern",
        why="a later pattern wins",
        dockerfile="FROM base\nCOPY . /o/\n",
        files={**_FILES, ".dockerignore": "!a\na\n"},
    ),
    Case(
        name="odd-ignored-md-anywhere",
        why="**/*.md anywhere",
        dockerfile="FROM base\nCOPY . /o/\n",
        files={**_FILES, ".dockerignore": "**/*.md\n"},
    ),
    Case(
        name="odd-ignored-folder-slash-star",
        why="a folder's content",
        dockerfile="FROM base\nCOPY . /o/\n",
        files={**_FILES, ".dockerignore": "d/*\n"},
    ),
    Case(
        name="odd-ignored-folder-star-but-sub",
        why="a folder's content but one",
        dockerfile="FROM base\nCOPY . /o/\n",
        files={**_FILES, ".dockerignore": "d/*\n!d/s\n"},
    ),
    Case(
        name="odd-ignored-dotted-path",
        why="dots in a pattern",
        dockerfile="FROM base\nCOPY . /o/\n",
        files={**_FILES, ".dockerignore": "./d/../a\n"},
    ),
    Case(
        name="odd-ignored-blank-and-comment",
        why="blank lines and comments",
        dockerfile="FROM base\nCOPY . /o/\n",
        files={**_FILES, ".dockerignore": "\n# a\n  \n\tb\n"},
    ),
    Case(name="odd-ignored-class", why="a class", dockerfile="FROM base\nCOPY . /o/\n", files={**_FILES, ".dockerignore": "[ab]\n"}),
    Case(name="odd-ignored-question", why="one character", dockerfile="FROM base\nCOPY . /o/\n", files={**_FILES, ".dockerignore": "?\n"}),
    Case(
        name="odd-ignored-double-star-slash", why="**/s", dockerfile="FROM base\nCOPY . /o/\n", files={**_FILES, ".dockerignore": "**/s\n"}
    ),
    Case(
        name="odd-ignored-middle-double-star",
        why="d/**/z",
        dockerfile="FROM base\nCOPY . /o/\n",
        files={**_FILES, ".dockerignore": "d/**/z\n"},
    ),
    Case(name="odd-ignored-star-dot-star", why="*.*", dockerfile="FROM base\nCOPY . /o/\n", files={**_FILES, ".dockerignore": "*.*\n"}),
    Case(name="odd-ignored-everything", why="**", dockerfile="FROM base\nCOPY . /o/\n", files={**_FILES, ".dockerignore": "**\n!a\n"}),
    Case(
        name="odd-ignored-absolute",
        why="/a and /d/x",
        dockerfile="FROM base\nCOPY . /o/\n",
        files={**_FILES, ".dockerignore": "/a\n/d/x\n"},
    ),
    Case(
        name="odd-ignored-trailing-blank",
        why="blanks at the end",
        dockerfile="FROM base\nCOPY . /o/\n",
        files={**_FILES, ".dockerignore": "a   \nb\t\n"},
    ),
    Case(
        name="odd-ignored-space-name",
        why="a name with a blank",
        dockerfile="FROM base\nCOPY . /o/\n",
        files={**_FILES, ".dockerignore": "sp ace\n"},
    ),
    Case(
        name="odd-ignored-escaped-space",
        why="an escaped blank",
        dockerfile="FROM base\nCOPY . /o/\n",
        files={**_FILES, ".dockerignore": "sp\\ ace\n"},
    ),
    Case(
        name="odd-ignored-negated-folder-of-excluded",
        why="a folder comes back whole",
        dockerfile="FROM base\nCOPY . /o/\n",
        files={**_FILES, ".dockerignore": "d\n!d/s/\n"},
    ),
    Case(
        name="odd-ignored-dockerignore-itself",
        why="the ignore file itself",
        dockerfile="FROM base\nCOPY . /o/\n",
        files={**_FILES, ".dockerignore": ".dockerignore\nDockerfile\n"},
    ),
    Case(
        name="odd-ignored-case-differs",
        why="case counts",
        dockerfile="FROM base\nCOPY . /o/\n",
        files={**_FILES, ".dockerignore": "A\nD\n"},
    ),
)
