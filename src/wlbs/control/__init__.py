# SPDX-License-Identifier: Apache-2.0
"""Both ends of the agent's control socket: requests, answers, server and client."""
