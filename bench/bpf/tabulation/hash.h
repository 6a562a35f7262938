/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Tabulation in place of SipHash: the exclusive-or of one random word for each octet, here nine:
 * the IPv4 address, both ports, the protocol. Not for use: it is linear.
 *
 * The words are zero, since only their loads are measured; and the same nine entries are in the
 * first-level cache each time, which many clients' would not be.
 */
#ifndef WLBS_HASH_H
#define WLBS_HASH_H

#include "filter.h"

#define TABULATED_OCTETS 9

u32 tabulation[TABULATED_OCTETS][256] SEC(".bss.tabulation");

static __always_inline u64 v4_flow_hash(const struct hash_key *key, u64 low, u64 tail)
{
	u32 client = low >> 32, ports = tail, hash;

	(void)key;
	hash = tabulation[0][client & 0xff] ^ tabulation[1][client >> 8 & 0xff] ^
	       tabulation[2][client >> 16 & 0xff] ^ tabulation[3][client >> 24] ^
	       tabulation[4][ports & 0xff] ^ tabulation[5][ports >> 8 & 0xff] ^
	       tabulation[6][ports >> 16 & 0xff] ^ tabulation[7][ports >> 24] ^
	       tabulation[8][tail >> 32 & 0xff];
	return (u64)hash << 32;
}

#endif
