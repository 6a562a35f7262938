/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the host's sockets say of a TCP segment: the claim.
 *
 * Knows sockets, not buckets. A function of its own in the object, so that it costs nothing where
 * it is not asked, and so that a test can put another in its place.
 */
#ifndef WLBS_CLAIM_H
#define WLBS_CLAIM_H

#include "filter.h"
#include "parse.h"

/* Whether a listener sent a SYN cookie that this segment acknowledges. */
static __always_inline int acknowledges_cookie(struct xdp_md *ctx, struct bpf_sock *sk,
					       u32 ip_header_size)
{
	struct bytes frame = { (u8 *)(long)ctx->data, (u8 *)(long)ctx->data_end };
	u8 *ip = frame.data + ETHERNET_SIZE;
	u8 *tcp = ip + (ip_header_size & 0x3c);

	if (ip + IPV4_SIZE_MIN > frame.end || tcp + TCP_SIZE_MIN > frame.end)
		return 0;
	return bpf_tcp_check_syncookie(sk, ip, IPV4_SIZE_MIN, tcp, TCP_SIZE_MIN) == 0;
}

/*
 * Any socket but a listener counts as claiming the segment. That is not yet ownership: a lost
 * SYN-ACK during a move, or a port pair used again, wants the sequence numbers checked as well,
 * and here is the place for it.
 */
__noinline int flow_claim(struct xdp_md *ctx, struct claim_query *query)
{
	struct bpf_sock_tuple tuple;
	struct bpf_sock *sk;
	int claim = CLAIM_SOCKET;

	if (!query)
		return CLAIM_NONE;
	tuple.saddr = query->client;
	tuple.daddr = query->vip;
	tuple.sport = query->client_port;
	tuple.dport = query->server_port;
	sk = bpf_skc_lookup_tcp(ctx, &tuple, sizeof(tuple), BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return CLAIM_NONE;
	if (sk->state == TCP_LISTEN)
		claim = acknowledges_cookie(ctx, sk, query->ip_header_size) ? CLAIM_COOKIE :
									      CLAIM_LISTENER;
	bpf_sk_release(sk);
	return claim;
}

#endif
