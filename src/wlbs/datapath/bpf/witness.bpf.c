// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The witness: who sends from the VMAC past the guard.
 *
 * PACKET_QDISC_BYPASS and the copying AF_XDP hand their frames to the driver by one function of the
 * kernel, which nothing else uses: what watches it costs no other frame anything. An object of its
 * own, because a kernel may be without fentry, the function or its types, and serves all the same.
 * Shares the filter's table, so that it knows the VMAC of the moment.
 *
 * Knows the sender's process, which is the one that runs. Does not see what a driver takes from
 * AF_XDP without copying, nor what comes from below the host.
 */
#include "sighting.h"

/* Tests name others: one that no kernel has, and one that is passed by what every process sends. */
#ifndef WITNESSED
#define WITNESSED "fentry/__dev_direct_xmit"
#endif

/* Indices of interfaces repeat in every network namespace. */
struct watched {
	u64 namespace;
	u64 ifindex;
};

struct watched watched SEC(".bss.watched");

sightings_map(bypasses);

struct ns_common {
	u32 inum;
} __from_kernel;

struct net {
	struct ns_common ns;
} __from_kernel;

typedef struct {
	struct net *net;
} __from_kernel possible_net_t;

struct net_device {
	u32 ifindex;
	possible_net_t nd_net;
} __from_kernel;

struct sock {
	struct sock_common __sk_common;
} __from_kernel;

struct sk_buff {
	struct net_device *dev;
	struct sock *sk;
	u32 len;
	u32 data_len;
	u8 *data;
} __from_kernel;

static __always_inline int is_watched(const struct net_device *device)
{
	return device->ifindex == *(volatile u64 *)&watched.ifindex &&
	       device->nd_net.net->ns.inum == *(volatile u64 *)&watched.namespace;
}

static __always_inline u32 linear_size(const struct sk_buff *skb)
{
	return skb->len - skb->data_len;
}

static __always_inline int read_ethernet(const struct sk_buff *skb, struct ethernet *out)
{
	if (linear_size(skb) < ETHERNET_SIZE ||
	    bpf_probe_read_kernel(&out->destination, MAC_SIZE, skb->data) ||
	    bpf_probe_read_kernel(&out->source, MAC_SIZE, skb->data + MAC_SIZE) ||
	    bpf_probe_read_kernel(&out->ethertype, sizeof(u16), skb->data + 2 * MAC_SIZE))
		return 0;
	out->ethertype = swap16(out->ethertype);
	return 1;
}

static __always_inline void testify(const struct sk_buff *skb, const struct ethernet *ethernet)
{
	const struct sock *sk = skb->sk;
	struct sighting_key key = {};
	struct sighting seen = {};
	u64 llc = 0, known = 0;

	if (linear_size(skb) >= ETHERNET_SIZE + LLC_SIZE)
		known = LLC_SIZE;
	else if (linear_size(skb) >= ETHERNET_SIZE + SAP_SIZE)
		known = SAP_SIZE;
	bpf_probe_read_kernel(&llc, known, skb->data + ETHERNET_SIZE);
	key.sender = bpf_get_current_pid_tgid() >> 32;
	key.destination = ethernet->destination;
	set_kind(&key, ethernet->ethertype, llc, known);
	if (sight_again(&bypasses, &key))
		return;
	read_task(&seen);
	/* Not by the helper: it does not take a socket that is found in a frame. */
	if (sk)
		seen.socket = sk->__sk_common.skc_cookie.counter;
	sight_first(&bypasses, &key, &seen);
}

SEC(WITNESSED)
int wlbs_witness(u64 *arguments)
{
	const struct sk_buff *skb = (const struct sk_buff *)arguments[0];
	struct ethernet ethernet = {};
	const struct filter_table *table;

	if (!is_watched(skb->dev))
		return 0;
	table = current_table();
	if (table && table->masked_mac != table->vmac && read_ethernet(skb, &ethernet) &&
	    ethernet.source == table->vmac)
		testify(skb, &ethernet);
	return 0;
}

char witness_license[] SEC("license") = "Dual BSD/GPL";
