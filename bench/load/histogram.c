/* Latencies in buckets whose width grows with their value: 128 to each doubling. */
#include <string.h>

#include "load.h"

#define SUB 128

static uint64_t counts[64 * SUB];
static uint64_t total;

void histogram_reset(void)
{
    memset(counts, 0, sizeof counts);
    total = 0;
}

void histogram_add(uint64_t ns)
{
    unsigned bits = 64 - (unsigned) __builtin_clzll(ns | 1);
    unsigned shift = bits > 8 ? bits - 8 : 0;

    counts[shift * SUB + (ns >> shift)]++;
    total++;
}

double histogram_us(double share)
{
    uint64_t wanted = (uint64_t) ((double) total * share), seen = 0;

    if (wanted >= total)
        wanted = total > 0 ? total - 1 : 0;
    for (unsigned at = 0; at < 64 * SUB; at++) {
        seen += counts[at];
        if (seen > wanted) {
            unsigned shift = at < 2 * SUB ? 0 : at / SUB - 1;
            double low = (double) ((uint64_t) (at - shift * SUB) << shift);
            return (low + (double) (1ULL << shift) / 2) / 1000;
        }
    }
    return 0;
}
