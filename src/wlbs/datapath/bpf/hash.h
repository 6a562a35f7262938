/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From a flow to its bucket: SipHash-1-3 of the 23 bytes of wlbs.core.buckets, unrolled.
 *
 * Knows the words of the message, not what is in them.
 */
#ifndef WLBS_HASH_H
#define WLBS_HASH_H

#include "filter.h"
#include "siphash.h"

#define HASH_MESSAGE_SIZE 23ULL

/*
 * The second word of a mapped IPv4 address, and the tail: its port, ours, the protocol. The first
 * word is zero for every such address, so user space has taken it in once for all.
 */
static __always_inline u64 v4_flow_hash(const struct hash_key *key, u64 low, u64 tail)
{
	struct sip s = {
		.v0 = key->v4_state[0],
		.v1 = key->v4_state[1],
		.v2 = key->v4_state[2],
		.v3 = key->v4_state[3],
	};

	sip_word(&s, low);
	sip_word(&s, tail | HASH_MESSAGE_SIZE << 56);
	return sip_finish(&s);
}

#endif
