"""HEALTHCHECK: its forms, flags, and what they become in the config (nanoseconds)."""

from case import Case

CASES = (
    Case(
        name="healthcheck-shell",
        why="the text as it is, without the SHELL",
        dockerfile='FROM base\nSHELL ["/bin/ash", "-c"]\nHEALTHCHECK CMD wget -q  "http://x/$Y" || exit 1\n',
    ),
    Case(name="healthcheck-exec", why="words", dockerfile='FROM base\nHEALTHCHECK CMD ["/check", "a b", "$c"]\n'),
    Case(
        name="healthcheck-flags",
        why="every flag, in the units of Go",
        dockerfile="FROM base\nHEALTHCHECK --interval=1m30s --timeout=2.5s --start-period=1h --start-interval=100ms --retries=7 CMD true\n",
    ),
    Case(
        name="healthcheck-flags-continued",
        why="over several lines",
        dockerfile="FROM base\nHEALTHCHECK --interval=5s \\\n  --timeout=1s \\\n  CMD true \\\n   && false\n",
    ),
    Case(
        name="healthcheck-units",
        why="mixed and small ones",
        dockerfile="FROM base\nHEALTHCHECK --interval=1h2m3s4ms --timeout=1000us --start-period=0.5h CMD true\n",
    ),
    Case(
        name="healthcheck-zero",
        why="zero is the default, and absent",
        dockerfile="FROM base\nHEALTHCHECK --interval=0s --timeout=0 --retries=0 CMD true\n",
    ),
    Case(name="healthcheck-none", why="switches the base's off", dockerfile="FROM configured\nHEALTHCHECK NONE\n", base="configured"),
    Case(
        name="healthcheck-replaces",
        why="nothing of the base's flags is left",
        dockerfile="FROM configured\nHEALTHCHECK --timeout=1s CMD new\n",
        base="configured",
    ),
    Case(
        name="healthcheck-last",
        why="the last counts",
        dockerfile="FROM base\nHEALTHCHECK NONE\nHEALTHCHECK --retries=1 CMD one\nHEALTHCHECK CMD two\n",
    ),
    Case(name="healthcheck-case", why="cmd and none in any case", dockerfile="FROM base\nhealthcheck --retries=2 cmd true\n"),
    Case(name="healthcheck-invalid-json", why="is the shell form", dockerfile="FROM base\nHEALTHCHECK CMD ['a']\n"),
    Case(name="healthcheck-nothing", why="no word", dockerfile="FROM base\nHEALTHCHECK\n", fails="HEALTHCHECK", line=2),
    Case(name="healthcheck-unknown", why="neither CMD nor NONE", dockerfile="FROM base\nHEALTHCHECK RUN true\n", fails="RUN", line=2),
    Case(name="healthcheck-no-command", why="CMD alone", dockerfile="FROM base\nHEALTHCHECK CMD\n", fails="HEALTHCHECK", line=2),
    Case(name="healthcheck-none-and-more", why="NONE takes nothing", dockerfile="FROM base\nHEALTHCHECK NONE true\n", fails="NONE", line=2),
    Case(name="healthcheck-no-unit", why="5 of what?", dockerfile="FROM base\nHEALTHCHECK --interval=5 CMD true\n", fails="5", line=2),
    Case(
        name="healthcheck-negative",
        why="time runs one way",
        dockerfile="FROM base\nHEALTHCHECK --timeout=-1s CMD true\n",
        fails="timeout",
        line=2,
    ),
    Case(
        name="healthcheck-too-short",
        why="a container runtime refuses less than 1 ms",
        dockerfile="FROM base\nHEALTHCHECK --interval=1us CMD true\n",
        fails="interval",
        line=2,
    ),
    Case(
        name="healthcheck-retries-word", why="a number", dockerfile="FROM base\nHEALTHCHECK --retries=many CMD true\n", fails="many", line=2
    ),
    Case(
        name="healthcheck-retries-negative",
        why="not less than none",
        dockerfile="FROM base\nHEALTHCHECK --retries=-1 CMD true\n",
        fails="retries",
        line=2,
    ),
    Case(
        name="healthcheck-unknown-flag",
        why="no such flag",
        dockerfile="FROM base\nHEALTHCHECK --every=1s CMD true\n",
        fails="every",
        line=2,
    ),
    Case(
        name="healthcheck-flag-after-cmd",
        why="behind CMD it is the command's",
        dockerfile="FROM base\nHEALTHCHECK CMD --interval=5s true\n",
    ),
)
