// How fast the processes of a cluster sum gradients: measured through what a training uses, Member and Exchanger.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cluster/exchanger.h"
#include "cluster/member.h"

namespace mox::cli {

struct ExchangeBenchOptions {
  double megabytes = 0;    // in all, 10^6 bytes; 0: as ResNet-50's gradients have
  double bucket_mib = 4;   // a bucket's least size; a training's is 4
  double backward_ms = 0;  // the buckets become ready one after the other over so long, as in a backward pass
  int64_t rounds = 10, warmup = 3;
  cluster::WireType wire = cluster::WireType::kFloat;
};

// What one process measured. Milliseconds, medians over the rounds. Nothing but floats: they are summed over all.
struct ExchangeFigures {
  float wall_ms, least_ms, most_ms;  // from the first bucket's post to the last one's mean
  float cpu_ms;                      // of this process, a round
  float memcpy_ms;                   // of the same bytes, all processes at once
  float wire_ms;                     // the same bytes from the previous neighbour, one way
  float shares_memory;               // 1: through memory that both share, 0: over TCP
  float latency_us;                  // of the sum of one number over all: 2 (workers - 1) hops
};

struct ExchangeReport {
  int rank = 0;                          // this process's
  std::vector<std::string> names;        // by rank
  std::vector<ExchangeFigures> figures;  // by rank
  int64_t bytes = 0, tensors = 0, buckets = 0;
};

// Elements of ResNet-50's 161 gradients, in the order of its variables; with `megabytes` each is scaled to that sum.
std::vector<int64_t> gradient_sizes(double megabytes);

// Forms the group, measures, and leaves it. All processes get the same report. Errors as of Member and Exchanger.
ExchangeReport measure_exchange(const cluster::MemberOptions& member, const ExchangeBenchOptions& options);

}  // namespace mox::cli
