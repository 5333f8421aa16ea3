"""Odd users: numbers that are none, and the groups that a step is in."""

from case import Case

_FILES = {"a": "a\n", "b": "b\n", "d/x": "x\n", "d/y.md": "y\n", "d/s/z": "z\n", "sp ace": "s\n"}

CASES = (
    Case(
        name="odd-user-largest-of-workdir",
        why="numbers of 32 bits with a sign, everything else is a name; who is not there is root",
        dockerfile="FROM base\nUSER 2147483647\nWORKDIR /w\n",
    ),
    Case(
        name="odd-user-largest-of-copy",
        why="--chown reads numbers as USER does",
        dockerfile="FROM base\nCOPY --chown=2147483647 a /w/a\n",
        files=_FILES,
    ),
    Case(
        name="odd-user-beyond-32-bits-of-workdir",
        why="numbers of 32 bits with a sign, everything else is a name; who is not there is root",
        dockerfile="FROM base\nUSER 2147483648\nWORKDIR /w\n",
    ),
    Case(
        name="odd-user-beyond-32-bits-of-copy",
        why="--chown reads numbers as USER does",
        dockerfile="FROM base\nCOPY --chown=2147483648 a /w/a\n",
        files=_FILES,
    ),
    Case(
        name="odd-user-all-bits-of-workdir",
        why="numbers of 32 bits with a sign, everything else is a name; who is not there is root",
        dockerfile="FROM base\nUSER 4294967295\nWORKDIR /w\n",
    ),
    Case(
        name="odd-user-all-bits-of-copy",
        why="--chown reads numbers as USER does",
        dockerfile="FROM base\nCOPY --chown=4294967295 a /w/a\n",
        files=_FILES,
    ),
    Case(
        name="odd-user-far-beyond-of-workdir",
        why="numbers of 32 bits with a sign, everything else is a name; who is not there is root",
        dockerfile="FROM base\nUSER 4294967296\nWORKDIR /w\n",
    ),
    Case(
        name="odd-user-far-beyond-of-copy",
        why="--chown reads numbers as USER does",
        dockerfile="FROM base\nCOPY --chown=4294967296 a /w/a\n",
        files=_FILES,
    ),
    Case(
        name="odd-user-group-beyond-of-workdir",
        why="numbers of 32 bits with a sign, everything else is a name; who is not there is root",
        dockerfile="FROM base\nUSER 1:4294967294\nWORKDIR /w\n",
    ),
    Case(
        name="odd-user-group-beyond-of-copy",
        why="--chown reads numbers as USER does",
        dockerfile="FROM base\nCOPY --chown=1:4294967294 a /w/a\n",
        files=_FILES,
    ),
    Case(
        name="odd-user-user-beyond-of-workdir",
        why="numbers of 32 bits with a sign, everything else is a name; who is not there is root",
        dockerfile="FROM base\nUSER 2147483648:1\nWORKDIR /w\n",
    ),
    Case(
        name="odd-user-user-beyond-of-copy",
        why="--chown reads numbers as USER does",
        dockerfile="FROM base\nCOPY --chown=2147483648:1 a /w/a\n",
        files=_FILES,
    ),
    Case(
        name="odd-user-negative-of-workdir",
        why="numbers of 32 bits with a sign, everything else is a name; who is not there is root",
        dockerfile="FROM base\nUSER -5\nWORKDIR /w\n",
    ),
    Case(
        name="odd-user-negative-of-copy",
        why="--chown reads numbers as USER does",
        dockerfile="FROM base\nCOPY --chown=-5 a /w/a\n",
        files=_FILES,
    ),
    Case(
        name="odd-user-minus-one-of-workdir",
        why="numbers of 32 bits with a sign, everything else is a name; who is not there is root",
        dockerfile="FROM base\nUSER bob:-1\nWORKDIR /w\n",
    ),
    Case(
        name="odd-user-minus-one-of-copy",
        why="--chown reads numbers as USER does",
        dockerfile="FROM base\nCOPY --chown=bob:-1 a /w/a\n",
        files=_FILES,
    ),
    Case(
        name="odd-user-plus-of-workdir",
        why="numbers of 32 bits with a sign, everything else is a name; who is not there is root",
        dockerfile="FROM base\nUSER +7\nWORKDIR /w\n",
    ),
    Case(
        name="odd-user-plus-of-copy",
        why="--chown reads numbers as USER does",
        dockerfile="FROM base\nCOPY --chown=+7 a /w/a\n",
        files=_FILES,
    ),
    Case(
        name="odd-user-octal-like-of-workdir",
        why="numbers of 32 bits with a sign, everything else is a name; who is not there is root",
        dockerfile="FROM base\nUSER 007\nWORKDIR /w\n",
    ),
    Case(
        name="odd-user-octal-like-of-copy",
        why="--chown reads numbers as USER does",
        dockerfile="FROM base\nCOPY --chown=007 a /w/a\n",
        files=_FILES,
    ),
    Case(
        name="odd-user-fraction-of-workdir",
        why="numbers of 32 bits with a sign, everything else is a name; who is not there is root",
        dockerfile="FROM base\nUSER 1.5\nWORKDIR /w\n",
    ),
    Case(
        name="odd-user-fraction-of-copy",
        why="--chown reads numbers as USER does",
        dockerfile="FROM base\nCOPY --chown=1.5 a /w/a\n",
        files=_FILES,
    ),
    Case(
        name="odd-user-hex-of-workdir",
        why="numbers of 32 bits with a sign, everything else is a name; who is not there is root",
        dockerfile="FROM base\nUSER 0x10\nWORKDIR /w\n",
    ),
    Case(
        name="odd-user-hex-of-copy",
        why="--chown reads numbers as USER does",
        dockerfile="FROM base\nCOPY --chown=0x10 a /w/a\n",
        files=_FILES,
    ),
    Case(
        name="odd-user-groups-of-number",
        why="the primary group is among the supplementary ones",
        dockerfile='FROM base\nUSER 12345\nRUN id > /tmp/o; grep -E "^(Groups|Gid)" /proc/self/status >> /tmp/o\n',
    ),
    Case(
        name="odd-user-groups-of-number-group",
        why="the primary group is among the supplementary ones",
        dockerfile='FROM base\nUSER 12345:0\nRUN id > /tmp/o; grep -E "^(Groups|Gid)" /proc/self/status >> /tmp/o\n',
    ),
    Case(
        name="odd-user-groups-of-name",
        why="the primary group is among the supplementary ones",
        dockerfile='FROM base\nUSER bob\nRUN id > /tmp/o; grep -E "^(Groups|Gid)" /proc/self/status >> /tmp/o\n',
    ),
    Case(
        name="odd-user-groups-of-known-number",
        why="the primary group is among the supplementary ones",
        dockerfile='FROM base\nUSER 1000\nRUN id > /tmp/o; grep -E "^(Groups|Gid)" /proc/self/status >> /tmp/o\n',
    ),
    Case(
        name="odd-user-groups-of-root",
        why="the primary group is among the supplementary ones",
        dockerfile='FROM base\nUSER root\nRUN id > /tmp/o; grep -E "^(Groups|Gid)" /proc/self/status >> /tmp/o\n',
    ),
    Case(
        name="odd-user-groups-of-zero",
        why="the primary group is among the supplementary ones",
        dockerfile='FROM base\nUSER 0\nRUN id > /tmp/o; grep -E "^(Groups|Gid)" /proc/self/status >> /tmp/o\n',
    ),
    Case(
        name="odd-user-groups-of-root-group",
        why="the primary group is among the supplementary ones",
        dockerfile='FROM base\nUSER root:bob\nRUN id > /tmp/o; grep -E "^(Groups|Gid)" /proc/self/status >> /tmp/o\n',
    ),
    Case(
        name="odd-user-groups-of-nobody",
        why="the primary group is among the supplementary ones",
        dockerfile='FROM base\nUSER nobody\nRUN id > /tmp/o; grep -E "^(Groups|Gid)" /proc/self/status >> /tmp/o\n',
    ),
    Case(
        name="odd-user-groups-of-group-of-ones-own",
        why="the primary group is among the supplementary ones",
        dockerfile='FROM base\nUSER ann:ann\nRUN id > /tmp/o; grep -E "^(Groups|Gid)" /proc/self/status >> /tmp/o\n',
        fails="group 'ann' is not in the image's /etc/group",
        line=3,
    ),
    Case(
        name="odd-user-groups-of-group-alone",
        why="the primary group is among the supplementary ones",
        dockerfile='FROM base\nUSER :50\nRUN id > /tmp/o; grep -E "^(Groups|Gid)" /proc/self/status >> /tmp/o\n',
    ),
    Case(
        name="odd-user-groups-of-group-by-name",
        why="the primary group is among the supplementary ones",
        dockerfile='FROM base\nUSER 1001:audio\nRUN id > /tmp/o; grep -E "^(Groups|Gid)" /proc/self/status >> /tmp/o\n',
    ),
    Case(
        name="odd-user-groups-of-nobody-said",
        why="without USER",
        dockerfile='FROM base\nRUN id > /o; grep -E "^(Groups|Gid)" /proc/self/status >> /o\n',
    ),
    Case(name="odd-user-groups-of-the-base", why="of the image's USER", dockerfile="FROM configured\nRUN id > o\n", base="configured"),
    Case(
        name="odd-user-groups-on-scratch",
        why="without a passwd",
        dockerfile='FROM scratch\nCOPY --from=base /bin/busybox /busybox\nRUN ["/busybox", "sh", "-c", "/busybox id > /o"]\n',
        base="scratch",
    ),
)
