"""Engines: what people run images with, loaded without an archive on disk, and without the layers that it has (`seam`)."""

from graphbuild.image.engine.seam import Engine, Loaded, Sought, engine_of

__all__ = ["Engine", "Loaded", "Sought", "engine_of"]
