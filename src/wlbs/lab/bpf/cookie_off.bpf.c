// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The product's programs with a fault: no SYN cookie is known again.
 *
 * For wlbs.lab.sabotage, which puts the filter in the place of the right one.
 */
#define flow_claim sound_claim
#include "../../datapath/bpf/claim.h"
#undef flow_claim

__noinline int flow_claim(struct xdp_md *ctx, struct claim_query *query)
{
	int claim = sound_claim(ctx, query);

	return claim == CLAIM_COOKIE ? CLAIM_LISTENER : claim;
}

#include "../../datapath/bpf/wlbs.bpf.c"
