"""The network: fetch a URL's bytes (`seam`), over HTTP (`http`, imported when something is fetched), into verified files (`files`)."""

from graphbuild.network.files import download
from graphbuild.network.seam import DeferredNetwork, FetchResult, Network, OfflineNetwork

__all__ = ["DeferredNetwork", "FetchResult", "Network", "OfflineNetwork", "download"]
