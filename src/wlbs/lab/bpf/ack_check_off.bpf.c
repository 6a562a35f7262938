// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The products' programs with one part swapped, for a sabotage: any socket that is no listener
 * claims a segment, whatever the segment acknowledges.
 */
#define flow_claim checked_claim
#include "../../datapath/bpf/claim.h"
#undef flow_claim

__noinline int flow_claim(struct xdp_md *ctx, struct claim_query *query)
{
	struct bpf_sock_tuple tuple;
	struct bpf_sock *sk;
	int is_listener;

	if (!query)
		return CLAIM_NONE;
	tuple.saddr = query->client;
	tuple.daddr = query->vip;
	tuple.sport = query->client_port;
	tuple.dport = query->server_port;
	sk = bpf_skc_lookup_tcp(ctx, &tuple, sizeof(tuple), BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return CLAIM_NONE;
	is_listener = sk->state == TCP_LISTEN;
	bpf_sk_release(sk);
	return is_listener ? checked_claim(ctx, query) : CLAIM_SOCKET;
}

#include "../../datapath/bpf/wlbs.bpf.c"
