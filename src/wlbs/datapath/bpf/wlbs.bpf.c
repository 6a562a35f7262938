// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The programs: the ingress filter and its companion, the egress guard, the lease, the census, the
 * tap.
 *
 * Knows the hooks and the kernel's return values. Every decision is in the headers.
 */
#include "census.h"
#include "egress.h"
#include "ingress.h"
#include "tap.h"

SEC("xdp.frags")
int wlbs_filter(struct xdp_md *ctx)
{
	const struct filter_table *table = current_table();
	struct bytes frame;
	enum reason reason;
	int action;

	if (!table) {
		count(REASON_NO_TABLE);
		return XDP_PASS;
	}
	if (unlikely(is_tap_held()))
		tap_frame(ctx);
	frame.data = (u8 *)(long)ctx->data;
	frame.end = (u8 *)(long)ctx->data_end;
	reason = decide(ctx, table, frame);
	count(reason);
	action = carry_out(table, frame, reason);
	if (unlikely(is_tap_held()))
		tap_verdict(reason, action);
	return action;
}

/*
 * Native XDP rewrites the destination after the kernel has decided whom the frame is for, and
 * the stack would drop it as somebody else's (veth; multicast VMACs on any driver).
 */
SEC("tc")
int wlbs_companion(struct __sk_buff *skb)
{
	const struct filter_table *table = current_table();
	struct ethernet ethernet;

	if (table && skb->pkt_type != PACKET_HOST && parse_ethernet(skb_bytes(skb), &ethernet) &&
	    ethernet.destination == table->station_mac)
		bpf_skb_change_type(skb, PACKET_HOST);
	return TC_ACT_UNSPEC;
}

SEC("tc")
int wlbs_guard(struct __sk_buff *skb)
{
	const struct filter_table *table = current_table();
	struct ethernet ethernet = {};
	enum reason reason;

	if (!table) {
		count(REASON_NO_TABLE);
		return TC_ACT_UNSPEC;
	}
	reason = guard(table, skb, &ethernet);
	count(reason);
	return let_out(table, skb, &ethernet, reason);
}

/* An instant, not a duration: the agent may be stopped between computing it and asking for it. */
SEC("syscall")
int wlbs_lease(struct lease_request *request)
{
	lease.until_jiffies = jiffy_before(request);
	return 0;
}

SEC("syscall")
int wlbs_reset_marks(void *ctx)
{
	(void)ctx;
	lease.last_new_flow = 0;
	lease.first_taken_flow = 0;
	return 0;
}

SEC("syscall")
int wlbs_lease_live(void *ctx)
{
	(void)ctx;
	return is_lease_live();
}

SEC("syscall")
int wlbs_tap(struct lease_request *request)
{
	tap.until_jiffies = jiffy_before(request);
	return 0;
}

SEC("iter/tcp")
int wlbs_census(struct bpf_iter__tcp *iterator)
{
	return take_census(iterator);
}

char programs_license[] SEC("license") = "Dual BSD/GPL";
