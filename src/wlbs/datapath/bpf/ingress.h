/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What comes in: the fast twin of wlbs.core.filter, in the same order and under the same names.
 *
 * Knows the table, the lease and the claim. A test runs both on the same cases.
 *
 * What a common frame never needs is out of line (__noinline) and reads the frame again, so that it
 * takes no register from the common path. Only the rare is out of line: where returns go through a
 * thunk, a call costs as much as the hash (docs/decisions/0002).
 */
#ifndef WLBS_INGRESS_H
#define WLBS_INGRESS_H

#include "claim.h"
#include "hash.h"
#include "lease.h"
#include "lookout.h"
#include "maps.h"
#include "probe.h"
#include "relay.h"

/* Why a host without a live lease drops what it would take with one. */
static __always_inline enum reason without_lease(const struct filter_table *table)
{
	return table->is_stopped ? REASON_STOPPED : REASON_LEASE_EXPIRED;
}

/* What is this host's own business; all but multicast was sent to it alone. */
static __always_inline enum reason not_cluster(const struct filter_table *table, u64 destination)
{
	if (destination == table->vmac ||
	    (destination == table->masked_mac && destination != table->station_mac))
		return REASON_OWN;
	return REASON_NOT_CLUSTER;
}

static __always_inline enum reason decide_arp(const struct filter_table *table, struct bytes frame,
					      u64 destination)
{
	int to_vmac = destination == table->vmac;
	const struct vip_slot *vip;
	struct arp arp;

	if (!parse_arp(frame, &arp))
		return to_vmac ? REASON_ARP_MALFORMED : not_cluster(table, destination);
	if (find_vip(table, arp.sender_ip))
		return arp.sender_mac == table->vmac ? REASON_ARP_ANNOUNCED : REASON_ARP_CONFLICT;
	vip = find_vip(table, arp.target_ip);
	if (!vip && (!to_vmac || is_dedicated_ip(table, arp.target_ip)))
		return not_cluster(table, destination);
	if (!vip || arp.operation != ARP_REQUEST)
		return REASON_ARP_OTHER;
	if (to_vmac && table->receiver != NOBODY) {
		/* Nobody else has got it. */
		if (table->receiver != table->own)
			return REASON_RELAY_AWAITED;
	} else if (vip->resolver != table->own && !vip->everyone_answers) {
		return REASON_ARP_NOT_OWNER;
	}
	return is_lease_live() ? REASON_ARP_ANSWERED : without_lease(table);
}

static __always_inline u32 find_rule(const struct filter_table *table, u8 vip,
				     const struct packet *packet)
{
	u32 transport = packet->protocol == PROTOCOL_UDP;
	u32 page;

	if (packet->protocol != PROTOCOL_TCP && packet->protocol != PROTOCOL_UDP)
		return DEFAULT_RULE;
	page = table->port_pages[vip & (VIP_COUNT_MAX - 1)][transport][packet->ports >> 24];
	return table->pages[page][packet->ports >> 16 & 0xff];
}

static __always_inline u32 find_bucket(const struct filter_table *table, u8 affinity,
				       const struct packet *packet)
{
	u32 client = packet->source;
	u64 tail = 0, index;

	if (affinity == AFFINITY_NETWORK)
		client &= 0x00ffffff; /* network order: the last octet is the highest */
	if (affinity == AFFINITY_NONE)
		tail = packet->ports | (u64)packet->protocol << 32;
	index = v4_flow_hash(&table->key, 0xffff0000ULL | (u64)client << 32, tail) >> BUCKET_SHIFT;
	/* The hash needs every register: what comes after it is not to be loaded before. */
	asm volatile("" : "+r"(index));
	return index & (BUCKET_COUNT - 1);
}

static __always_inline enum reason judge_claim(struct xdp_md *ctx,
					       const struct filter_table *table,
					       const struct packet *packet, int is_holder,
					       int lease_live)
{
	struct claim_query query = {
		.client = packet->source,
		.vip = packet->destination,
		.client_port = swap16(packet->ports),
		.server_port = swap16(packet->ports >> 16),
		.ip_header_size = packet->header_size,
	};
	int claim;

	if (!lease_live && table->is_stopped)
		return REASON_STOPPED;
	claim = flow_claim(ctx, &query);
	if (claim == CLAIM_SOCKET)
		return REASON_CLAIMED;
	if (!lease_live)
		return REASON_LEASE_EXPIRED;
	return claim == CLAIM_COOKIE && is_holder ? REASON_COOKIE : REASON_UNCLAIMED;
}

static __always_inline int is_bare_syn(const struct packet *packet)
{
	return (packet->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

static __always_inline enum reason judge_owner(const struct filter_table *table,
					       const struct bucket *bucket,
					       const struct packet *packet, int lease_live)
{
	if (bucket->owner != table->own)
		return bucket->owner == NOBODY ? REASON_DISABLED : REASON_NOT_OWNER;
	if (!lease_live)
		return without_lease(table);
	if (is_bare_syn(packet))
		note_new_flow(bucket->marks & MARK_FLAGGED);
	return REASON_OWNER;
}

static __noinline enum reason decide_contested(struct xdp_md *ctx, const struct filter_table *table,
					       const struct bucket *bucket, int lease_live)
{
	struct bytes frame = { (u8 *)(long)ctx->data, (u8 *)(long)ctx->data_end };
	struct packet packet;

	if (!parse_ipv4(frame, &packet) || !parse_transport(frame, &packet))
		return REASON_IPV4_MALFORMED; /* never: whoever calls has parsed it */
	if (packet.protocol == PROTOCOL_TCP && !is_bare_syn(&packet))
		return judge_claim(ctx, table, &packet,
				   bucket->owner == table->own ||
					   bucket->marks & MARK_EARLIER_HOLDER,
				   lease_live);
	return judge_owner(table, bucket, &packet, lease_live);
}

static __always_inline const struct bucket *bucket_of(const struct filter_table *table, u8 vip,
						      const struct packet *packet)
{
	u32 rule = find_rule(table, vip, packet);

	if (rule > DEFAULT_RULE)
		rule = DEFAULT_RULE;
	return &table->buckets[rule][find_bucket(table, table->rules[rule].affinity, packet)];
}

static __always_inline enum reason decide_flow(struct xdp_md *ctx,
					       const struct filter_table *table,
					       const struct bucket *bucket,
					       const struct packet *packet, int lease_live)
{
	if (unlikely(!lease_live || bucket->marks & MARK_FLAGGED))
		return decide_contested(ctx, table, bucket, lease_live);
	return judge_owner(table, bucket, packet, lease_live);
}

static __always_inline enum reason malformed(u8 protocol)
{
	switch (protocol) {
	case PROTOCOL_TCP:
		return REASON_TCP_MALFORMED;
	case PROTOCOL_UDP:
		return REASON_UDP_MALFORMED;
	default:
		return REASON_ICMP_MALFORMED;
	}
}

/* What was sent to no virtual IP: own traffic, multicast, or nobody's. */
static __always_inline enum reason judge_other(const struct filter_table *table, struct bytes frame,
					       const struct packet *packet, u64 destination)
{
	if (destination == table->vmac) {
		/* 224.0.0.0/4, in network order: the first octet is the lowest. */
		if ((packet->destination & 0xf0) == 0xe0)
			return REASON_NOT_CLUSTER;
		if (!is_dedicated_ip(table, packet->destination))
			return REASON_NOT_VIP;
	} else if (destination & GROUP_BIT) {
		return REASON_NOT_CLUSTER;
	}
	return is_liveness_probe(table, frame, packet) ? REASON_PROBE_ANSWERED :
							 not_cluster(table, destination);
}

static __noinline enum reason decide_relaying(struct xdp_md *ctx, const struct filter_table *table,
					      u32 vip, u64 destination)
{
	struct bytes frame = { (u8 *)(long)ctx->data, (u8 *)(long)ctx->data_end };
	int to_vmac = destination == table->vmac, lease_live = is_lease_live();
	const struct bucket *bucket;
	struct packet packet;
	enum reason reason;

	if (to_vmac && table->receiver != table->own)
		return REASON_RELAY_AWAITED;
	if (destination & GROUP_BIT && !to_vmac)
		return REASON_GROUP_DESTINATION;
	if (!parse_ipv4(frame, &packet))
		return REASON_IPV4_MALFORMED; /* never: whoever calls has parsed it */
	if (packet.fragment)
		return lease_live ? REASON_FRAGMENT : without_lease(table);
	if (!parse_transport(frame, &packet))
		return malformed(packet.protocol);
	bucket = bucket_of(table, vip, &packet);
	reason = decide_flow(ctx, table, bucket, &packet, lease_live);
	return lease_live ? relayed(ctx, table, bucket, reason, to_vmac) : reason;
}

static __always_inline enum reason decide_ipv4(struct xdp_md *ctx,
					       const struct filter_table *table,
					       struct bytes frame, u64 destination)
{
	int to_vmac = destination == table->vmac;
	const struct vip_slot *vip;
	struct packet packet;

	if (!parse_ipv4(frame, &packet))
		return to_vmac ? REASON_IPV4_MALFORMED : not_cluster(table, destination);
	vip = find_vip(table, packet.destination);
	if (!vip)
		return judge_other(table, frame, &packet, destination);
	if (unlikely(table->receiver != NOBODY))
		return decide_relaying(ctx, table, vip->index, destination);
	/* A host must not accept unicast that came as link-layer broadcast (RFC 1122, 3.3.6). */
	if (destination & GROUP_BIT && !to_vmac)
		return REASON_GROUP_DESTINATION;
	if (packet.fragment)
		return is_lease_live() ? REASON_FRAGMENT : without_lease(table);
	if (!parse_transport(frame, &packet))
		return malformed(packet.protocol);
	return decide_flow(ctx, table, bucket_of(table, vip->index, &packet), &packet,
			   is_lease_live());
}

/* In line, the compiler has made constants of the places behind a header without options. */
static __noinline enum reason decide_ipv4_with_options(struct xdp_md *ctx,
						       const struct filter_table *table,
						       u64 destination)
{
	struct bytes frame = { (u8 *)(long)ctx->data, (u8 *)(long)ctx->data_end };

	return decide_ipv4(ctx, table, frame, destination);
}

static __always_inline enum reason decide(struct xdp_md *ctx, const struct filter_table *table,
					  struct bytes frame)
{
	struct ethernet ethernet;
	int to_vmac;

	if (!parse_ethernet(frame, &ethernet))
		return REASON_NOT_CLUSTER;
	to_vmac = ethernet.destination == table->vmac;
	if (unlikely(ethernet.ethertype == ETHERTYPE_HEARTBEAT))
		return to_vmac && is_delivery_probe(frame) ? REASON_DELIVERY_PROBE :
							     REASON_HEARTBEAT;
	if (ethernet.source == table->vmac && table->vmac != table->masked_mac)
		return REASON_SOURCE_VMAC;
	if (!to_vmac && ethernet.destination != table->station_mac &&
	    ethernet.destination != table->masked_mac && !(ethernet.destination & GROUP_BIT))
		return REASON_NOT_CLUSTER;
	if (likely(ethernet.ethertype == ETHERTYPE_IPV4))
		return likely(is_plain_ipv4(frame)) ?
			       decide_ipv4(ctx, table, frame, ethernet.destination) :
			       decide_ipv4_with_options(ctx, table, ethernet.destination);
	if (ethernet.ethertype == ETHERTYPE_ARP)
		return decide_arp(table, frame, ethernet.destination);
	if (!to_vmac)
		return not_cluster(table, ethernet.destination);
	if (ethernet.ethertype == ETHERTYPE_VLAN || ethernet.ethertype == ETHERTYPE_SERVICE_VLAN)
		return REASON_VLAN;
	return REASON_ETHERTYPE;
}

static __always_inline int keep(const struct filter_table *table, struct bytes frame)
{
	if (frame.data + ETHERNET_SIZE > frame.end)
		return XDP_DROP;
	store_mac(frame.data, table->station_mac);
	return XDP_PASS;
}

/* The answer to an ARP request: VMAC inside, masked MAC outside (KB Q193602). */
static __always_inline int answer_arp(const struct filter_table *table, struct bytes frame)
{
	u8 *body = frame.data + ETHERNET_SIZE;
	u64 asker, sender_mac;
	u32 sender_ip, own_ip;

	if (body + ARP_SIZE > frame.end)
		return XDP_DROP;
	asker = load64(frame.data + 6) & MAC_MASK;
	sender_mac = load64(body + 8) & MAC_MASK;
	sender_ip = load32(body + 14);
	own_ip = load32(body + 24);
	store_mac(frame.data, asker);
	store_mac(frame.data + 6, table->masked_mac);
	*(u16 *)(body + 6) = swap16(ARP_ANSWER);
	store_mac(body + 8, table->vmac);
	*(u32 *)(body + 14) = own_ip;
	store_mac(body + 18, sender_mac);
	*(u32 *)(body + 24) = sender_ip;
	return XDP_TX;
}

static __always_inline int carry_out(const struct filter_table *table, struct bytes frame,
				     enum reason reason)
{
	switch (reason) {
	case REASON_NOT_CLUSTER:
	case REASON_HEARTBEAT:
	case REASON_NO_TABLE:
		return XDP_PASS;
	case REASON_OWNER:
	case REASON_CLAIMED:
	case REASON_COOKIE:
	case REASON_FRAGMENT:
	case REASON_OWN:
		return keep(table, frame);
	case REASON_ARP_ANSWERED:
		return answer_arp(table, frame);
	case REASON_PROBE_ANSWERED:
		return answer_liveness_probe(table, frame);
	case REASON_RELAYED:
		return XDP_TX;
	case REASON_DELIVERY_PROBE:
		return count_delivery_probe(frame);
	case REASON_SOURCE_VMAC:
		return sight_arrival(frame.data, frame.end);
	default:
		return XDP_DROP;
	}
}

#endif
