/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * SipHash-2-4 in place of SipHash-1-3: two rounds for each word and four to finish. The state that
 * user space prepares is SipHash-1-3's; a word costs the same whatever it is.
 */
#define v4_flow_hash siphash_1_3
#include "../../../src/wlbs/datapath/bpf/hash.h"
#undef v4_flow_hash

static __always_inline u64 v4_flow_hash(const struct hash_key *key, u64 low, u64 tail)
{
	struct sip s = {
		.v0 = key->v4_state[0],
		.v1 = key->v4_state[1],
		.v2 = key->v4_state[2],
		.v3 = key->v4_state[3],
	};

	tail |= HASH_MESSAGE_SIZE << 56;
	s.v3 ^= low;
	sip_round(&s);
	sip_round(&s);
	s.v0 ^= low;
	s.v3 ^= tail;
	sip_round(&s);
	sip_round(&s);
	s.v0 ^= tail;
	s.v2 ^= 0xff;
	sip_round(&s);
	sip_round(&s);
	sip_round(&s);
	sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
