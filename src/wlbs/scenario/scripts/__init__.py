# SPDX-License-Identifier: Apache-2.0
"""The scenarios themselves, each a function from a topology; `library` knows them by name."""
