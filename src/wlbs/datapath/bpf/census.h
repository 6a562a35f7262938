/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The census: which connections to virtual IPs the host has, by the buckets they fall into.
 *
 * Knows the kernel's sockets, and finds rule and bucket as the filter does. It runs once for each TCP
 * socket of the caller's network namespace and once more at the end, when it hands over what it
 * counted. One at a time: whoever begins another meanwhile spoils both.
 */
#ifndef WLBS_CENSUS_H
#define WLBS_CENSUS_H

#include "ingress.h"

#define GROUP_SHIFT 6 /* 64 buckets to a group, so that a rule's groups are the bits of a word */

struct census {
	u64 foreign[RULE_COUNT_MAX + 1];
	u64 connection_count;
	u64 foreign_count;
	u64 rule_count;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct census);
} census SEC(".maps");

/*
 * The flow of a connection as it stands in the client's frames; 0 if the socket is none, or not of
 * IPv4. A socket of IPv6 has an IPv4 flow if its addresses are mapped; its fields for IPv4 cannot be
 * trusted otherwise, the kernel does not always clear them.
 */
static __always_inline int flow_of(const struct sock_common *sk, struct packet *out)
{
	u8 state = sk->skc_state;

	if (state == TCP_LISTEN || state == TCP_TIME_WAIT || state == TCP_CLOSE)
		return 0;
	if (sk->skc_family == AF_INET) {
		out->source = sk->skc_daddr;
		out->destination = sk->skc_rcv_saddr;
	} else {
		if (sk->skc_family != AF_INET6 || sk->skc_v6_daddr.in6_u.u6_addr32[0] ||
		    sk->skc_v6_daddr.in6_u.u6_addr32[1] ||
		    sk->skc_v6_daddr.in6_u.u6_addr32[2] != V4_MAPPED)
			return 0;
		out->source = sk->skc_v6_daddr.in6_u.u6_addr32[3];
		out->destination = sk->skc_v6_rcv_saddr.in6_u.u6_addr32[3];
	}
	out->ports = swap16(sk->skc_dport) | (u32)sk->skc_num << 16;
	out->protocol = PROTOCOL_TCP;
	return 1;
}

static __always_inline void count_connection(struct census *out, const struct filter_table *table,
					     const struct sock_common *sk)
{
	struct packet packet = {};
	const struct vip_slot *vip;
	u32 rule, index;

	if (!flow_of(sk, &packet))
		return;
	vip = find_vip(table, packet.destination);
	if (!vip)
		return;
	rule = find_rule(table, vip->index, &packet);
	if (rule > DEFAULT_RULE)
		rule = DEFAULT_RULE;
	index = find_bucket(table, table->rules[rule].affinity, &packet) & (BUCKET_COUNT - 1);
	out->connection_count += 1;
	if (table->buckets[rule][index].owner == table->own)
		return;
	out->foreign_count += 1;
	out->foreign[rule] |= 1ULL << (index >> GROUP_SHIFT);
}

static __always_inline int take_census(const struct bpf_iter__tcp *iterator)
{
	const struct filter_table *table = current_table();
	const struct sock_common *sk = iterator->sk_common;
	const struct bpf_iter_meta *meta = iterator->meta;
	u32 first = 0;
	struct census *counted = bpf_map_lookup_elem(&census, &first);

	if (!counted || !table)
		return 0;
	if (!meta->seq_num)
		__builtin_memset(counted, 0, sizeof(*counted));
	if (sk) {
		count_connection(counted, table, sk);
		return 0;
	}
	counted->rule_count = table->rule_count;
	bpf_seq_write(meta->seq, counted, sizeof(*counted));
	return 0;
}

#endif
