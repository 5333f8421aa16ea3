"""The network: fetch a URL's bytes (`seam`), over HTTP (`http`, imported when something is fetched), into verified files (`files`)."""

from graphbuild.network.files import Came, download, refresh
from graphbuild.network.seam import DeferredNetwork, FetchResult, Network, OfflineNetwork, Validator

__all__ = ["Came", "DeferredNetwork", "FetchResult", "Network", "OfflineNetwork", "Validator", "download", "refresh"]
