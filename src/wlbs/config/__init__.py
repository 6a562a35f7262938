# SPDX-License-Identifier: Apache-2.0
"""From a TOML file to the core's plain values, or to every problem in it at once."""
