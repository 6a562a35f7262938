/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The maps, and the few things every program does with them.
 *
 * Knows where the table, the lease and the counters are kept. Knows nothing of frames.
 */
#ifndef WLBS_MAPS_H
#define WLBS_MAPS_H

#include "filter.h"

#define TABLE_COUNT 4

/*
 * One table is in force, the others are written while nobody reads them. So a table is swapped as
 * one, by one store: a frame sees the old one or the new, never both. A frame would have to be held
 * up in the middle of its decision for TABLE_COUNT - 1 swaps to see its table overwritten. An array
 * of maps would say the same with one map each; but the kernel lets whoever changes it wait until
 * every processor has left every program (maybe_wait_bpf_programs), 8 to 20 ms here, in which an
 * agent can neither hear nor speak.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TABLE_COUNT);
	__type(key, u32);
	__type(value, struct filter_table);
} tables SEC(".maps");

/* Which of them is in force, counted from 1; 0 before the first. */
u32 active SEC(".bss.active");

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

static __always_inline const struct filter_table *current_table(void)
{
	u32 index = *(volatile u32 *)&active - 1;

	return bpf_map_lookup_elem(&tables, &index);
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

/* Whether an IPv4 address in network order is the one by which this host alone is reached. */
static __always_inline int is_dedicated_ip(const struct filter_table *table, u32 v4)
{
	return !table->dedicated_ip[0] && table->dedicated_ip[1] == (V4_MAPPED | (u64)v4 << 32);
}

#endif
