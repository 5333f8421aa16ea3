"""`graphbuild images` as an ordinary user: files of other owners, in folders that only those enter, are read."""

import io
import tarfile

from workspaces import Workspace, spec_of


def closed_tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, mode, data in (("var/lib/dpkg", 0o700, None), ("var/lib/dpkg/status", 0o600, b"Package: libssl3\nVersion: 3.0.14-1\n\n")):
            member = tarfile.TarInfo(name)
            member.uid = member.gid = 33
            member.mode = mode
            if data is None:
                member.type = tarfile.DIRTYPE
            else:
                member.size = len(data)
            tar.addfile(member, io.BytesIO(data or b""))
    return stream.getvalue()


def test_a_database_that_only_others_may_read(user: Workspace):
    bases = {"closed": {"tar": "closed.tar"}}
    user.write({"closed.tar": closed_tar(), "build.yaml": spec_of(bases=bases, outputs={"it": {"from": "closed", "image": {}}})})
    user.run(":it")
    assert user.ok("images", "--containing", "libssl3<3.0.15").out.split()[-5:] == [
        "deb:libssl3",
        "3.0.14-1",
        "//:closed",
        "present",
        "inputs",
    ]
