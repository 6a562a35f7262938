/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The bytes of a frame, read within bounds: the twin of wlbs.core.frame.
 *
 * Knows headers and how far each may be trusted, nothing of clusters. Looks at the same bytes in
 * the same order as its twin. A header is loaded through these functions only, each of which is
 * given what it may not pass.
 */
#ifndef WLBS_PARSE_H
#define WLBS_PARSE_H

#include "kernel.h"

#define MAC_SIZE 6
#define ETHERNET_SIZE 14
#define ARP_SIZE 28
#define IPV4_SIZE_MIN 20
#define IPV4_TTL_AT (ETHERNET_SIZE + 8)
#define IPV4_CHECKSUM_AT (ETHERNET_SIZE + 10)
#define IPV6_SIZE 40
#define ICMP6_AT (ETHERNET_SIZE + IPV6_SIZE)
#define ICMP6_CHECKSUM_AT (ICMP6_AT + 2)
#define TCP_SIZE_MIN 20
#define UDP_SIZE 8
#define ICMP_SIZE 8
#define FRAGMENT_OFFSET_MASK 0x1fff
#define MAC_MASK 0xffffffffffffULL
#define GROUP_BIT 1ULL /* of a MAC: its first octet is the lowest */
#define NEIGHBOUR_OPTION_COUNT_MAX 4
#define NEIGHBOUR_OPTION_UNIT 8

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_ARP 0x0806
#define ETHERTYPE_VLAN 0x8100
#define ETHERTYPE_IPV6 0x86dd
#define ETHERTYPE_HEARTBEAT 0x886f
#define ETHERTYPE_SERVICE_VLAN 0x88a8

#define PROTOCOL_ICMP 1
#define PROTOCOL_TCP 6
#define PROTOCOL_UDP 17
#define PROTOCOL_ICMP6 58

#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

#define ARP_REQUEST 1
#define ARP_ANSWER 2

/* Where a frame begins and ends; in XDP the part of it that the program sees. */
struct bytes {
	u8 *data;
	u8 *end;
};

struct ethernet {
	u64 destination;
	u64 source;
	u16 ethertype;
};

struct arp {
	u64 sender_mac;
	u32 sender_ip;
	u32 target_ip;
	u16 operation;
};

/*
 * Addresses in network order. `ports` is 0 where a protocol has none; otherwise both ports in the
 * host's order, the client's in the low half, as they go into the hash.
 */
struct packet {
	const u8 *transport;
	u32 source;
	u32 destination;
	u32 header_size;
	u32 rest_size;
	u32 ports;
	u16 fragment;
	u8 protocol;
	u8 tcp_flags;
};

/* The hardware loads words at any address on every target that has XDP in its drivers. */
static __always_inline u16 load16(const u8 *at)
{
	return *(const u16 *)at;
}

static __always_inline u32 load32(const u8 *at)
{
	return *(const u32 *)at;
}

static __always_inline u64 load64(const u8 *at)
{
	return *(const u64 *)at;
}

static __always_inline void store_mac(u8 *at, u64 mac)
{
	*(u32 *)at = mac;
	*(u16 *)(at + 4) = mac >> 32;
}

static __always_inline u16 swap16(u16 value)
{
	return __builtin_bswap16(value);
}

static __always_inline int parse_ethernet(struct bytes frame, struct ethernet *out)
{
	u64 tail;

	if (frame.data + ETHERNET_SIZE > frame.end)
		return 0;
	tail = load64(frame.data + 6);
	out->destination = load64(frame.data) & MAC_MASK;
	out->source = tail & MAC_MASK;
	out->ethertype = swap16(tail >> 48);
	return 1;
}

static __always_inline int parse_arp(struct bytes frame, struct arp *out)
{
	u8 *body = frame.data + ETHERNET_SIZE;

	if (body + ARP_SIZE > frame.end)
		return 0;
	/* Hardware type Ethernet, protocol type IPv4, lengths 6 and 4 (RFC 826). */
	if (load32(body) != 0x00080100 || load16(body + 4) != 0x0406)
		return 0;
	out->operation = swap16(load16(body + 6));
	out->sender_mac = load64(body + 8) & MAC_MASK;
	out->sender_ip = load32(body + 14);
	out->target_ip = load32(body + 24);
	return 1;
}

/* Version 4 and no options, as nearly every IPv4 header is. */
static __always_inline int is_plain_ipv4(struct bytes frame)
{
	const u8 *body = frame.data + ETHERNET_SIZE;

	return body + IPV4_SIZE_MIN <= frame.end && body[0] == 0x45;
}

/* The header alone; 0 where it cannot be one. */
static __always_inline int parse_ipv4(struct bytes frame, struct packet *out)
{
	const u8 *body = frame.data + ETHERNET_SIZE;
	u32 header_size, total_size;

	if (body + IPV4_SIZE_MIN > frame.end || body[0] >> 4 != 4)
		return 0;
	header_size = (body[0] & 0x0f) * 4;
	total_size = swap16(load16(body + 2));
	if (header_size < IPV4_SIZE_MIN || total_size < header_size ||
	    body + header_size > frame.end)
		return 0;
	out->transport = body + header_size;
	out->source = load32(body + 12);
	out->destination = load32(body + 16);
	out->header_size = header_size;
	out->rest_size = total_size - header_size;
	out->fragment = swap16(load16(body + 6)) & FRAGMENT_OFFSET_MASK;
	out->protocol = body[9];
	return 1;
}

/* Whether the packet's total length and the frame's end both leave room for a header. */
static __always_inline int has_room(const struct packet *packet, struct bytes frame, u32 size)
{
	return packet->rest_size >= size && packet->transport + size <= frame.end;
}

static __always_inline u32 load_ports(const u8 *at)
{
	u32 ports = __builtin_bswap32(load32(at));

	return ports << 16 | ports >> 16;
}

/* The transport header, if it is one to look into; 0 where it cannot be one. */
static __always_inline int parse_transport(struct bytes frame, struct packet *packet)
{
	const u8 *at = packet->transport;

	packet->ports = 0;
	packet->tcp_flags = 0;
	if (likely(packet->protocol == PROTOCOL_TCP)) {
		if (!has_room(packet, frame, TCP_SIZE_MIN) || at[12] >> 4 < TCP_SIZE_MIN / 4)
			return 0;
		packet->ports = load_ports(at);
		packet->tcp_flags = at[13];
	} else if (packet->protocol == PROTOCOL_UDP) {
		if (!has_room(packet, frame, UDP_SIZE))
			return 0;
		packet->ports = load_ports(at);
	} else if (packet->protocol == PROTOCOL_ICMP) {
		return has_room(packet, frame, ICMP_SIZE);
	}
	return 1;
}

#endif
