/* The number of the firewall's rules. Not the rules: those are net.c's. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Which generation of nf_tables' rules is in force: another number after each change of
 * them. False when the kernel does not say, as it does not to others than root. */
bool netfilter_generation(uint32_t *out);
