# SPDX-License-Identifier: Apache-2.0
"""Shows the frames of an interface, tells the segment that it does, and asks who else does."""
