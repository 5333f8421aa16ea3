"""A certificate for 127.0.0.1, for servers of tests."""

import shutil
import ssl
import subprocess
import unittest
from pathlib import Path

_REQUEST = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test -addext subjectAltName=IP:127.0.0.1"


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate that is its own CA, and its key, in PEM."""
    if not shutil.which("openssl"):
        raise unittest.SkipTest("needs the package openssl")
    files = folder / "cert.pem", folder / "key.pem"
    subprocess.run(["openssl", *_REQUEST.split(), "-out", files[0], "-keyout", files[1]], check=True, capture_output=True)
    return files


def server_context(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """The certificate, and what a server wraps its socket with."""
    files = certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    return files[0], context
