# SPDX-License-Identifier: Apache-2.0
"""The law: what is decided, with no world in it. No I/O, no clock, no randomness, no logging."""
