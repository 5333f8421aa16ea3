"""graphbuild: Bazel's graph for container images, without Bazel and without a daemon."""

__version__ = "0.1.0"
