// mox bench: how fast this machine and its neighbours are at what a training does.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "base/pattern.h"
#include "command.h"
#include "command_line.h"
#include "exchange_bench.h"
#include "launch/launcher.h"
#include "moxing/error.h"
#include "moxing/flags.h"

namespace mox::cli {
namespace {

constexpr char kHelp[] =
    "Usage: mox bench COMMAND [OPTIONS]\n\nCommands:\n"
    "  train      training steps a second, on devices and workers\n"
    "  data       images a second that data sets deliver\n"
    "  exchange   sum gradients over the processes of a cluster, as a training does\n\n"
    "`mox bench COMMAND --help` tells more.\n";

constexpr char kDescription[] =
    "Sums gradients over the processes of a cluster, as a training with several workers does, and prints beside it "
    "what "
    "the wire and the memory give.\n"
    "Alone it starts its processes on this host. Started as a worker of a cluster (--worker_hosts and --task_index, "
    "TF_CONFIG, --cluster) it is one of them, and the first one prints. --gradient_dtype=bfloat16 halves the bytes.\n"
    "Examples:\n  mox bench exchange --workers=4\n  mox launch --hosts=node1,node2 -- mox bench exchange";

constexpr int64_t kMaxWorkers = launch::kMaxTasks;

struct Arguments {
  int64_t workers = 2;
  std::string dtype;
  bool as_json = false;
  ExchangeBenchOptions bench;
};

// Of a ring over all: the part of its data that each process sends in a round, and receives.
double sent_part(double workers) { return 2 * (workers - 1) / workers; }

// What the report says of all processes together.
struct Summary {
  double wall_ms = 0, least_ms = 0, most_ms = 0, cpu_ms = 0, memcpy_ms = 0, wire_ms = 0, latency_us = 0;
  double limit_ms = 0;  // what the wire alone would take for what each process sends
  size_t slowest = 0;   // the rank that waits longest for its previous neighbour's bytes
};

Summary summary_of(const ExchangeReport& report, const Arguments& arguments) {
  Summary summary;
  const auto workers = static_cast<double>(report.figures.size());
  for (size_t rank = 0; rank < report.figures.size(); ++rank) {
    const ExchangeFigures& f = report.figures[rank];
    summary.wall_ms = std::max<double>(summary.wall_ms, f.wall_ms);
    summary.least_ms = std::max<double>(summary.least_ms, f.least_ms);
    summary.most_ms = std::max<double>(summary.most_ms, f.most_ms);
    summary.cpu_ms += f.cpu_ms / workers;
    summary.memcpy_ms += f.memcpy_ms / workers;
    summary.latency_us = std::max<double>(summary.latency_us, f.latency_us);
    if (f.wire_ms > summary.wire_ms) summary.slowest = rank;
    summary.wire_ms = std::max<double>(summary.wire_ms, f.wire_ms);
  }
  const double width = arguments.dtype == "bfloat16" ? 0.5 : 1;
  summary.limit_ms = summary.wire_ms * width * sent_part(workers);
  return summary;
}

double rate(double bytes, double ms) { return ms > 0 ? bytes / ms / 1e6 : 0; }  // GB/s

void print_json(const ExchangeReport& report, const Arguments& arguments, const Summary& s) {
  using Json = nlohmann::ordered_json;
  const auto rounded = [](double value) { return std::round(value * 1000) / 1000; };
  const auto bytes = static_cast<double>(report.bytes);
  Json processes = Json::array();
  for (size_t i = 0; i < report.figures.size(); ++i) {
    const ExchangeFigures& f = report.figures[i];
    processes.push_back({{"name", report.names[i]},
                         {"wall_ms", rounded(f.wall_ms)},
                         {"cpu_ms", rounded(f.cpu_ms)},
                         {"memcpy_ms", rounded(f.memcpy_ms)},
                         {"wire_ms", rounded(f.wire_ms)},
                         {"shares_memory", f.shares_memory > 0}});
  }
  const Json value = {{"workers", report.figures.size()},
                      {"tensors", report.tensors},
                      {"bytes", report.bytes},
                      {"buckets", report.buckets},
                      {"gradient_dtype", arguments.dtype},
                      {"rounds", arguments.bench.rounds},
                      {"backward_ms", arguments.bench.backward_ms},
                      {"wall_ms", rounded(s.wall_ms)},
                      {"least_ms", rounded(s.least_ms)},
                      {"most_ms", rounded(s.most_ms)},
                      {"cpu_ms", rounded(s.cpu_ms)},
                      {"gb_per_s", rounded(rate(bytes, s.wall_ms))},
                      {"wire_ms", rounded(s.wire_ms)},
                      {"wire_gb_per_s", rounded(rate(bytes, s.wire_ms))},
                      {"wire_limit_ms", rounded(s.limit_ms)},
                      {"memcpy_ms", rounded(s.memcpy_ms)},
                      {"latency_us", rounded(s.latency_us)},
                      {"processes", processes}};
  std::printf("%s\n", json_text(value).c_str());
}

void print_table(const ExchangeReport& report, const Arguments& arguments, const Summary& s) {
  const auto bytes = static_cast<double>(report.bytes);
  const size_t workers = report.figures.size(), before = (s.slowest + workers - 1) % workers;
  std::string text =
      fmt::format("{} gradients, {:.1f} MB, {} buckets, {} workers, {}; medians of {} rounds\n", report.tensors,
                  bytes / 1e6, report.buckets, workers, arguments.dtype, arguments.bench.rounds);
  text += fmt::format("exchange  {:9.1f} ms   {:.2f} GB/s; {:.1f} to {:.1f} ms\n", s.wall_ms, rate(bytes, s.wall_ms),
                      s.least_ms, s.most_ms);
  if (arguments.bench.backward_ms > 0)
    text += fmt::format("left over {:9.1f} ms   after a backward pass of {:g} ms\n",
                        std::max(0.0, s.wall_ms - arguments.bench.backward_ms), arguments.bench.backward_ms);
  text += fmt::format("CPU       {:9.1f} ms   a process\n", s.cpu_ms);
  text +=
      fmt::format("wire      {:9.1f} ms   {:.2f} GB/s: the same bytes one way, {}, from {} to {}, the slowest link\n",
                  s.wire_ms, rate(bytes, s.wire_ms),
                  report.figures[s.slowest].shares_memory > 0 ? "through memory that both share" : "plain TCP",
                  report.names[before], report.names[s.slowest]);
  text += fmt::format("limit     {:9.1f} ms   the wire's for what each worker sends, {:.2f} times these bytes\n",
                      s.limit_ms, sent_part(static_cast<double>(workers)) * (arguments.dtype == "bfloat16" ? 0.5 : 1));
  text +=
      fmt::format("memcpy    {:9.1f} ms   {:.2f} GB/s, all processes at once\n", s.memcpy_ms, rate(bytes, s.memcpy_ms));
  text += fmt::format("latency   {:9.1f} us   one number over all: {} hops\n", s.latency_us, 2 * (workers - 1));
  std::fputs(text.c_str(), stdout);
}

// The processes of this host: this program again, as the tasks of a cluster.
int start_workers(const Arguments& arguments, const std::vector<std::string>& args) {
  launch::Options options;
  options.workers = arguments.workers;
  options.name_lines = false;
  options.command = {std::filesystem::read_symlink("/proc/self/exe").string(), "bench"};
  options.command.insert(options.command.end(), args.begin(), args.end());
  return launch::launch(options);
}

int run_worker(Arguments* arguments, const std::vector<std::string>& hosts) {
  cluster::MemberOptions member;
  member.task_index = get_flag<int64_t>("task_index");
  member.worker_hosts = hosts;
  member.session_timeout = static_cast<double>(get_flag<int64_t>("session_timeout"));
  member.token = get_flag<std::string>("cluster_token");
  const ExchangeBenchOptions& bench = arguments->bench;
  member.agreed = {{"mox bench exchange",
                    fmt::format("--megabytes={} --gradient_dtype={} --bucket_mib={} --backward_ms={} --rounds={} "
                                "--warmup={}",
                                bench.megabytes, arguments->dtype, bench.bucket_mib, bench.backward_ms, bench.rounds,
                                bench.warmup)}};
  const ExchangeReport report = measure_exchange(member, bench);
  if (report.rank != 0) return kDone;
  (arguments->as_json ? print_json : print_table)(report, *arguments, summary_of(report, *arguments));
  return kDone;
}

int bench_exchange(const std::vector<std::string>& args) {
  Arguments arguments;
  ExchangeBenchOptions& bench = arguments.bench;
  CommandLine line(kDescription, "mox bench exchange");
  const Option workers =
      line.number("--workers", arguments.workers, {2, kMaxWorkers}, "processes to start on this host").show_default();
  line.number("--megabytes", bench.megabytes, {0, 100'000},
              "of all gradients; 0: as ResNet-50's 161, else these, scaled to it")
      .show_default();
  line.number("--bucket_mib", bench.bucket_mib, {0.01, 4096}, "least size of what is exchanged at a time")
      .show_default();
  line.number("--backward_ms", bench.backward_ms, {0, 1e6},
              "the buckets become ready one after the other over so long, as in a backward pass; 0: all at once")
      .show_default();
  line.number("--rounds", bench.rounds, {1, 100'000}, "that are measured").show_default();
  line.number("--warmup", bench.warmup, {0, 100'000}, "rounds before them").show_default();
  line.flag("--json", arguments.as_json, "print one JSON object");
  if (const int code = line.parse_with_flags(args); code >= 0) return code;
  arguments.dtype = get_flag<std::string>("gradient_dtype");
  if (arguments.dtype == "bfloat16") bench.wire = cluster::WireType::kBfloat16;
  const std::vector<std::string> hosts = split_list(get_flag<std::string>("worker_hosts"));
  std::vector<std::string> words = {"exchange"};
  words.insert(words.end(), args.begin(), args.end());
  if (hosts.empty()) return start_workers(arguments, words);
  if (get_flag<std::string>("job_name") != "worker")
    throw InvalidArgumentError(
        fmt::format("this process is the cluster's {}; what is measured is between workers: start none but workers",
                    get_flag<std::string>("job_name")));
  if (hosts.size() < 2 || (workers.given() && arguments.workers != static_cast<int64_t>(hosts.size())))
    throw InvalidArgumentError(
        fmt::format("the cluster has {} workers ({}), expected {}", hosts.size(), fmt::join(hosts, ","),
                    workers.given() ? fmt::format("{} as --workers says", arguments.workers) : "two or more"));
  return run_worker(&arguments, hosts);
}

}  // namespace

int run_bench(const std::vector<std::string>& args) {
  if (args.empty() || args[0] == "--help" || args[0] == "-h" || args[0] == "help") {
    std::fputs(kHelp, args.empty() ? stderr : stdout);
    return args.empty() ? kUsage : kDone;
  }
  const std::vector<std::string> rest(args.begin() + 1, args.end());
  if (args[0] == "exchange") return bench_exchange(rest);
  if (args[0] == "train" || args[0] == "data") return run_engine_command("bench " + args[0], rest);
  throw InvalidArgumentError("unknown command '" + args[0] + "'; there are: train, data, exchange");
}

}  // namespace mox::cli
