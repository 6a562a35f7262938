# SPDX-License-Identifier: Apache-2.0
"""The lab: clusters out of network namespaces, veth and a bridge, on this machine's kernel."""
