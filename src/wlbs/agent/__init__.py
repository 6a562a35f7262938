# SPDX-License-Identifier: Apache-2.0
"""The daemon of one host: turns the world into events and effects into calls; decides nothing."""
