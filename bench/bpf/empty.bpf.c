// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A program that does nothing: the unit in which the others are measured. */
#include "kernel.h"

SEC("xdp.frags")
int empty(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_DROP;
}

char programs_license[] SEC("license") = "Dual BSD/GPL";
