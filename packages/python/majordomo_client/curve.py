"""Keys for listeners with CURVE."""

from __future__ import annotations

import functools
import os
import pathlib
import re
from typing import Any, Optional, Union

import zmq

from .errors import OptionError
from .options import shown, wrong

Key = Union[str, bytes]
_Z85 = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
# Of a certificate: the section with the keys, up to the next line that is not indented, and a key there.
_SECTION = re.compile(rb"^curve[ \t\r]*(?:[=#][^\n]*)?((?:\n(?:[ \t\r#][^\n]*)?)+)", re.MULTILINE)
_KEY_LINE = rb"^[ \t]*%s-key[ \t]*=[ \t]*([\"']?)(\S{40})\1[ \t\r]*(?:#.*)?$"


class Curve:
    """The broker's public key and the pair of this program, each 40 characters of Z85.

        curve = Curve.from_file('billing.key', server_key='broker.key.pub')
        client = Client('tcp://broker:5557', curve=curve)

    Without ``public_key`` it is computed from the secret one. Raises OptionError.
    """

    def __init__(self, server_key: Key, secret_key: Key, public_key: Optional[Key] = None) -> None:
        self.server_key: bytes = checked_key("server_key", server_key)
        self.secret_key: bytes = checked_key("secret_key", secret_key)
        self.public_key: bytes = zmq.curve_public(self.secret_key) if public_key is None else checked_key("public_key", public_key)

    @classmethod
    def from_file(cls, file: "Union[str, os.PathLike[str]]",
                  server_key: "Union[str, bytes, os.PathLike[str]]") -> "Curve":
        """The keys of a file of ``majordomo keygen``, or of a ZeroMQ certificate (``.key_secret``).

        ``server_key`` is the broker's public key, or a file with it in either form.
        """
        secret, public = _read(file, secret=True)
        try:
            key = checked_key("server_key", server_key)
        except OptionError:
            key = _read(server_key, secret=False)[0]
            _check_public(os.fsdecode(server_key), key)
        return cls(key, secret, public)

    def apply(self, socket: Any) -> None:
        socket.curve_serverkey = self.server_key
        socket.curve_publickey = self.public_key
        socket.curve_secretkey = self.secret_key

    def __repr__(self) -> str:  # without the secret one
        return f"Curve(public_key={self.public_key!r})"


def _read(file: "Union[str, bytes, os.PathLike[str]]", secret: bool) -> "tuple[bytes, Optional[bytes]]":
    """The key of a file, and the public key beside it if there is one."""
    try:
        text = pathlib.Path(os.fsdecode(file)).read_bytes()
    except (OSError, TypeError, ValueError) as error:
        raise wrong("curve", f"cannot be read: {error}") from error
    if _is_key(text.strip()):
        return text.strip(), None
    section = _SECTION.search(text)
    found = {}
    for kind in (b"public", b"secret"):
        line = re.search(_KEY_LINE % kind, section[1] if section else text, re.MULTILINE)
        if line is not None and _is_key(line[2]):
            found[kind] = line[2]
    kind = b"secret" if secret else b"public"
    if kind not in found:
        raise wrong("curve", f"{os.fsdecode(file)} has no {kind.decode()} key")
    return found[kind], found.get(b"public")


def _check_public(file: str, key: bytes) -> None:
    """Raises OptionError for a file with a secret key."""
    public_file = file[: -len("_secret")] if file.endswith("_secret") else f"{file}.pub"
    try:
        secret = _read(file, secret=True)[0]
        # A key alone may be of either kind; keygen writes the public one beside the secret one.
        if secret == key and _read(public_file, secret=False)[0] != zmq.curve_public(secret):
            return
    except OptionError:  # there is no secret key, or nothing beside it
        return
    raise wrong("curve", f"{file} has a secret key: give the broker's public one, {public_file}")


def checked_curve(option: str, given: object) -> Optional[Curve]:
    if given is not None and not isinstance(given, Curve):
        raise wrong(option, f"must be a Curve, not {shown(given)}")
    return given


def checked_key(option: str, given: object) -> bytes:
    key = given.encode("utf-8", "backslashreplace") if isinstance(given, str) else given
    if not isinstance(key, bytes) or not _is_key(key):
        raise wrong(option, "must be 40 characters of Z85")
    return key


def _is_key(given: bytes) -> bool:
    digits = [_Z85.find(each) for each in given]
    if len(digits) != 40 or min(digits) < 0:
        return False
    words = (functools.reduce(lambda word, digit: 85 * word + digit, digits[at : at + 5]) for at in range(0, 40, 5))
    return all(word < 2**32 for word in words)
