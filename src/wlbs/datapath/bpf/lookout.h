/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The lookout of the filter and of the guard: frames from the VMAC that arrive, and that were masked.
 *
 * Knows how each of the two reads its frame, and of a frame that leaves its socket. Both are out of
 * line and cost a frame nothing that is not from the VMAC.
 */
#ifndef WLBS_LOOKOUT_H
#define WLBS_LOOKOUT_H

#include "sighting.h"

sightings_map(departures);
sightings_map(arrivals);

static __noinline int sight_arrival(u8 *data, u8 *end)
{
	struct sighting_key key = {};
	struct sighting seen = {};
	struct ethernet ethernet;
	struct bytes frame = { data, end };
	u64 llc = 0, known = 0;

	if (!parse_ethernet(frame, &ethernet))
		return XDP_DROP;
	if (frame.data + ETHERNET_SIZE + LLC_SIZE <= frame.end) {
		known = LLC_SIZE;
		llc = load64(frame.data + ETHERNET_SIZE);
	} else if (frame.data + ETHERNET_SIZE + SAP_SIZE <= frame.end) {
		known = SAP_SIZE;
		llc = load16(frame.data + ETHERNET_SIZE);
	}
	key.destination = ethernet.destination;
	set_kind(&key, ethernet.ethertype, llc, known);
	if (!sight_again(&arrivals, &key))
		sight_first(&arrivals, &key, &seen);
	return XDP_DROP;
}

/*
 * Who sends is known while it sends, and may be gone when somebody asks. A packet socket sends in
 * its sender's own name; for other sockets the kernel may send at any time, in anybody's.
 */
static __noinline void sight_departure(struct __sk_buff *skb, u16 ethertype)
{
	struct bpf_sock *sk = skb->sk;
	struct sighting_key key = {};
	struct sighting seen = {};
	u64 llc = 0, known = LLC_SIZE;

	seen.socket = bpf_get_socket_cookie(skb);
	key.sender = seen.socket;
	bpf_skb_load_bytes(skb, 0, &key.destination, MAC_SIZE);
	/* A ring of AF_PACKET leaves all but the Ethernet header where only a helper reads it. */
	if (bpf_skb_load_bytes(skb, ETHERNET_SIZE, &llc, LLC_SIZE))
		known = bpf_skb_load_bytes(skb, ETHERNET_SIZE, &llc, SAP_SIZE) ? 0 : SAP_SIZE;
	set_kind(&key, ethertype, llc, known);
	if (sight_again(&departures, &key))
		return;
	if (sk && sk->family == AF_PACKET)
		read_task(&seen);
	sight_first(&departures, &key, &seen);
}

/* Where every interface has the VMAC, all that leaves is masked, and none of it is news. */
static __always_inline int is_news(const struct filter_table *table)
{
	return table->station_mac != table->vmac;
}

#endif
