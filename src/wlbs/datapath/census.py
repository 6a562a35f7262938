# SPDX-License-Identifier: Apache-2.0
"""Has the kernel count the host's connections by bucket.

Knows the program that does it and what that writes. Knows nothing of sockets, nor when it is worth
counting.
"""

from wlbs.core.census import Census
from wlbs.datapath.layout import CENSUS
from wlbs.linux import libbpf


def read_census(program_fd: int) -> Census | None:
    """Return the connections of the caller's network namespace; None if there is no table yet."""
    data = libbpf.read_iterator(program_fd)
    if not data:
        return None
    *foreign, default, connection_count, foreign_count, rule_count = CENSUS.unpack(data)
    return Census((*foreign[:rule_count], default), connection_count, foreign_count)
