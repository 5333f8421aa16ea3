"""Registries: manifests and blobs by digest (`seam`), over HTTP (`client`, imported when a registry is asked for something)."""

from graphbuild.network.registry.seam import Document, Registries, Repository, offline_registries

__all__ = ["Document", "Registries", "Repository", "offline_registries"]
