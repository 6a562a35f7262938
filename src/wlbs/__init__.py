# SPDX-License-Identifier: Apache-2.0
"""wlbs: one address, every host, no load balancer."""

__version__ = "0.1.0"
