# SPDX-License-Identifier: Apache-2.0
"""Both ends of the contract with the kernel: the eBPF programs, their maps and their loader."""
