// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The product's programs with a fault: a socket claims whatever has its addresses and ports.
 *
 * For wlbs.lab.sabotage, which puts the filter in the place of the right one. Only the claim differs,
 * and only where the right one finds that the numbers do not fit.
 */
#define flow_claim sound_claim
#include "../../datapath/bpf/claim.h"
#undef flow_claim

__noinline int flow_claim(struct xdp_md *ctx, struct claim_query *query)
{
	int claim = sound_claim(ctx, query);
	struct bpf_sock_tuple tuple;
	struct bpf_sock *sk;

	if (claim != CLAIM_NONE || !query)
		return claim;
	tuple.saddr = query->client;
	tuple.daddr = query->vip;
	tuple.sport = query->client_port;
	tuple.dport = query->server_port;
	sk = bpf_skc_lookup_tcp(ctx, &tuple, sizeof(tuple), BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return CLAIM_NONE;
	bpf_sk_release(sk);
	return CLAIM_SOCKET;
}

#include "../../datapath/bpf/wlbs.bpf.c"
