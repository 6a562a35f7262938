/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sending on what another host may keep, where one host receives for all: the fast twin of
 * wlbs.core.relay.
 *
 * Knows to whom a frame goes and what is changed in it on the way. Entered only while frames are
 * relayed, so that nobody else pays for it.
 */
#ifndef WLBS_RELAY_H
#define WLBS_RELAY_H

#include "maps.h"
#include "parse.h"

/* The address of a host that takes part in relaying; 0 if it does not. */
static __always_inline u64 station_of(const struct filter_table *table, u8 host)
{
	return host < HOST_COUNT_MAX ? table->station_macs[host] : 0;
}

/* Whether a relayed segment that nobody claims here goes on to the next holder. */
static __always_inline int goes_on(const struct filter_table *table, const struct bucket *bucket,
				   struct bytes frame, u64 source)
{
	u64 receiver = station_of(table, table->receiver);

	if (frame.data[IPV4_TTL_AT] <= 1 || table->receiver == table->own)
		return 0;
	if (bucket->owner == table->own)
		return receiver && receiver == source;
	return bucket->marks >> NEXT_SHIFT > table->own;
}

/* A hop like a router's: one off the time to live, and the header's checksum to match (RFC 1624). */
static __always_inline void take_hop(struct bytes frame)
{
	u16 sum = swap16(load16(frame.data + IPV4_CHECKSUM_AT));
	u32 total = 0xffff - sum + (0xffff - 0x0100);

	total = (total & 0xffff) + (total >> 16);
	frame.data[IPV4_TTL_AT] -= 1;
	*(u16 *)(frame.data + IPV4_CHECKSUM_AT) = swap16(0xffff - total);
}

/* What a verdict is while frames are relayed; what is sent on has been rewritten. */
static __always_inline enum reason relayed(struct xdp_md *ctx, const struct filter_table *table,
					   const struct bucket *bucket, enum reason reason,
					   int to_vmac)
{
	struct bytes frame = { (u8 *)(long)ctx->data, (u8 *)(long)ctx->data_end };
	u8 to = bucket->marks >> NEXT_SHIFT;
	u64 source, station;

	if (reason != REASON_NOT_OWNER && reason != REASON_UNCLAIMED)
		return reason;
	if (frame.data + ETHERNET_SIZE + IPV4_SIZE_MIN > frame.end)
		return reason; /* never: it has been parsed */
	source = load64(frame.data + 6) & MAC_MASK;
	if (to_vmac)
		to = bucket->owner == table->own ? to : bucket->owner;
	else if (reason == REASON_NOT_OWNER || !goes_on(table, bucket, frame, source))
		return reason;
	station = station_of(table, to);
	if (to == table->own || to == table->receiver)
		return reason;
	if (!station || station == table->vmac || station == source)
		return reason;
	if (!to_vmac)
		take_hop(frame);
	store_mac(frame.data, station);
	store_mac(frame.data + 6, table->masked_mac);
	return REASON_RELAYED;
}

#endif
