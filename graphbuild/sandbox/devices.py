"""What is in the /dev of a step and of a container: the machine's devices by name, and links by their target and name."""

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
LINKS = (
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("/proc/kcore", "core"),
    ("pts/ptmx", "ptmx"),
)
