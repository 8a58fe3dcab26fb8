#include "run/server_board.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <thread>

#include "base/host.h"
#include "base/json_text.h"
#include "exchange/parameter_server_exchange.h"
#include "graph/node_defs.h"
#include "moxing/version.h"
#include "tensorflow/core/protobuf/config.pb.h"
#include "tensorflow/core/public/session.h"

namespace mox {

namespace tf = tensorflow;

namespace {

// Keys of a table, in front of the workers' numbers.
constexpr int64_t kRefused = -3, kServer = -2, kChief = -1;
constexpr int kMilliseconds = 1000;

std::string numbered(const char* what, int server) { return fmt::format("mox_board/{}_{}", what, server); }

tf::Tensor keys_of(int64_t first, int64_t count) {
  tf::Tensor keys(tf::DT_INT64, {count});
  for (int64_t i = 0; i < count; ++i) keys.vec<int64_t>()(i) = first + i;
  return keys;
}

// All on the server: one that has another idea of where workers are takes what they write, too.
void add_table(tf::GraphDef* graph, int server, int workers, const std::string& device) {
  const std::string table = numbered("table", server);
  NodeMaker(graph, table, "MutableHashTableV2")
      .attr("key_dtype", tf::DT_INT64)
      .attr("value_dtype", tf::DT_STRING)
      .attr("shared_name", std::string("mox_board"))
      .device(device);
  const auto constant = [&](const char* name, const tf::Tensor& value) {
    NodeMaker(graph, table + name, "Const").attr("dtype", value.dtype()).attr("value", value).device(device);
    return table + name;
  };
  const std::string keys = constant("/keys", keys_of(kRefused, workers - kRefused));
  const std::string none = constant("/none", tf::Tensor(tf::tstring("")));
  NodeMaker(graph, numbered("notes", server), "LookupTableFindV2")
      .input(table)
      .input(keys)
      .input(none)
      .attr("Tin", tf::DT_INT64)
      .attr("Tout", tf::DT_STRING)
      .device(device);
  for (const auto& [name, dtype] : {std::pair("key", tf::DT_INT64), std::pair("text", tf::DT_STRING)})
    NodeMaker(graph, numbered(name, server), "Placeholder").attr("dtype", dtype).device(device);
  NodeMaker(graph, numbered("write", server), "LookupTableInsertV2")
      .input(table)
      .input(numbered("key", server))
      .input(numbered("text", server))
      .attr("Tin", tf::DT_INT64)
      .attr("Tout", tf::DT_STRING)
      .device(device);
}

void add_arrivals(tf::GraphDef* graph, int workers, const std::string& device) {
  for (int worker = 0; worker < workers; ++worker) {
    const std::string name = arrival_of_worker(worker);
    NodeMaker(graph, name, "VarHandleOp")
        .attr("dtype", tf::DT_INT64)
        .attr("shape", tf::TensorShape())
        .attr("shared_name", name)
        .device(device);
    NodeMaker(graph, name + "/read", "ReadVariableOp").input(name).attr("dtype", tf::DT_INT64).device(device);
  }
}

std::string text_of(const ProcessNote& note) {
  nlohmann::json json = {{"turn", note.turn},
                         {"processes", note.processes},
                         {"incarnation", note.incarnation},
                         {"state", note.state},
                         {"why", note.why},
                         {"who", note.who},
                         {"wish", note.wish},
                         {"agreed", note.agreed}};
  return json_text(json);
}

std::string text_of(const ChiefNote& note) {
  return json_text(nlohmann::json{{"turns", note.turns},
                                  {"processes", note.processes},
                                  {"state", note.state},
                                  {"step", note.step},
                                  {"settings", note.settings},
                                  {"times", note.times}});
}

ProcessNote process_note(const std::string& text) {
  const nlohmann::json json = parse_json(text);
  return {json.at("turn"), json.at("processes"), json.at("incarnation"), json.at("state"),
          json.at("why"),  json.at("who"),       json.at("wish"),        json.at("agreed")};
}

ChiefNote chief_note(const std::string& text) {
  const nlohmann::json json = parse_json(text);
  return {json.at("turns"), json.at("processes"), json.at("state"),
          json.at("step"),  json.at("settings"),  json.at("times")};
}

// [key - kRefused]: the texts of a table. The handshake of a worker that can read another version's says so.
std::optional<ServerBoard::Notes> notes_of(const tf::Tensor& fetched) {
  ServerBoard::Notes notes;
  const auto texts = fetched.vec<tf::tstring>();
  const auto text = [&](int64_t key) -> std::string { return texts(key - kRefused); };
  try {
    if (!text(kRefused).empty()) notes.refused = parse_json(text(kRefused)).get<Refusals>();
    if (!text(kServer).empty()) notes.server = process_note(text(kServer));
    if (!text(kChief).empty()) notes.chief = chief_note(text(kChief));
    for (int64_t worker = 0; worker < texts.size() + kRefused; ++worker)
      if (!text(worker).empty()) notes.workers[static_cast<int>(worker)] = process_note(text(worker));
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
  return notes;
}

// Cut off, a process is waited for: nobody waits here.
void close_later(std::shared_ptr<tf::Session> session) {
  if (session) std::thread([session = std::move(session)] { session->Close().IgnoreError(); }).detach();
}

}  // namespace

ProcessNote note_of(const ServerCluster& cluster) {
  ProcessNote note;
  note.who = fmt::format("{} {} ({}, process {} on {})", cluster.job, cluster.index, cluster.host(cluster.own_number()),
                         ::getpid(), host_name());
  note.agreed = {{"MoXing", version()},
                 {"--ps_hosts", fmt::format("{}", fmt::join(cluster.ps_hosts, ","))},
                 {"--worker_hosts", fmt::format("{}", fmt::join(cluster.worker_hosts, ","))}};
  return note;
}

std::string ChiefNote::generation() const {
  uint64_t hash = processes;
  for (const uint64_t turn : turns) hash = hash * 1'099'511'628'211ull + turn;
  return fmt::format("{:016x}", hash);
}

uint64_t processes_hash(const std::vector<TensorflowServer::Sign>& signs) {
  uint64_t hash = 14'695'981'039'346'656'037ull;
  for (const auto& sign : signs) hash = (hash ^ sign.incarnation) * 1'099'511'628'211ull;
  return hash;
}

ServerBoard::ServerBoard(const TensorflowServer& server, std::vector<int> servers)
    : server_(server), servers_(std::move(servers)) {}

ServerBoard::~ServerBoard() { close_later(session()); }

std::shared_ptr<tf::Session> ServerBoard::session() const {
  const MutexLock lock(mutex_);
  return session_;
}

bool ServerBoard::open(std::string* why) {
  const ServerCluster& cluster = server_.cluster();
  const std::string own = cluster.task(cluster.own_number());
  tf::GraphDef graph;
  tf::SessionOptions options;
  options.target = server_.target();
  options.config.add_device_filters(own);
  for (const int server : servers_) {
    const std::string task = cluster.task(server);
    add_table(&graph, server, static_cast<int>(cluster.worker_hosts.size()), device_of_task(task));
    if (task != own) options.config.add_device_filters(task);
  }
  if (servers_[0] == 0)
    add_arrivals(&graph, static_cast<int>(cluster.worker_hosts.size()), device_of_task(cluster.task(0)));
  tf::Session* made = nullptr;
  absl::Status status = tf::NewSession(options, &made);
  std::shared_ptr<tf::Session> session(made);
  tf::RunOptions run;
  run.set_timeout_in_ms(10 * kMilliseconds);
  if (status.ok()) status = session->Create(run, graph);
  if (!status.ok()) {
    close_later(session);
    *why = std::string(status.message());
    return false;
  }
  std::shared_ptr<tf::Session> before;
  {
    const MutexLock lock(mutex_);
    before = std::exchange(session_, session);
  }
  close_later(before);
  return true;
}

std::optional<ServerBoard::Notes> ServerBoard::read() const {
  const std::shared_ptr<tf::Session> session = this->session();
  std::vector<tf::Tensor> fetched;
  tf::RunOptions run;
  run.set_timeout_in_ms(kMilliseconds);
  if (!session || !session->Run(run, {}, {numbered("notes", servers_[0])}, {}, &fetched, nullptr).ok())
    return std::nullopt;
  return notes_of(fetched[0]);
}

std::vector<std::optional<ProcessNote>> ServerBoard::servers() const {
  const std::shared_ptr<tf::Session> session = this->session();
  std::vector<std::optional<ProcessNote>> said(servers_.size());
  std::vector<std::string> tables;
  for (const int server : servers_) tables.push_back(numbered("notes", server));
  std::vector<tf::Tensor> fetched;
  tf::RunOptions run;
  run.set_timeout_in_ms(kMilliseconds);
  if (!session || !session->Run(run, {}, tables, {}, &fetched, nullptr).ok()) return said;
  for (size_t i = 0; i < said.size(); ++i)
    if (auto notes = notes_of(fetched[i])) said[i] = std::move(notes->server);
  return said;
}

std::vector<int64_t> ServerBoard::arrivals() const {
  const std::shared_ptr<tf::Session> session = this->session();
  std::vector<std::string> reads;
  for (size_t i = 0; i < server_.cluster().worker_hosts.size(); ++i)
    reads.push_back(arrival_of_worker(static_cast<int>(i)) + "/read");
  std::vector<tf::Tensor> fetched;
  tf::RunOptions run;
  run.set_timeout_in_ms(kMilliseconds);
  if (!session || !session->Run(run, {}, reads, {}, &fetched, nullptr).ok()) return {};
  std::vector<int64_t> steps;
  for (const tf::Tensor& step : fetched) steps.push_back(step.scalar<int64_t>()());
  return steps;
}

bool ServerBoard::write(int64_t key, const std::string& text) {
  const std::shared_ptr<tf::Session> session = this->session();
  tf::Tensor texts(tf::DT_STRING, {1});
  texts.vec<tf::tstring>()(0) = text;
  tf::RunOptions run;
  run.set_timeout_in_ms(kMilliseconds);
  bool all = session != nullptr;
  for (const int server : servers_)
    all &= session && session
                          ->Run(run, {{numbered("key", server), keys_of(key, 1)}, {numbered("text", server), texts}},
                                {}, {numbered("write", server)}, nullptr, nullptr)
                          .ok();
  return all;
}

bool ServerBoard::write(int worker, const ProcessNote& note) { return write(int64_t{worker}, text_of(note)); }
bool ServerBoard::write(const ChiefNote& note) { return write(kChief, text_of(note)); }
bool ServerBoard::write(const Refusals& refused) { return write(kRefused, json_text(nlohmann::json(refused))); }
bool ServerBoard::write_as_server(const ProcessNote& note) { return write(kServer, text_of(note)); }

}  // namespace mox
