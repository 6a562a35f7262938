/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the programs use of the kernel: types, helpers and map declarations.
 *
 * Knows the kernel's ABI and nothing of clusters. The helpers' numbers are those of enum bpf_func_id
 * (include/uapi/linux/bpf.h); only the few that are called are declared.
 */
#ifndef WLBS_KERNEL_H
#define WLBS_KERNEL_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define SEC(name) __attribute__((section(name), used))
#define __always_inline inline __attribute__((always_inline))
#define __noinline __attribute__((noinline))

#define __uint(name, value) int(*name)[value]
#define __type(name, value) typeof(value) *name
#define __array(name, value) typeof(value) *name[]

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

enum { BPF_MAP_TYPE_ARRAY = 2, BPF_MAP_TYPE_PERCPU_ARRAY = 6 };
enum { BPF_MAP_TYPE_LRU_HASH = 9, BPF_MAP_TYPE_RINGBUF = 27 };
enum { BPF_NOEXIST = 1 };
enum { XDP_DROP = 1, XDP_PASS = 2, XDP_TX = 3 };
enum { TC_ACT_UNSPEC = -1, TC_ACT_SHOT = 2 };
enum { PACKET_HOST = 0 };
enum { AF_INET = 2, AF_INET6 = 10, AF_PACKET = 17 };
enum { TCP_TIME_WAIT = 6, TCP_CLOSE = 7, TCP_LISTEN = 10, TCP_NEW_SYN_RECV = 12 };
#define BPF_F_CURRENT_NETNS (-1LL)

struct xdp_md {
	u32 data;
	u32 data_end;
	u32 data_meta;
	u32 ingress_ifindex;
	u32 rx_queue_index;
	u32 egress_ifindex;
};

struct bpf_sock;

/* The beginning of it, as far as its socket; the fields between are not ours to look at. */
struct __sk_buff {
	u32 len;
	u32 pkt_type;
	u32 unused[17];
	u32 data;
	u32 data_end;
	u32 unused_too[21];
	struct bpf_sock *sk __attribute__((aligned(8)));
};

struct bpf_sock {
	u32 bound_dev_if;
	u32 family;
	u32 type;
	u32 protocol;
	u32 mark;
	u32 priority;
	u32 src_ip4;
	u32 src_ip6[4];
	u32 src_port;
	u16 dst_port;
	u16 unused;
	u32 dst_ip4;
	u32 dst_ip6[4];
	u32 state;
};

/*
 * The kernel's own sockets, as far as we read them: libbpf finds where each member is in the running
 * kernel (CO-RE), so their order and what is between them mean nothing.
 */
#define __from_kernel __attribute__((preserve_access_index))

struct in6_addr {
	union {
		u32 u6_addr32[4];
	} in6_u;
} __from_kernel;

typedef struct {
	u64 counter;
} __from_kernel atomic64_t;

struct sock_common {
	u32 skc_daddr;
	u32 skc_rcv_saddr;
	u16 skc_dport;
	u16 skc_num;
	u16 skc_family;
	u8 skc_state;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
	u32 skc_tw_rcv_nxt;
	u32 skc_tw_snd_nxt;
	atomic64_t skc_cookie; /* 0 until somebody asks for it */
} __from_kernel;

struct tcp_request_sock {
	u32 snt_isn;
	u32 rcv_nxt;
} __from_kernel;

struct tcp_sock {
	u32 snd_una;
	u32 write_seq;
	u32 rcv_nxt;
} __from_kernel;

struct bpf_iter_meta {
	void *seq;
	u64 seq_num;
} __from_kernel;

/* What an iterator over TCP sockets is run with; the socket is NULL at the end. */
struct bpf_iter__tcp {
	struct bpf_iter_meta *meta;
	struct sock_common *sk_common;
} __from_kernel;

/* The IPv4 half of the kernel's union. */
struct bpf_sock_tuple {
	u32 saddr;
	u32 daddr;
	u16 sport;
	u16 dport;
};

static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*bpf_map_update_elem)(void *map, const void *key, const void *value, u64 flags) =
	(void *)2;
static u64 (*bpf_ktime_get_ns)(void) = (void *)5;
static long (*bpf_skb_store_bytes)(struct __sk_buff *skb, u32 offset, const void *from, u32 size,
				   u64 flags) = (void *)9;
static long (*bpf_l4_csum_replace)(struct __sk_buff *skb, u32 offset, u64 from, u64 to,
				   u64 flags) = (void *)11;
static u64 (*bpf_get_current_pid_tgid)(void) = (void *)14;
static long (*bpf_skb_load_bytes)(const struct __sk_buff *skb, u32 offset, void *to, u32 size) =
	(void *)26;
static long (*bpf_csum_diff)(const void *from, u32 from_size, const void *to, u32 to_size,
			     u32 seed) = (void *)28;
static long (*bpf_skb_change_type)(struct __sk_buff *skb, u32 type) = (void *)32;
static void *(*bpf_get_current_task)(void) = (void *)35;
static long (*bpf_skb_pull_data)(struct __sk_buff *skb, u32 size) = (void *)39;
static u64 (*bpf_get_socket_cookie)(const void *skb_or_socket) = (void *)46;
static long (*bpf_sk_release)(void *sk) = (void *)86;
static struct bpf_sock *(*bpf_skc_lookup_tcp)(void *ctx, struct bpf_sock_tuple *tuple, u32 size,
					      u64 netns, u64 flags) = (void *)99;
static long (*bpf_tcp_check_syncookie)(void *sk, void *ip, u32 ip_size, void *tcp,
				       u32 tcp_size) = (void *)100;
static long (*bpf_probe_read_kernel)(void *out, u32 size, const void *from) = (void *)113;
static u64 (*bpf_jiffies64)(void) = (void *)118;
static long (*bpf_seq_write)(void *seq, const void *data, u32 size) = (void *)127;
static long (*bpf_ringbuf_output)(void *ring, const void *data, u64 size, u64 flags) = (void *)130;
static struct tcp_sock *(*bpf_skc_to_tcp_sock)(void *sk) = (void *)137;
static u64 (*bpf_xdp_get_buff_len)(struct xdp_md *ctx) = (void *)188;
static long (*bpf_xdp_load_bytes)(struct xdp_md *ctx, u32 offset, void *out, u32 size) = (void *)189;

#endif
