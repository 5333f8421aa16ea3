"""What the certificate of an unchanged build holds, as `graphbuild.start` reads it and `build.certificate` writes it.

`start` itself imports none of this, but for the type checker: start-up *is* the time of an unchanged build.
"""

Signature = tuple[int, int, int, int, int]  # size, mtime_ns, ctime_ns, inode, mode
ABSENT: Signature = (-1, 0, 0, 0, 0)  # in place of a stat: the path was not there
AMENDED = ".amended"  # after a certificate's path: what became of a few of its folders

Folder = tuple[bytes, bytes, bytes]  # its path with a slash; names between NULs; for each a Signature, as int64
Environment = list[tuple[str, str | None]]
Said = tuple[str, str]  # on stdout, on stderr
Payload = tuple[list[Folder], Environment, Said, bytes]  # what was looked at, the environment, what to say, the `build.parts` it goes with
Amendment = tuple[bytes, list[Folder]]  # the digest of the payload that it amends; folders in place of those of the same paths
Certificate = tuple[list[Folder], Environment, Said, bytes, Amendment]  # a payload as it was amended, and by what
Proof = tuple[str, bytes]  # a file to write, and what
Changed = list[tuple[bytes, Signature]]  # paths that are not what they were, with what they are now; ABSENT for one that is gone
Stale = tuple[str, Certificate, Changed]  # where the certificate is, what it says, and what is not so any more
