/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A keyed sum of products in place of SipHash, to measure the hash's share. Not for use: who sees
 * which host answers can learn it.
 */
#ifndef WLBS_HASH_H
#define WLBS_HASH_H

#include "filter.h"

static __always_inline u64 v4_flow_hash(const struct hash_key *key, u64 low, u64 tail)
{
	u64 sum = (low ^ key->words[1]) * (key->words[0] | 1);

	sum += tail * 0x9e3779b97f4a7c15ULL;
	return (sum ^ sum >> 32) * (key->words[0] | 1);
}

#endif
