/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What goes out: the fast twin of wlbs.core.guard.
 *
 * Knows two rules: no frame leaves with the VMAC as its source, and no ARP that names a virtual IP
 * with another hardware address.
 */
#ifndef WLBS_EGRESS_H
#define WLBS_EGRESS_H

#include "lookout.h"
#include "maps.h"
#include "parse.h"

#define SOURCE_MAC_OFFSET 6

static __always_inline struct bytes skb_bytes(struct __sk_buff *skb)
{
	struct bytes frame = { (u8 *)(long)skb->data, (u8 *)(long)skb->data_end };

	return frame;
}

static __always_inline enum reason guard(const struct filter_table *table, struct __sk_buff *skb,
					 u16 *ethertype)
{
	struct bytes frame = skb_bytes(skb);
	struct ethernet ethernet;
	struct arp arp;

	if (!parse_ethernet(frame, &ethernet))
		return REASON_GUARD_PASSED;
	*ethertype = ethernet.ethertype;
	if (ethernet.ethertype == ETHERTYPE_ARP) {
		/* A ring of AF_PACKET leaves all but the Ethernet header in pages of its own. */
		if (frame.data + ETHERNET_SIZE + ARP_SIZE > frame.end) {
			bpf_skb_pull_data(skb, ETHERNET_SIZE + ARP_SIZE);
			frame = skb_bytes(skb);
		}
		if (parse_arp(frame, &arp) && find_vip(table, arp.sender_ip) &&
		    arp.sender_mac != table->vmac)
			return REASON_GUARD_ARP_DROPPED;
	}
	return ethernet.source == table->vmac ? REASON_GUARD_MASKED : REASON_GUARD_PASSED;
}

/* A frame that cannot be masked is dropped: it must not leave as it is. */
static __always_inline int mask(const struct filter_table *table, struct __sk_buff *skb,
				u16 ethertype)
{
	u64 masked = table->masked_mac;

	if (is_news(table))
		sight_departure(skb, ethertype);
	if (bpf_skb_store_bytes(skb, SOURCE_MAC_OFFSET, &masked, MAC_SIZE, 0))
		return TC_ACT_SHOT;
	return TC_ACT_UNSPEC;
}

#endif
