// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The products' programs with one part swapped, for a sabotage: a listener claims nothing, not even
 * the acknowledgement of its own SYN cookie.
 */
#define flow_claim checked_claim
#include "../../datapath/bpf/claim.h"
#undef flow_claim

__noinline int flow_claim(struct xdp_md *ctx, struct claim_query *query)
{
	int claim = checked_claim(ctx, query);

	return claim == CLAIM_COOKIE ? CLAIM_LISTENER : claim;
}

#include "../../datapath/bpf/wlbs.bpf.c"
