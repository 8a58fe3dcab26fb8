#include "run/observers/output_observer.h"

#include <algorithm>

#include "base/message_body.h"
#include "moxing/error.h"
#include "tensorflow/core/framework/tensor.pb.h"

namespace mox {

namespace tf = tensorflow;

namespace {

// What a process tells of its steps: whether it has ended, and their outputs.
std::string write_steps(const std::vector<std::vector<OutputDict>>& steps, bool ended) {
  Body body;
  body.number(ended).number(steps.size());
  for (const auto& step : steps) {
    body.number(step.size());
    for (const OutputDict& dict : step) {
      body.number(dict.size());
      for (const auto& [name, tensor] : dict) {
        tf::TensorProto proto;
        tensor.AsProtoTensorContent(&proto);
        body.text(name).text(proto.SerializeAsString());
      }
    }
  }
  return body.take();
}

std::vector<std::vector<OutputDict>> read_steps(const std::string& text, bool* ended) {
  BodyReader body(text);
  *ended = body.number() != 0;
  std::vector<std::vector<OutputDict>> steps(body.number());
  for (auto& step : steps) {
    step.resize(body.number());
    for (OutputDict& dict : step) {
      for (uint64_t left = body.number(); left > 0; --left) {
        const std::string name = body.text();
        tf::TensorProto proto;
        if (!proto.ParseFromString(body.text()) || !dict[name].FromProto(proto))
          throw Error("the output '" + name + "' of another worker cannot be read");
      }
    }
  }
  return steps;
}

}  // namespace

OutputObserver::OutputObserver(const BuiltGraph& graph, FetchPlan& plan, OutputFn output_fn, int64_t every,
                               Gather gather)
    : graph_(graph),
      plan_(plan),
      output_fn_(std::move(output_fn)),
      full_(std::max<int64_t>(1, every)),
      gather_(std::move(gather)) {}

void OutputObserver::request(int64_t, StepRequest* request) const {
  for (int tower = 0; tower < request->towers; ++tower)
    for (const NamedTensor& info : graph_.towers[tower].output_info) request->fetches.push_back(info.tensor);
}

void OutputObserver::after_step(const StepResult& result) {
  if (result.wanted == 0) return;
  auto next = result.fetched.begin();
  Step& step = steps_.emplace_back();
  for (int tower = 0; tower < result.towers; ++tower) {
    OutputDict& dict = step.emplace_back();
    for (const NamedTensor& info : graph_.towers[tower].output_info) dict[info.name] = *next++;
  }
  if (steps_.size() < full_) return;
  if (gather_)
    exchange(false);
  else
    deliver({std::move(steps_)});
  steps_.clear();
}

void OutputObserver::report(const Ending& ending, RunResult*) {
  if (!gather_) return deliver({std::move(steps_)});
  if (ending.how == Ending::kInterrupted) return;
  // Until the others have ended, too: they count on this process's part.
  while (!exchange(true)) steps_.clear();
}

bool OutputObserver::exchange(bool ended) {
  std::vector<std::vector<Step>> processes;
  bool all_ended = ended;
  for (const std::string& text : gather_(write_steps(steps_, ended))) {
    bool this_ended = false;
    processes.push_back(read_steps(text, &this_ended));
    all_ended &= this_ended;
  }
  deliver(processes);
  return all_ended;
}

void OutputObserver::deliver(const std::vector<std::vector<Step>>& processes) {
  std::vector<OutputDict> outputs;
  size_t steps = 0;
  for (const auto& process : processes) steps = std::max(steps, process.size());
  for (size_t step = 0; step < steps; ++step)
    for (const auto& process : processes)
      if (step < process.size()) outputs.insert(outputs.end(), process[step].begin(), process[step].end());
  if (!outputs.empty() && output_fn_) output_fn_(outputs);
}

}  // namespace mox
