# SPDX-License-Identifier: Apache-2.0
"""Why a heartbeat was not acted on: one append-only number and one line of words for each.

Knows nothing of how a refusal is arrived at; that is `wire` for a heartbeat by itself and `member`
for one in its context.
"""

from enum import IntEnum, unique
from typing import Final


@unique
class Refusal(IntEnum):
    """Why; the number indexes the member's counts."""

    NOT_OURS = 0
    MALFORMED = 1
    VERSION = 2
    FOREIGN_CLUSTER = 3
    FORGED = 4
    REPLAYED = 5
    UNKNOWN_HOST = 6
    DUPLICATE_PRIORITY = 7
    DIFFERENT_CONFIGURATION = 8
    DEAF = 9


MEANING: Final[dict[Refusal, str]] = {
    Refusal.NOT_OURS: "of ethertype 0x886F, but no heartbeat of wlbs",
    Refusal.MALFORMED: "a heartbeat that cannot be read",
    Refusal.VERSION: "a heartbeat of another protocol version",
    Refusal.FOREIGN_CLUSTER: "a heartbeat of another cluster",
    Refusal.FORGED: "a heartbeat that was not made with this cluster's secret",
    Refusal.REPLAYED: "a heartbeat that has been heard before",
    Refusal.UNKNOWN_HOST: "a heartbeat of a host priority that the configuration does not have",
    Refusal.DUPLICATE_PRIORITY: "a second host with a host priority that is taken",
    Refusal.DIFFERENT_CONFIGURATION: "a host with another configuration of this cluster",
    Refusal.DEAF: "a host that hears nobody while the others hear each other",
}
"""One line per refusal for people: ``wlbs query``, the log and the docs use the same words."""
