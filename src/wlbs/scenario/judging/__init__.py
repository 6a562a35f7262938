# SPDX-License-Identifier: Apache-2.0
"""How each kind of expectation is judged, one module for each kind of evidence."""
