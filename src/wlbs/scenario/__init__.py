# SPDX-License-Identifier: Apache-2.0
"""Scripts for two worlds: topologies, scenarios and how they are judged, as plain data."""
