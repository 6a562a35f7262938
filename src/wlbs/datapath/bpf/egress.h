/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What goes out: the fast twin of wlbs.core.guard.
 *
 * Knows three rules: no frame leaves with the VMAC as its source, no ARP that names a virtual IP with
 * another hardware address, and no ARP or neighbour discovery that gives the VMAC for an address of
 * this host's own.
 */
#ifndef WLBS_EGRESS_H
#define WLBS_EGRESS_H

#include "lookout.h"
#include "maps.h"
#include "parse.h"

#define SOURCE_MAC_OFFSET 6
#define ARP_SENDER_MAC_OFFSET (ETHERNET_SIZE + 8)

static __always_inline struct bytes skb_bytes(struct __sk_buff *skb)
{
	struct bytes frame = { (u8 *)(long)skb->data, (u8 *)(long)skb->data_end };

	return frame;
}

/* Where the options of neighbour discovery begin, within ICMPv6 (RFC 4861, 4); 0 if it is none. */
static __always_inline u32 options_at(u8 type)
{
	switch (type) {
	case 133:
		return 8;
	case 134:
		return 16;
	case 135:
	case 136:
		return 24;
	default:
		return 0;
	}
}

static __always_inline u32 first_option(struct __sk_buff *skb)
{
	u8 head[IPV6_SIZE + 1];
	u32 within;

	if (bpf_skb_load_bytes(skb, ETHERNET_SIZE, head, sizeof(head)) || head[0] >> 4 != 6 ||
	    head[6] != PROTOCOL_ICMP6)
		return 0;
	within = options_at(head[IPV6_SIZE]);
	return within ? ICMP6_AT + within : 0;
}

/* Put the masked MAC in the VMAC's place, and into the checksum; nonzero if that failed. */
static __always_inline int mask_option(const struct filter_table *table, struct __sk_buff *skb,
				       u32 at)
{
	u64 vmac = table->vmac, masked = table->masked_mac;
	u64 change = bpf_csum_diff(&vmac, sizeof(vmac), &masked, sizeof(masked), 0);

	return bpf_skb_store_bytes(skb, at, &masked, MAC_SIZE, 0) ||
	       bpf_l4_csum_replace(skb, ICMP6_CHECKSUM_AT, 0, change, 0);
}

/*
 * How often neighbour discovery names the VMAC as its sender's; each is replaced if it is to be. -1
 * where that could not be done. An option is read by its offset, wherever in the packet it lies.
 */
static __noinline int visit_options(const struct filter_table *table, struct __sk_buff *skb,
				    int replace)
{
	u32 at = first_option(skb);
	int found = 0;

	if (!at)
		return 0;
	for (int i = 0; i < NEIGHBOUR_OPTION_COUNT_MAX; i++) {
		u64 option;
		u8 type, size;

		if (bpf_skb_load_bytes(skb, at, &option, sizeof(option)))
			break;
		type = option;
		size = option >> 8;
		if (!size)
			break;
		/* The link-layer address of the source, or of the target (RFC 4861, 4.6.1). */
		if ((type == 1 || type == 2) && option >> 16 == table->vmac) {
			found += 1;
			if (replace && mask_option(table, skb, at + 2))
				return -1;
		}
		at += size * NEIGHBOUR_OPTION_UNIT;
	}
	return found;
}

static __always_inline enum reason guard(const struct filter_table *table, struct __sk_buff *skb,
					 struct ethernet *ethernet)
{
	struct bytes frame = skb_bytes(skb);
	struct arp arp;

	if (!parse_ethernet(frame, ethernet))
		return REASON_GUARD_PASSED;
	if (ethernet->ethertype == ETHERTYPE_ARP) {
		/* A ring of AF_PACKET leaves all but the Ethernet header in pages of its own. */
		if (frame.data + ETHERNET_SIZE + ARP_SIZE > frame.end) {
			bpf_skb_pull_data(skb, ETHERNET_SIZE + ARP_SIZE);
			frame = skb_bytes(skb);
		}
		if (parse_arp(frame, &arp)) {
			int names_vmac = arp.sender_mac == table->vmac;
			int names_vip = !!find_vip(table, arp.sender_ip);

			if (names_vip && !names_vmac)
				return REASON_GUARD_ARP_DROPPED;
			if (names_vmac && !names_vip && table->masked_mac != table->vmac)
				return REASON_GUARD_NEIGHBOUR_MASKED;
		}
	}
	/* Behind one hub nothing is masked (KB Q193602). */
	if (table->masked_mac == table->vmac)
		return REASON_GUARD_PASSED;
	if (ethernet->ethertype == ETHERTYPE_IPV6 && visit_options(table, skb, 0))
		return REASON_GUARD_NEIGHBOUR_MASKED;
	return ethernet->source == table->vmac ? REASON_GUARD_MASKED : REASON_GUARD_PASSED;
}

static __always_inline int mask_source(const struct filter_table *table, struct __sk_buff *skb,
				       const struct ethernet *ethernet)
{
	u64 masked = table->masked_mac;

	if (ethernet->source != table->vmac)
		return 0;
	if (is_news(table))
		sight_departure(skb, ethernet->ethertype);
	return bpf_skb_store_bytes(skb, SOURCE_MAC_OFFSET, &masked, MAC_SIZE, 0);
}

static __always_inline int mask_neighbour(const struct filter_table *table, struct __sk_buff *skb,
					  const struct ethernet *ethernet)
{
	u64 masked = table->masked_mac;

	if (ethernet->ethertype == ETHERTYPE_ARP)
		return bpf_skb_store_bytes(skb, ARP_SENDER_MAC_OFFSET, &masked, MAC_SIZE, 0);
	return visit_options(table, skb, 1) < 0;
}

/* A frame that cannot be masked is dropped: it must not leave as it is. */
static __always_inline int let_out(const struct filter_table *table, struct __sk_buff *skb,
				   const struct ethernet *ethernet, enum reason reason)
{
	switch (reason) {
	case REASON_GUARD_ARP_DROPPED:
		return TC_ACT_SHOT;
	case REASON_GUARD_NEIGHBOUR_MASKED:
		if (mask_neighbour(table, skb, ethernet))
			return TC_ACT_SHOT;
		/* fall through: its source may have to be masked as well */
	case REASON_GUARD_MASKED:
		return mask_source(table, skb, ethernet) ? TC_ACT_SHOT : TC_ACT_UNSPEC;
	default:
		return TC_ACT_UNSPEC;
	}
}

#endif
