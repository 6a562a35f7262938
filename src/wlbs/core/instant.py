# SPDX-License-Identifier: Apache-2.0
"""Time as the core knows it: an argument, never a clock."""

from typing import NewType

Instant = NewType("Instant", int)
"""Nanoseconds since an origin the caller chose; never compared across hosts."""
