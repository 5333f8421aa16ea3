"""`-c` of commit and import: a config after Dockerfile instructions, as Docker's engine applies them."""

import pytest

from graphbuild.engine.changes import apply_changes
from graphbuild.values.config import Config, Healthcheck
from graphbuild.values.errors import GraphbuildError

BASE = Config(env=(("PATH", "/bin"), ("A", "1")), cmd=("bash",), workdir="/srv", labels=(("a", "b"),))


@pytest.mark.parametrize(
    ("change", "field", "wanted"),
    [
        ('CMD ["x", "y"]', "cmd", ("x", "y")),
        ("CMD echo $A", "cmd", ("/bin/sh", "-c", "echo $A")),
        ("cmd ['x']", "cmd", ("/bin/sh", "-c", "['x']")),
        ("ENV B=$A C='$A' D=\"x ${A} y\"", "env", (("PATH", "/bin"), ("A", "1"), ("B", "1"), ("C", "$A"), ("D", "x 1 y"))),
        ("ENV A two words", "env", (("PATH", "/bin"), ("A", "two words"))),
        ("ENV PATH=${PATH}:/x", "env", (("PATH", "/bin:/x"), ("A", "1"))),
        ("ENV E=${NO:-d}${A:+s}", "env", (("PATH", "/bin"), ("A", "1"), ("E", "ds"))),
        ("ENV E=a\\ b", "env", (("PATH", "/bin"), ("A", "1"), ("E", "a b"))),
        ("LABEL c=d a=e", "labels", (("a", "e"), ("c", "d"))),
        ("EXPOSE 80 53/UDP 8000-8001", "expose", ("53/udp", "80/tcp", "8000/tcp", "8001/tcp")),
        ('VOLUME ["/a b", "/c"]', "volumes", ("/a b", "/c")),
        ("VOLUME /a /b", "volumes", ("/a", "/b")),
        ("USER bob:audio", "user", "bob:audio"),
        ("WORKDIR x/../y", "workdir", "/srv/y"),
        ("WORKDIR /z", "workdir", "/z"),
        ("STOPSIGNAL SIGINT", "stop_signal", "SIGINT"),
        ("ONBUILD RUN make", "on_build", ("RUN make",)),
        ("HEALTHCHECK NONE", "healthcheck", Healthcheck(("NONE",))),
        (
            "HEALTHCHECK --interval=1m30s --retries=2 CMD true",
            "healthcheck",
            Healthcheck(("CMD-SHELL", "true"), interval=90 * 10**9, retries=2),
        ),
        ('HEALTHCHECK CMD ["true"]', "healthcheck", Healthcheck(("CMD", "true"))),
        ("# a comment\nUSER \\\n bob\n", "user", "bob"),
    ],
)
def test_a_change(change: str, field: str, wanted: object):
    assert getattr(apply_changes(BASE, [change]), field) == wanted


def test_an_entrypoint_clears_a_cmd_that_is_not_set_here_too():
    assert apply_changes(BASE, ['ENTRYPOINT ["e"]']).cmd is None
    both = apply_changes(BASE, ["CMD c", 'ENTRYPOINT ["e"]'])
    assert (both.cmd, both.entrypoint) == (("/bin/sh", "-c", "c"), ("e",))


@pytest.mark.parametrize(
    "change",
    [
        *("RUN x", "COPY a b", "ENV A", "ENV =x", "EXPOSE x", "EXPOSE 9-8", "STOPSIGNAL NO", "HEALTHCHECK FOO", "HEALTHCHECK --x=1 CMD a"),
        *("ONBUILD FROM x", "CMD", "USER", 'ENV A="b', "HEALTHCHECK --interval=5 CMD a"),
    ],
)
def test_what_is_refused(change: str):
    with pytest.raises(GraphbuildError):
        apply_changes(BASE, [change])
