/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the host's sockets say of a TCP segment, the claim: the fast twin of wlbs.core.claim.
 *
 * Knows sockets and sequence numbers, not buckets. A function of its own in the object, so that it
 * costs nothing where it is not asked, and so that a test can put another in its place. It looks
 * once, and what it finds is all that is asked.
 */
#ifndef WLBS_CLAIM_H
#define WLBS_CLAIM_H

#include "filter.h"
#include "parse.h"

#define CLAIM_WINDOW (4 * 1024 * 1024)

/* What fits a socket: acknowledgements, `span` + 1 of them from `first` on; and what it expects. */
struct expectation {
	u32 first;
	u32 span;
	u32 rcv_nxt;
};

#define read_kernel(out, from) bpf_probe_read_kernel(out, sizeof(*(out)), from)

/*
 * Where a socket is, as a number. The kernel's own casts know half-open and TIME_WAIT sockets by the
 * protocol they were made for, and refuse those of Multipath TCP, which Go programs listen with
 * unasked. So these are read by address, and the verifier gives no address but this way.
 */
static __always_inline void *address_of(struct bpf_sock *sk)
{
	struct bpf_sock *held = sk;
	void *address = 0;

	read_kernel(&address, &held);
	return address;
}

static __always_inline int expect_half_open(struct bpf_sock *sk, struct expectation *out)
{
	const struct tcp_request_sock *half_open = address_of(sk);
	u32 isn;

	if (read_kernel(&isn, &half_open->snt_isn) ||
	    read_kernel(&out->rcv_nxt, &half_open->rcv_nxt))
		return 0;
	out->first = isn + 1;
	out->span = 0;
	return 1;
}

static __always_inline int expect_time_wait(struct bpf_sock *sk, struct expectation *out)
{
	const struct sock_common *time_wait = address_of(sk);
	u32 snd_nxt;

	if (read_kernel(&snd_nxt, &time_wait->skc_tw_snd_nxt) ||
	    read_kernel(&out->rcv_nxt, &time_wait->skc_tw_rcv_nxt))
		return 0;
	out->first = snd_nxt - CLAIM_WINDOW;
	out->span = CLAIM_WINDOW;
	return 1;
}

static __always_inline int expect_connection(struct bpf_sock *sk, struct expectation *out)
{
	const struct tcp_sock *connection = bpf_skc_to_tcp_sock(sk);

	if (!connection)
		return 0;
	out->first = connection->snd_una - CLAIM_WINDOW + 1;
	/* What is written, not what is sent: we may see the answer before that is counted. */
	out->span = connection->write_seq - out->first;
	out->rcv_nxt = connection->rcv_nxt;
	return 1;
}

static __always_inline int expect(struct bpf_sock *sk, struct expectation *out)
{
	switch (sk->state) {
	case TCP_NEW_SYN_RECV:
		return expect_half_open(sk, out);
	case TCP_TIME_WAIT:
		return expect_time_wait(sk, out);
	default:
		return expect_connection(sk, out);
	}
}

static __always_inline int fits_socket(struct bpf_sock *sk, const u8 *tcp)
{
	u32 sequence = __builtin_bswap32(load32(tcp + 4));
	u32 acknowledgement = __builtin_bswap32(load32(tcp + 8));
	u8 flags = tcp[13];
	struct expectation expected = {};

	if (!expect(sk, &expected))
		return 0;
	if (flags & TCP_ACK)
		return acknowledgement - expected.first <= expected.span;
	return flags & TCP_RST && sequence - expected.rcv_nxt <= CLAIM_WINDOW;
}

static __always_inline enum claim judge_segment(struct bpf_sock *sk, u8 *ip, u8 *tcp)
{
	if (sk->state != TCP_LISTEN)
		return fits_socket(sk, tcp) ? CLAIM_SOCKET : CLAIM_NONE;
	if (!bpf_tcp_check_syncookie(sk, ip, IPV4_SIZE_MIN, tcp, TCP_SIZE_MIN))
		return CLAIM_COOKIE;
	return CLAIM_LISTENER;
}

__noinline int flow_claim(struct xdp_md *ctx, struct claim_query *query)
{
	struct bytes frame = { (u8 *)(long)ctx->data, (u8 *)(long)ctx->data_end };
	u8 *ip = frame.data + ETHERNET_SIZE;
	struct bpf_sock_tuple tuple;
	struct bpf_sock *sk;
	enum claim claim;
	u8 *tcp;

	if (!query)
		return CLAIM_NONE;
	tcp = ip + (query->ip_header_size & 0x3c);
	if (ip + IPV4_SIZE_MIN > frame.end || tcp + TCP_SIZE_MIN > frame.end)
		return CLAIM_NONE;
	tuple.saddr = query->client;
	tuple.daddr = query->vip;
	tuple.sport = query->client_port;
	tuple.dport = query->server_port;
	sk = bpf_skc_lookup_tcp(ctx, &tuple, sizeof(tuple), BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return CLAIM_NONE;
	claim = judge_segment(sk, ip, tcp);
	bpf_sk_release(sk);
	return claim;
}

#endif
