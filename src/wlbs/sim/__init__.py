# SPDX-License-Identifier: Apache-2.0
"""The simulated world: the same scenarios as a function of one seed, with no clock of its own."""
