"""Keys for listeners with CURVE."""

from __future__ import annotations

import os
import pathlib
import re
from typing import Any, Optional, Union

import zmq
import zmq.auth

from .options import wrong

Key = Union[str, bytes]
_Z85 = re.compile(rb"[0-9A-Za-z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")


class Curve:
    """The broker's public key and the pair of this program, each 40 characters of Z85.

        curve = Curve.from_file('billing.key', server_key='broker.key.pub')
        client = Client('tcp://broker:5557', curve=curve)

    Without ``public_key`` it is computed from the secret one. Raises OptionError.
    """

    def __init__(self, server_key: Key, secret_key: Key, public_key: Optional[Key] = None) -> None:
        self.server_key = _key("server_key", server_key)
        self.secret_key = _key("secret_key", secret_key)
        public = zmq.curve_public(self.secret_key) if public_key is None else public_key
        self.public_key = _key("public_key", public)

    @classmethod
    def from_file(cls, file: "Union[str, os.PathLike[str]]",
                  server_key: "Union[str, bytes, os.PathLike[str]]") -> "Curve":
        """The keys of a file of ``majordomo keygen``, or of a ZeroMQ certificate (``.key_secret``).

        ``server_key`` is the broker's public key, or a file with it in either form.
        """
        secret, public = _read(file, secret=True)
        if isinstance(server_key, os.PathLike) or not _is_key(server_key):
            path = os.fsdecode(server_key)
            server_key = _read(path, secret=False)[0]
        return cls(server_key, secret, public)

    def apply(self, socket: Any) -> None:
        socket.curve_serverkey = self.server_key
        socket.curve_publickey = self.public_key
        socket.curve_secretkey = self.secret_key

    def __repr__(self) -> str:  # without the secret one
        return f"Curve(public_key={self.public_key!r})"


def _read(file: "Union[str, os.PathLike[str]]", secret: bool) -> "tuple[bytes, Optional[bytes]]":
    """The key of a file, and the public key beside it if there is one."""
    try:
        text = pathlib.Path(file).read_bytes().strip()
    except OSError as error:
        raise wrong("curve", f"cannot be read: {error}") from error
    if _is_key(text):
        return text, None
    try:
        public, private = zmq.auth.load_certificate(file)
    except (OSError, ValueError) as error:
        raise wrong("curve", f"{os.fspath(file)} is no key file: {error}") from error
    if not secret:
        return public, None
    if private is None:
        raise wrong("curve", f"{os.fspath(file)} has no secret key")
    return private, public


def _key(option: str, given: Key) -> bytes:
    key = given.encode() if isinstance(given, str) else given
    if not _is_key(key):
        raise wrong(option, "must be 40 characters of Z85")
    return key


def _is_key(given: Key) -> bool:
    return _Z85.fullmatch(given.encode() if isinstance(given, str) else given) is not None
