"""Service account tokens that expire when a test wants it: the API server makes none under ten minutes.

Knows JSON web tokens and the test cluster's signing key.
"""

import base64
import json
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

LEEWAY = 60.0
"""Seconds after its time in which the API server still takes a token: clocks differ."""


def refused_from(token: str, key: Path, when: float) -> str:
    """The same token, signed again so that the API server refuses it from `when` (Unix time) on."""
    header, claims, _ = token.split(".")
    changed = json.loads(_decode(claims)) | {"exp": int(when - LEEWAY)}
    signed = f"{header}.{_encode(json.dumps(changed).encode())}"
    return f"{signed}.{_encode(_signature(signed.encode(), key))}"


def _signature(signed: bytes, path: Path) -> bytes:
    key = load_pem_private_key(path.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA256())))
    # ES256 wants the two numbers bare, one after the other.
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
