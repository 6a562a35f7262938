/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The lease, and the instants at which it last mattered: the marks.
 *
 * Knows two clocks, the one the agent counts in and the one the filter compares with. Knows no
 * frame: which of them open a flow is for ingress.h.
 */
#ifndef WLBS_LEASE_H
#define WLBS_LEASE_H

#include "maps.h"

/*
 * The jiffy at which an instant of CLOCK_MONOTONIC is surely not yet past; 0 if it may be. Jiffies
 * are read first: whatever holds this program up between the two readings then shortens the lease.
 * Both ends of the lease lie within a tick, so two ticks less.
 */
static __always_inline u64 jiffy_before(const struct lease_request *request)
{
	u64 jiffies = bpf_jiffies64();
	u64 now_ns = bpf_ktime_get_ns();
	u64 ticks;

	if (!request->tick_ns || request->until_ns <= now_ns)
		return 0;
	ticks = (request->until_ns - now_ns) / request->tick_ns;
	return ticks > LEASE_MARGIN_TICKS ? jiffies + ticks - LEASE_MARGIN_TICKS : 0;
}

/*
 * A connection was opened on the lease: when, for whoever asks whether two hosts ever took new flows
 * at once. Written once a jiffy at most, because every frame reads the line it stands in.
 */
static __always_inline void note_new_flow(int is_taken_over)
{
	u64 now = bpf_jiffies64();

	if (lease.last_new_flow != now)
		lease.last_new_flow = now;
	if (is_taken_over && !lease.first_taken_flow)
		__sync_val_compare_and_swap(&lease.first_taken_flow, 0, now);
}

#endif
