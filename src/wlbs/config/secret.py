# SPDX-License-Identifier: Apache-2.0
"""The cluster's secret: read from its own file, which others must not be able to read.

Knows the file's form and its permissions. Knows nothing of what keys are made of the secret.
"""

import os
import stat
from pathlib import Path
from typing import Final

DIGIT_COUNT_MIN: Final = 32
"""128 bits, the strength of the hash's key."""

SIZE_MAX: Final = 4096
"""Bytes; whatever is larger is not a key file, and reading it would only cost."""

_FOR_OTHERS: Final = stat.S_IROTH | stat.S_IWOTH


class SecretError(Exception):
    """A key file that cannot be used: ``wrong`` says why, ``remedy`` what to type."""

    def __init__(self, wrong: str, remedy: str) -> None:
        """Keep both halves apart: they become a problem's."""
        super().__init__(f"{wrong}; {remedy}")
        self.wrong = wrong
        self.remedy = remedy


def read_secret(path: Path) -> bytes:
    """Return the secret; SecretError if the file is missing, open to others, or no key."""
    make = f"(umask 077; openssl rand -hex 32 > {path}), and copy it to every host"
    try:
        # Without waiting: a named pipe would hold the check until somebody writes to it.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                wrong = f"the key file {path} is not a regular file"
                raise SecretError(wrong, f"name another file, or {make}")
            if status.st_mode & _FOR_OTHERS:
                wrong = f"everybody on this host can read or write the key file {path}"
                raise SecretError(wrong, f"chmod 600 {path}")
            content = file.read(SIZE_MAX + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        wrong = f"cannot read the key file {path}: {reason}"
        raise SecretError(wrong, make) from error
    return _decode(path, content, make)


def _decode(path: Path, content: bytes, make: str) -> bytes:
    if len(content) > SIZE_MAX:
        wrong = f"the key file {path} has more than {SIZE_MAX} bytes"
        raise SecretError(wrong, make)
    digits = "".join(content.decode("ascii", errors="replace").split())
    try:
        secret = bytes.fromhex(digits)
    except ValueError:
        wrong = f"the key file {path} does not hold hexadecimal digits, two to a byte"
        raise SecretError(wrong, make) from None
    if len(digits) < DIGIT_COUNT_MIN:
        wrong = f"the key file {path} holds {len(digits)} hexadecimal digits"
        raise SecretError(wrong, f"at least {DIGIT_COUNT_MIN} digits are needed: {make}")
    return secret
