// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Passes every frame. A switch port of the lab runs it because veth delivers what its peer sends
 * back by XDP_TX only to a device that runs native XDP itself. Knows nothing of clusters.
 */
struct xdp_md;

__attribute__((section("xdp"), used)) int pass(struct xdp_md *frame)
{
	(void)frame;
	return 2; /* XDP_PASS */
}

__attribute__((section("license"), used)) char program_license[] = "Dual BSD/GPL";
