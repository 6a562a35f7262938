/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A keyed sum of products in place of SipHash, to measure the hash's share. Not for use: who sees
 * which host answers can learn it.
 */
#ifndef WLBS_HASH_H
#define WLBS_HASH_H

#include "kernel.h"

static __always_inline u64 flow_hash(const u64 key[2], u64 high, u64 low, u64 tail)
{
	u64 sum = (high ^ key[0]) * (key[1] | 1);

	sum += (low ^ key[1]) * (key[0] | 1);
	sum += tail * 0x9e3779b97f4a7c15ULL;
	return (sum ^ sum >> 32) * (key[0] | 1);
}

#endif
