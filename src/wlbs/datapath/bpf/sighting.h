/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is remembered of frames that carry the VMAC as their source.
 *
 * Knows kinds of frames and the process that runs. Adds up, by sender, kind and destination: never
 * one entry for each frame. Knows nothing of where the frame is seen, nor of what follows from it;
 * wlbs.core.sighting says it in words.
 */
#ifndef WLBS_SIGHTING_H
#define WLBS_SIGHTING_H

#include "maps.h"
#include "parse.h"

/* Of more than these the least recent are forgotten: a forger chooses kinds and destinations. */
#define SIGHTING_COUNT_MAX 256
#define COMM_SIZE 16

/* What is below is a length, and an LLC header follows it (IEEE 802.3, 3.2.6). */
#define ETHERTYPE_MIN 0x600
#define LLC_SIZE 8
#define SAP_SIZE 2
#define SAP_MASK 0xffffULL
#define SAP_SNAP 0xaaaaULL
#define SNAP_MASK 0xffffffffff00ffffULL /* all but the control field */
#define KNOWN_SHIFT 16 /* in whose place we keep how many octets of a header were there */

struct sighting_key {
	u64 sender; /* of a frame that left: the socket's cookie, or the process past the guard */
	u64 destination;
	u64 llc; /* DSAP, SSAP, how many octets are known, and SNAP's five; 0 with an ethertype */
	u64 ethertype; /* 0 with an LLC header */
};

/* Instants of CLOCK_MONOTONIC, in nanoseconds. */
struct sighting {
	u64 count;
	u64 first;
	u64 last;
	u64 socket; /* its cookie; 0 if there is no socket, or it has none yet */
	u32 process; /* 0 if it is not known */
	u32 reserved;
	u8 comm[COMM_SIZE];
};

struct task_struct {
	int tgid;
	struct task_struct *group_leader;
	u8 comm[COMM_SIZE];
} __from_kernel;

#define sightings_map(name)                                        \
	struct {                                                   \
		__uint(type, BPF_MAP_TYPE_LRU_HASH);               \
		__uint(max_entries, SIGHTING_COUNT_MAX);           \
		__type(key, struct sighting_key);                  \
		__type(value, struct sighting);                    \
	} name SEC(".maps")

/* All sightings there ever were: who reads it again knows whether to read anything else. */
u64 sighted SEC(".bss.sighted");

/* `known` octets of an LLC header, in the order in which they came. */
static __always_inline void set_kind(struct sighting_key *key, u16 ethertype, u64 llc, u64 known)
{
	if (ethertype >= ETHERTYPE_MIN) {
		key->ethertype = ethertype;
		return;
	}
	if ((llc & SAP_MASK) != SAP_SNAP && known)
		known = SAP_SIZE;
	key->llc = (llc & (known > SAP_SIZE ? SNAP_MASK : SAP_MASK)) | known << KNOWN_SHIFT;
}

/* After what is sighted has been written, so that whoever has read this number has read it all. */
static __always_inline void count_sighted(void)
{
	__sync_fetch_and_add(&sighted, 1);
}

/* One more of what is known already; 0 if it is not. */
static __always_inline int sight_again(void *map, const struct sighting_key *key)
{
	struct sighting *known = bpf_map_lookup_elem(map, key);

	if (!known)
		return 0;
	known->last = bpf_ktime_get_ns();
	__sync_fetch_and_add(&known->count, 1);
	count_sighted();
	return 1;
}

static __always_inline void sight_first(void *map, const struct sighting_key *key,
					struct sighting *seen)
{
	seen->count = 1;
	seen->first = seen->last = bpf_ktime_get_ns();
	/* Of two processors only one is first; the other's frame is not worth a second attempt. */
	bpf_map_update_elem(map, key, seen, BPF_NOEXIST);
	count_sighted();
}

static __always_inline void read_task(struct sighting *seen)
{
	const struct task_struct *task = bpf_get_current_task(), *leader = 0;

	bpf_probe_read_kernel(&seen->process, sizeof(seen->process), &task->tgid);
	bpf_probe_read_kernel(&leader, sizeof(leader), &task->group_leader);
	bpf_probe_read_kernel(seen->comm, sizeof(seen->comm), &leader->comm);
}

#endif
