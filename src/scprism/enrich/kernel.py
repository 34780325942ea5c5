"""Compiled kernels that walk a gene set through one ranking in double precision."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scprism._threads import compiled
from scprism.types import FloatArray, IntArray

__all__ = ["TIE", "Proposal", "SetMembers", "bin_tables", "draw_sets", "set_scores"]

# The number of a word's lowest bit stands here at (bit × DE_BRUIJN) >> 58 (Leiserson, Prokop and Randall 1998).
DE_BRUIJN = np.uint64(0x03F79D71B4CB0A89)
BIT_INDEX = np.zeros(64, np.int64)
BIT_INDEX[[((1 << i) * int(DE_BRUIJN) % 2**64) >> 58 for i in range(64)]] = np.arange(64)
# Two deviations closer than this differ by rounding only.
TIE = 1e-12
# Numbers of hits in a bin that are less probable are left out of the tables.
NEGLIGIBLE = 1e-10


class SetMembers(NamedTuple):
    """Gene sets one after the other: set k is ``genes[starts[k]:starts[k + 1]]``; gene numbers, int32."""

    genes: NDArray[np.int32]
    starts: NDArray[np.int64]


class Proposal(NamedTuple):
    """A mixture of distributions over sets of one size, each tilted towards some bins of neighbouring places.

    Attributes
    ----------
    edges
        First place of each bin, and the number of genes, (bins + 1,).
    logits
        Log odds of a gene of the bin to be a hit, (components, bins).
    constants
        Log likelihood ratio of a component to the uniform draw before the hits' logits are added, (components,).
    shares
        Share of each component, (components,).
    counts, prefixes
        Probability of n hits in a bin, (components, bins, hits + 1), and of n hits in all bins before one,
        (components, bins + 1, hits + 1).
    """

    edges: NDArray[np.int64]
    logits: NDArray[np.float64]
    constants: NDArray[np.float64]
    shares: NDArray[np.float64]
    counts: NDArray[np.float64]
    prefixes: NDArray[np.float64]


@compiled
def walk(weights: FloatArray, places: IntArray, one_sided: bool) -> tuple[float, int]:  # noqa: FBT001
    """Return the enrichment score of the hits at `places` (ascending), and the place of the peak.

    The running sum rises by a hit's share of the weights and falls by an equal step at each other gene
    (Subramanian et al. 2005); its extremes lie just after or just before a hit. Of two of equal size the upper counts.
    """
    total = 0.0
    for place in places:
        total += weights[place]
    step, scale = 1.0 / (weights.size - places.size), 1.0 / total
    risen, high, low, high_at, low_at = 0.0, 0.0, 0.0, 0, 0
    for k in range(places.size):
        fallen = (places[k] - k) * step
        before = risen * scale - fallen
        risen += weights[places[k]]
        after = risen * scale - fallen
        if after > high + TIE:
            high, high_at = after, places[k]
        if before < low - TIE:
            low, low_at = before, places[k]
    if one_sided or high >= -low - TIE:
        return high, high_at
    return low, low_at


@compiled
def _marked(words: NDArray[np.uint64], place: int) -> bool:
    """Return whether a place was marked, and mark it."""
    bit = np.uint64(1) << np.uint64(place & 63)
    was = words[place >> 6] & bit
    words[place >> 6] |= bit
    return bool(was != 0)


@compiled
def _take_marked(words: NDArray[np.uint64], n_marked: int) -> NDArray[np.int32]:
    """Return the marked places in ascending order, and clear the marks."""
    places = np.empty(n_marked, np.int32)
    k = 0
    for w in range(words.size):
        word = words[w]
        words[w] = 0
        while word != 0:
            lowest = word & (~word + np.uint64(1))
            places[k] = 64 * w + BIT_INDEX[(lowest * DE_BRUIJN) >> np.uint64(58)]
            k += 1
            word ^= lowest
    return places


@compiled
def set_scores(
    place_of: NDArray[np.int32],
    weights: NDArray[np.float64],
    sets: SetMembers,
    *,
    one_sided: bool,
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Return the enrichment score and the peak's place of every set in every ranking, each (rankings, sets)."""
    n_sets = sets.starts.size - 1
    scores = np.empty((place_of.shape[0], n_sets))
    peaks = np.empty((place_of.shape[0], n_sets), np.int32)
    words = np.zeros(weights.shape[1] // 64 + 1, np.uint64)
    for r in range(place_of.shape[0]):
        for k in range(n_sets):
            for j in range(sets.starts[k], sets.starts[k + 1]):
                _marked(words, place_of[r, sets.genes[j]])
            places = _take_marked(words, sets.starts[k + 1] - sets.starts[k])
            scores[r, k], peaks[r, k] = walk(weights[r], places, one_sided)
    return scores, peaks


@compiled
def _random_bits(state: NDArray[np.uint64]) -> np.uint64:
    """Return the next 64 bits of a splitmix64 sequence (Steele, Lea and Flood 2014)."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    bits: np.uint64 = z ^ (z >> np.uint64(31))
    return bits


@compiled
def _uniform(state: NDArray[np.uint64]) -> float:
    return float(_random_bits(state) >> np.uint64(11)) * 2.0**-53


@compiled
def _below(n: int, state: NDArray[np.uint64]) -> int:
    """Return a random whole number under `n`; 32 bits are scaled, so `n` must be far smaller than that."""
    return int(((_random_bits(state) >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))


@compiled
def _draw_counts(proposal: Proposal, state: NDArray[np.uint64], hits: IntArray) -> None:
    """Fill `hits` (bins,) with the numbers of hits of one random set, last bin first."""
    component, level = 0, _uniform(state)
    while component < proposal.shares.size - 1 and level >= proposal.shares[component]:
        level -= proposal.shares[component]
        component += 1
    left = proposal.counts.shape[2] - 1
    for b in range(hits.size - 1, -1, -1):
        counts, prefix = proposal.counts[component, b], proposal.prefixes[component, b]
        level = _uniform(state) * proposal.prefixes[component, b + 1, left]
        n, most = 0, min(left, proposal.edges[b + 1] - proposal.edges[b])
        level -= counts[0] * prefix[left]
        while level > 0 and n < most:
            n += 1
            level -= counts[n] * prefix[left - n]
        hits[b] = n
        left -= n


@compiled
def _mark_draw(edges: IntArray, hits: IntArray, state: NDArray[np.uint64], words: NDArray[np.uint64]) -> None:
    """Mark ``hits[b]`` places of each bin b, all such sets equally likely (Floyd's algorithm)."""
    for b in range(hits.size):
        width = edges[b + 1] - edges[b]
        for last in range(width - hits[b], width):
            if _marked(words, edges[b] + _below(last + 1, state)):
                _marked(words, edges[b] + last)


@compiled
def draw_sets(
    proposal: Proposal,
    weights: NDArray[np.float64],
    *,
    one_sided: bool,
    n_draws: int,
    state: NDArray[np.uint64],
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Return drawn sets' enrichment scores and peaks' places, (draws,), and their hits in each bin, (draws, bins)."""
    hits = np.zeros((n_draws, proposal.edges.size - 1), np.int64)
    words = np.zeros(weights.size // 64 + 1, np.uint64)
    scores, peaks = np.empty(n_draws), np.empty(n_draws, np.int64)
    for k in range(n_draws):
        _draw_counts(proposal, state, hits[k])
        _mark_draw(proposal.edges, hits[k], state, words)
        places = _take_marked(words, proposal.counts.shape[2] - 1)
        scores[k], peaks[k] = walk(weights, places, one_sided)
    return scores, peaks, hits


@compiled
def _centring(logits: FloatArray, widths: IntArray, n_hits: int) -> float:
    """Return what to add to all log odds so that the mean number of hits is `n_hits`, by bisection."""
    low, high = -60.0, 60.0
    for _ in range(30):
        middle = 0.5 * (low + high)
        if (widths / (1.0 + np.exp(-logits - middle))).sum() < n_hits:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


@compiled
def bin_tables(
    logits: NDArray[np.float64], widths: NDArray[np.int64], n_hits: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Return one component's counts and prefixes of a `Proposal`, and its log likelihood before the hits' logits.

    A number added to all log odds changes nothing in sets of a fixed size, but only with the right one are the
    tables far from underflow.
    """
    counts = np.zeros((widths.size, n_hits + 1))
    prefixes = np.zeros((widths.size + 1, n_hits + 1))
    prefixes[0, 0] = 1.0
    shift = _centring(logits, widths, n_hits)
    constant = n_hits * shift
    log_factorial = np.zeros(widths.max() + 1)
    for n in range(1, log_factorial.size):
        log_factorial[n] = log_factorial[n - 1] + np.log(n)
    most = 0
    for b in range(widths.size):
        width, logit = widths[b], logits[b] + shift
        log_miss = -width * np.log1p(np.exp(logit))
        constant += log_miss
        mean = width / (1.0 + np.exp(-logit))
        reach = 8.0 * np.sqrt(mean) + 10.0
        last = min(width, n_hits, int(mean + reach))
        for n in range(max(0, int(mean - reach)), last + 1):
            ways = log_factorial[width] - log_factorial[n] - log_factorial[width - n]
            counts[b, n] = np.exp(ways + n * logit + log_miss)
            if counts[b, n] > NEGLIGIBLE:
                for k in range(min(most, n_hits - n) + 1):
                    prefixes[b + 1, k + n] += counts[b, n] * prefixes[b, k]
        most = min(most + last, n_hits)
    return counts, prefixes, constant - np.log(prefixes[widths.size, n_hits])
