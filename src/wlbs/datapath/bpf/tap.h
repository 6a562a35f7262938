/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The tap: each frame as it arrived, and what the filter made of it, for a monitor bound below.
 *
 * Open only while somebody holds it open, by the jiffy: a monitor that is killed leaves nothing at
 * work. Closed, it costs a frame two loads. Knows nothing of what a frame says.
 *
 * A frame is copied before the filter, which may rewrite it, and handed over after. Both run on one
 * processor with no other frame between them, so that the copy needs no lock.
 */
#ifndef WLBS_TAP_H
#define WLBS_TAP_H

#include "maps.h"

#define TAP_SNAP_SIZE 4096
#define TAP_RING_SIZE (1 << 20)

struct tap {
	u64 until_jiffies; /* 0 while closed */
	u64 lost; /* frames for which the ring had no room */
};

struct tapped {
	u64 at_ns; /* of CLOCK_MONOTONIC; 0 in a copy that has been handed over */
	u32 ifindex;
	u32 length; /* on the wire */
	u32 captured; /* of it, in data */
	u8 reason;
	u8 action; /* enum xdp_action */
	u8 reserved[2];
	u8 data[TAP_SNAP_SIZE];
};
#define TAPPED_HEAD_SIZE __builtin_offsetof(struct tapped, data)

struct tap tap SEC(".bss.tap");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct tapped);
} tap_copies SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, TAP_RING_SIZE);
} tap_ring SEC(".maps");

static __always_inline int is_tap_held(void)
{
	return *(volatile u64 *)&tap.until_jiffies != 0;
}

static __always_inline struct tapped *tap_copy(void)
{
	u32 first = 0;

	return bpf_map_lookup_elem(&tap_copies, &first);
}

/* Out of line, as the next: frames are not tapped as a rule. */
static __noinline int tap_frame(struct xdp_md *ctx)
{
	struct tapped *copy = tap_copy();
	u64 size = bpf_xdp_get_buff_len(ctx);

	if (!copy || bpf_jiffies64() >= *(volatile u64 *)&tap.until_jiffies)
		return 0;
	copy->length = size;
	if (size > TAP_SNAP_SIZE)
		size = TAP_SNAP_SIZE;
	if (size < 1 || bpf_xdp_load_bytes(ctx, 0, copy->data, size))
		return 0;
	copy->captured = size;
	copy->ifindex = ctx->ingress_ifindex;
	copy->at_ns = bpf_ktime_get_ns();
	return 0;
}

static __noinline int tap_verdict(u32 reason, u32 action)
{
	struct tapped *copy = tap_copy();
	u64 size;

	if (!copy || !copy->at_ns)
		return 0;
	copy->reason = reason;
	copy->action = action;
	size = copy->captured;
	if (size > TAP_SNAP_SIZE)
		size = TAP_SNAP_SIZE;
	if (bpf_ringbuf_output(&tap_ring, copy, TAPPED_HEAD_SIZE + size, 0))
		__sync_fetch_and_add(&tap.lost, 1);
	copy->at_ns = 0;
	return 0;
}

#endif
