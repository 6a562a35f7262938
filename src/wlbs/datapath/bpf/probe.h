/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The two probes that the data path takes by itself: the fast twin of wlbs.core.probe.
 *
 * Knows their bytes. The liveness probe is answered in place; it is looked for only in what was
 * sent to this host and not to the cluster. The delivery probe is counted by sender.
 */
#ifndef WLBS_PROBE_H
#define WLBS_PROBE_H

#include "lease.h"
#include "maps.h"
#include "parse.h"
#include "siphash.h"

#define PROBE_PORT 0x886f
#define PROBE_SIZE 32
#define PROBE_REQUEST 0x0000000171706c77ULL /* "wlpq", version 1, three octets of zero */
#define PROBE_ANSWER 0x0000000161706c77ULL /* "wlpa", version 1, lease_live, two of zero */
#define PROBE_LEASE_LIVE_SHIFT 40
#define PROBE_TAGGED_SIZE 24ULL
#define MORE_FRAGMENTS 0x0020 /* as it stands in the header, read little-endian */

#define DELIVERY_SIZE 7
#define DELIVERY_MAGIC 0x73626c77 /* "wlbs" */
#define DELIVERY_KIND 2

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, HOST_COUNT_MAX);
	__type(key, u32);
	__type(value, u64);
} delivery_probes SEC(".maps");

/* The packet's header has been read. */
static __always_inline int is_liveness_probe(const struct filter_table *table, struct bytes frame,
					     const struct packet *packet)
{
	const u8 *ip = frame.data + ETHERNET_SIZE;
	const u8 *udp = packet->transport;
	const u8 *payload = udp + UDP_SIZE;

	if (packet->protocol != PROTOCOL_UDP || packet->fragment ||
	    !has_room(packet, frame, UDP_SIZE + PROBE_SIZE) ||
	    load16(udp + 2) != swap16(PROBE_PORT))
		return 0;
	if (!is_dedicated_ip(table, packet->destination))
		return 0;
	return !(load16(ip + 6) & MORE_FRAGMENTS) &&
	       load16(udp + 4) == swap16(UDP_SIZE + PROBE_SIZE) &&
	       load64(payload) == PROBE_REQUEST && !load64(payload + 16) && !load64(payload + 24);
}

static __always_inline u64 probe_tag(const struct hash_key *key, u64 head, u64 challenge,
				     u64 boot_nonce)
{
	struct sip s = sip_start(key->words[0], key->words[1]);

	sip_word(&s, head);
	sip_word(&s, challenge);
	sip_word(&s, boot_nonce);
	sip_word(&s, PROBE_TAGGED_SIZE << 56);
	return sip_finish(&s);
}

/*
 * Addresses and ports change places, which leaves the IPv4 checksum right: a sum does not depend on
 * its order. UDP's is zero, which in IPv4 means none (RFC 768).
 */
static __noinline int answer_liveness_probe(const struct filter_table *table, struct bytes frame)
{
	u8 *ip = frame.data + ETHERNET_SIZE;
	u64 asker, challenge, head;
	u32 client, ports;
	u8 *udp, *payload;

	if (ip + IPV4_SIZE_MIN > frame.end)
		return XDP_DROP;
	udp = ip + (ip[0] & 0x0f) * 4;
	payload = udp + UDP_SIZE;
	if (payload + PROBE_SIZE > frame.end)
		return XDP_DROP;
	asker = load64(frame.data + 6) & MAC_MASK;
	client = load32(ip + 12);
	ports = load32(udp);
	store_mac(frame.data, asker);
	store_mac(frame.data + 6, table->masked_mac);
	*(u32 *)(ip + 12) = load32(ip + 16);
	*(u32 *)(ip + 16) = client;
	*(u32 *)udp = ports << 16 | ports >> 16;
	*(u16 *)(udp + 6) = 0;
	head = PROBE_ANSWER | (u64)is_lease_live() << PROBE_LEASE_LIVE_SHIFT;
	challenge = load64(payload + 8);
	*(u64 *)payload = head;
	*(u64 *)(payload + 16) = table->boot_nonce;
	*(u64 *)(payload + 24) = probe_tag(&table->key, head, challenge, table->boot_nonce);
	return XDP_TX;
}

/* How each of our messages begins: magic, version, kind, sender. */
static __always_inline int is_delivery_probe(struct bytes frame)
{
	const u8 *message = frame.data + ETHERNET_SIZE;

	return message + DELIVERY_SIZE <= frame.end && load32(message) == DELIVERY_MAGIC &&
	       message[5] == DELIVERY_KIND && message[6] < HOST_COUNT_MAX;
}

static __always_inline int count_delivery_probe(struct bytes frame)
{
	const u8 *message = frame.data + ETHERNET_SIZE;
	u64 *counter;
	u32 sender;

	if (message + DELIVERY_SIZE > frame.end)
		return XDP_DROP;
	sender = message[6];
	counter = bpf_map_lookup_elem(&delivery_probes, &sender);
	if (counter)
		__sync_fetch_and_add(counter, 1);
	return XDP_DROP;
}

#endif
