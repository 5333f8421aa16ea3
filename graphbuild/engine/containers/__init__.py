"""Containers: a stack of layers with a writable one on top, run by a monitor each, without a daemon."""
