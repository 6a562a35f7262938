/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The maps, and the few things every program does with them.
 *
 * Knows where the table, the lease and the counters are kept. Knows nothing of frames.
 */
#ifndef WLBS_MAPS_H
#define WLBS_MAPS_H

#include "filter.h"

#define GUARD_ETHERTYPE_COUNT_MAX 64

struct table_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct filter_table);
};

/* One slot, so that a table is swapped as one: a frame sees the old one or the new, never both. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, u32);
	__array(values, struct table_map);
} tables SEC(".maps");

/*
 * A variable to the programs and a map of one entry to everybody else: reading it costs one load,
 * where a look-up costs a dozen instructions.
 */
struct lease lease SEC(".bss.lease");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, REASON_COUNT);
	__type(key, u32);
	__type(value, u64);
} counters SEC(".maps");

/* Which ethertypes had to be masked; host order. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, GUARD_ETHERTYPE_COUNT_MAX);
	__type(key, u16);
	__type(value, u64);
} guard_ethertypes SEC(".maps");

static __always_inline const struct filter_table *current_table(void)
{
	u32 first = 0;
	void *table = bpf_map_lookup_elem(&tables, &first);

	return table ? bpf_map_lookup_elem(table, &first) : 0;
}

static __always_inline int is_lease_live(void)
{
	return bpf_jiffies64() < *(volatile u64 *)&lease.until_jiffies;
}

static __always_inline void count(enum reason reason)
{
	u32 index = reason;
	u64 *counter = bpf_map_lookup_elem(&counters, &index);

	if (counter)
		*counter += 1;
}

/* The virtual IP of an IPv4 address in network order, or NULL if it is not the cluster's. */
static __always_inline const struct vip_slot *find_vip(const struct filter_table *table, u32 v4)
{
	u32 at = (v4 ^ V4_MAPPED) * table->vip_multiplier >> VIP_SLOT_SHIFT;
	const struct vip_slot *slot = &table->vips[at & (VIP_SLOT_COUNT - 1)];

	if (slot->address[1] != (V4_MAPPED | (u64)v4 << 32) || slot->address[0])
		return 0;
	return slot;
}

#endif
