/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From a flow to its bucket: SipHash-1-3 of the 23 bytes of wlbs.core.buckets, unrolled.
 *
 * Knows the words of the message, not what is in them.
 */
#ifndef WLBS_HASH_H
#define WLBS_HASH_H

#include "filter.h"

#define HASH_MESSAGE_SIZE 23ULL

struct sip {
	u64 v0, v1, v2, v3;
};

static __always_inline u64 rotate(u64 word, int bits)
{
	return word << bits | word >> (64 - bits);
}

static __always_inline void sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v1 = rotate(s->v1, 13) ^ s->v0;
	s->v0 = rotate(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = rotate(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = rotate(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = rotate(s->v1, 17) ^ s->v2;
	s->v2 = rotate(s->v2, 32);
}

static __always_inline void sip_word(struct sip *s, u64 word)
{
	s->v3 ^= word;
	sip_round(s);
	s->v0 ^= word;
}

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
	s.v2 ^= 0xff;
	sip_round(&s);
	sip_round(&s);
	sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

#endif
