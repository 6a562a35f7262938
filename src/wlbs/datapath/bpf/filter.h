/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The layout that the programs share with user space: reasons, the filter table, the lease.
 *
 * Knows what stands where; wlbs.datapath.layout is its twin, and a test compares the two through
 * the object's BTF. There is no implicit padding: what is not used yet has a name and is zero.
 */
#ifndef WLBS_FILTER_H
#define WLBS_FILTER_H

#include "kernel.h"

/* Append-only; wlbs.core.reason says what each means and does. */
enum reason {
	REASON_NOT_CLUSTER = 0,
	REASON_HEARTBEAT = 1,
	REASON_OWNER = 2,
	REASON_CLAIMED = 3,
	REASON_COOKIE = 4,
	REASON_FRAGMENT = 5,
	REASON_ARP_ANSWERED = 6,
	REASON_NOT_OWNER = 7,
	REASON_UNCLAIMED = 8,
	REASON_LEASE_EXPIRED = 9,
	REASON_DISABLED = 10,
	REASON_ARP_NOT_OWNER = 11,
	REASON_ARP_CONFLICT = 12,
	REASON_ARP_ANNOUNCED = 13,
	REASON_ARP_OTHER = 14,
	REASON_NOT_VIP = 15,
	REASON_ETHERTYPE = 16,
	REASON_VLAN = 17,
	REASON_ARP_MALFORMED = 18,
	REASON_IPV4_MALFORMED = 19,
	REASON_TCP_MALFORMED = 20,
	REASON_UDP_MALFORMED = 21,
	REASON_ICMP_MALFORMED = 22,
	REASON_SOURCE_VMAC = 23,
	REASON_GROUP_DESTINATION = 24,
	REASON_GUARD_PASSED = 25,
	REASON_GUARD_MASKED = 26,
	REASON_GUARD_ARP_DROPPED = 27,
	REASON_NO_TABLE = 28,
	REASON_STOPPED = 29,
	REASON_PROBE_ANSWERED = 30,
	REASON_DELIVERY_PROBE = 31,
	REASON_RELAYED = 32,
	REASON_RELAY_AWAITED = 33,
	REASON_OWN = 34,
	REASON_GUARD_NEIGHBOUR_MASKED = 35,
	REASON_COUNT
};

#define V4_MAPPED 0xffff0000U /* the octets 0, 0, 0xff, 0xff before a mapped IPv4 address */
#define HOST_COUNT_MAX 64
#define RULE_COUNT_MAX 32
#define DEFAULT_RULE RULE_COUNT_MAX
#define VIP_COUNT_MAX 32
#define VIP_SLOT_COUNT 256 /* eight times the VIPs: a multiplier without collisions is soon found */
#define VIP_SLOT_SHIFT 24 /* the slot is the top eight bits of a 32-bit product */
#define BUCKET_COUNT 4096
#define BUCKET_SHIFT 52 /* the bucket is the top twelve bits of a 64-bit hash */
#define PORT_PAGE_COUNT 256 /* what an octet can name; layout.py proves that 161 are enough */
#define PORT_PAGE_SIZE 256
#define NOBODY 0xff
#define NEXT_SHIFT 2 /* above the marks of a bucket, in the same octet: the next holder */

enum affinity { AFFINITY_NONE = 0, AFFINITY_SINGLE = 1, AFFINITY_NETWORK = 2 };
enum mark { MARK_FLAGGED = 1, MARK_EARLIER_HOLDER = 2 };

/* An empty slot has the address ::, which no VIP has. */
struct vip_slot {
	u64 address[2]; /* the octets in network order, IPv4 mapped into IPv6 */
	u8 index;
	u8 resolver;
	u8 everyone_answers;
	u8 reserved[5];
};

struct rule_slot {
	u8 affinity;
	u8 mode;
	u8 reserved[2];
};

/* The key, and the hash's state once it has taken in the first word of a mapped IPv4 address. */
struct hash_key {
	u64 words[2];
	u64 v4_state[4];
};

struct bucket {
	u8 owner;
	u8 marks;
};

/* A MAC is its six octets and two of zero, read as one little-endian word. */
struct filter_table {
	u64 vmac;
	u64 station_mac;
	u64 masked_mac;
	struct hash_key key;
	u32 vip_multiplier;
	u16 vlan; /* reserved */
	u8 own;
	u8 is_stopped;
	u64 dedicated_ip[2]; /* as a VIP's; :: if the host answers no probe */
	u64 boot_nonce;
	u8 receiver; /* NOBODY while the segment floods; beside what every frame reads anyway */
	u8 reserved[7];
	u64 station_macs[HOST_COUNT_MAX]; /* 0 for who takes no part in relaying */
	struct vip_slot vips[VIP_SLOT_COUNT];
	struct rule_slot rules[RULE_COUNT_MAX + 1];
	u8 rule_count; /* without the default rule */
	u8 reserved_tail[3];
	u8 port_pages[VIP_COUNT_MAX][2][PORT_PAGE_SIZE]; /* by VIP, TCP or UDP, port's high octet */
	u8 pages[PORT_PAGE_COUNT][PORT_PAGE_SIZE]; /* by the port's low octet: the rule */
	struct bucket buckets[RULE_COUNT_MAX + 1][BUCKET_COUNT];
};

_Static_assert(sizeof(struct vip_slot) == 24, "no padding in a VIP");
_Static_assert(sizeof(struct rule_slot) == 4, "no padding in a rule");
_Static_assert(sizeof(struct bucket) == 2, "no padding in a bucket");
_Static_assert(__builtin_offsetof(struct filter_table, station_macs) == 112, "no padding before");
_Static_assert(sizeof(struct filter_table) ==
		       112 + 8 * HOST_COUNT_MAX + 24 * VIP_SLOT_COUNT + 4 * (RULE_COUNT_MAX + 1) +
			       4 + VIP_COUNT_MAX * 2 * PORT_PAGE_SIZE +
			       PORT_PAGE_COUNT * PORT_PAGE_SIZE +
			       2 * (RULE_COUNT_MAX + 1) * BUCKET_COUNT,
	       "no padding in the table");

struct lease {
	u64 until_jiffies;
	u64 last_new_flow; /* in jiffies; 0 means never, as in the next */
	u64 first_taken_flow; /* from a flagged bucket of ours */
	u64 boot_nonce; /* drawn when the programs were loaded */
};

#define LEASE_MARGIN_TICKS 2

struct lease_request {
	u64 until_ns; /* of CLOCK_MONOTONIC */
	u64 tick_ns; /* how long a jiffy is, which a program cannot ask */
};

/* What the host's sockets say of a TCP segment. */
enum claim { CLAIM_NONE = 0, CLAIM_LISTENER = 1, CLAIM_COOKIE = 2, CLAIM_SOCKET = 3 };

struct claim_query {
	u32 client; /* network order, as are all four */
	u32 vip;
	u16 client_port;
	u16 server_port;
	u32 ip_header_size;
};

#endif
