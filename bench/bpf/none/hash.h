/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * No hash: the flow's own bits choose the bucket. What the filter costs beyond this is the hash's
 * share. Not for use: who chooses a port chooses a host.
 */
#ifndef WLBS_HASH_H
#define WLBS_HASH_H

#include "filter.h"

static __always_inline u64 v4_flow_hash(const struct hash_key *key, u64 low, u64 tail)
{
	(void)key;
	return (low ^ tail) << BUCKET_SHIFT;
}

#endif
