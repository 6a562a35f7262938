// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Drops what a cut says, on its way out of a switch port of the lab, and what is above the limit of
 * a storm control, on its way into one.
 *
 * A cut is in force from the moment its entry is in the map: no rule set is compiled or committed,
 * so a scenario knows to the fraction of a millisecond when it began. Knows ports by their
 * interface numbers and four kinds of traffic; wlbs.lab.cuts is its twin. Knows nothing of hosts,
 * nor of what the bridge has learned: a frame to the VMAC counts as flooded whether it will be or
 * not.
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define SEC(name) __attribute__((section(name), used))
#define __uint(name, value) int(*name)[value]
#define __type(name, value) typeof(value) *name

enum { BPF_MAP_TYPE_HASH = 1, BPF_MAP_TYPE_ARRAY = 2 };
enum { TC_ACT_UNSPEC = -1, TC_ACT_SHOT = 2 };

#define TRAFFIC_ALL 1
#define TRAFFIC_HEARTBEATS 2
#define TRAFFIC_CLUSTER 4
#define TRAFFIC_ANSWERS 8

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_ARP 0x0806
#define ETHERTYPE_HEARTBEAT 0x886f
#define PROTOCOL_TCP 6
#define NS_PER_SECOND 1000000000ULL
#define TCP_SYN 0x02
#define TCP_ACK 0x10

/* include/uapi/linux/bpf.h, as far as ifindex. */
struct __sk_buff {
	u32 len;
	u32 unused[8];
	u32 ingress_ifindex;
	u32 ifindex;
};

static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*bpf_map_update_elem)(void *map, const void *key, const void *value,
				   u64 flags) = (void *)2;
static u64 (*bpf_ktime_get_ns)(void) = (void *)5;
static long (*bpf_skb_load_bytes)(const void *skb, u32 offset, void *to, u32 size) = (void *)26;

/* 0 stands for every port. */
struct path {
	u32 from;
	u32 to;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct path);
	__type(value, u32);
} cuts SEC(".maps");

/* The VMAC: its six octets and two of zero, as one little-endian word. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} vmac SEC(".maps");

/* How many frames a second may be flooded of each port; 0: any number. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} limit SEC(".maps");

/* The second of the clock in which a port was last counted, and the frames in it. */
struct flood {
	u64 second;
	u64 count;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, u32);
	__type(value, struct flood);
} floods SEC(".maps");

static u32 number(const u8 *octets)
{
	return (u32)octets[0] << 8 | octets[1];
}

static int is_answer(struct __sk_buff *skb)
{
	u8 ip[10], flags;

	if (bpf_skb_load_bytes(skb, 14, ip, sizeof(ip)) || ip[9] != PROTOCOL_TCP)
		return 0;
	if (bpf_skb_load_bytes(skb, 14 + (ip[0] & 0xf) * 4 + 13, &flags, sizeof(flags)))
		return 0;
	return (flags & (TCP_SYN | TCP_ACK)) != TCP_SYN;
}

static int is_to_vmac(const u8 *head)
{
	u32 first = 0;
	const u64 *cluster = bpf_map_lookup_elem(&vmac, &first);
	u64 destination = head[0] | (u64)head[1] << 8 | (u64)head[2] << 16 | (u64)head[3] << 24 |
			  (u64)head[4] << 32 | (u64)head[5] << 40;

	return cluster && destination == *cluster;
}

static u32 traffic_of(struct __sk_buff *skb)
{
	u32 traffic = TRAFFIC_ALL, ethertype;
	u8 head[14];

	if (bpf_skb_load_bytes(skb, 0, head, sizeof(head)))
		return traffic;
	ethertype = number(head + 12);
	if (ethertype == ETHERTYPE_HEARTBEAT)
		traffic |= TRAFFIC_HEARTBEATS;
	else if (ethertype == ETHERTYPE_ARP || is_to_vmac(head))
		traffic |= TRAFFIC_CLUSTER;
	if (traffic & TRAFFIC_CLUSTER && ethertype == ETHERTYPE_IPV4 && is_answer(skb))
		traffic |= TRAFFIC_ANSWERS;
	return traffic;
}

static u32 cut_between(u32 from, u32 to)
{
	struct path path = { from, to };
	const u32 *traffic = bpf_map_lookup_elem(&cuts, &path);

	return traffic ? *traffic : 0;
}

SEC("tc") int cut(struct __sk_buff *skb)
{
	u32 from = skb->ingress_ifindex, to = skb->ifindex;
	u32 dropped = cut_between(from, to) | cut_between(from, 0) | cut_between(0, to);

	if (dropped && dropped & traffic_of(skb))
		return TC_ACT_SHOT;
	return TC_ACT_UNSPEC;
}

SEC("tc") int storm(struct __sk_buff *skb)
{
	struct flood begun = { bpf_ktime_get_ns() / NS_PER_SECOND, 1 };
	u32 first = 0, port = skb->ifindex;
	const u32 *most = bpf_map_lookup_elem(&limit, &first);
	struct flood *flood;
	u8 head[14];

	if (!most || !*most || bpf_skb_load_bytes(skb, 0, head, sizeof(head)))
		return TC_ACT_UNSPEC;
	if (!(head[0] & 1) && !is_to_vmac(head))
		return TC_ACT_UNSPEC;
	flood = bpf_map_lookup_elem(&floods, &port);
	if (!flood || flood->second != begun.second) {
		bpf_map_update_elem(&floods, &port, &begun, 0);
		return TC_ACT_UNSPEC;
	}
	/* What is above the limit is what a storm control is there to drop. */
	if (flood->count >= *most)
		return TC_ACT_SHOT;
	__sync_fetch_and_add(&flood->count, 1);
	return TC_ACT_UNSPEC;
}

SEC("license") char program_license[] = "Dual BSD/GPL";
