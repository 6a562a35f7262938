# SPDX-License-Identifier: Apache-2.0
"""How hosts agree on who holds which bucket: events in, effects out, and nothing of the world."""
