# SPDX-License-Identifier: Apache-2.0
"""The command line: words in, words out, exit codes. Decides nothing about the cluster."""
