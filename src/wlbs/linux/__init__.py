# SPDX-License-Identifier: Apache-2.0
"""The only door to the operating system: every call that only Linux has."""
