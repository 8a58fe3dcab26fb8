#include "graph/random_ops.h"

#include <vector>

#include "graph/node_defs.h"

namespace mox {

namespace tf = tensorflow;

namespace {

struct StatelessOp {
  const char* op;
  const char* stateless;
  int seed_input;     // where the stateless operation takes its seed
  const char* dtype;  // attribute of `op` that the stateless one calls dtype; null: all attributes are the same
};

constexpr StatelessOp kOps[] = {
    {"RandomStandardNormal", "StatelessRandomNormal", 1, "dtype"},
    {"RandomUniform", "StatelessRandomUniform", 1, "dtype"},
    {"RandomUniformInt", "StatelessRandomUniformInt", 1, "Tout"},
    {"TruncatedNormal", "StatelessTruncatedNormal", 1, "dtype"},
    {"SampleDistortedBoundingBoxV2", "StatelessSampleDistortedBoundingBox", 3, nullptr},
    {"Multinomial", "StatelessMultinomial", 2, nullptr},
};

const StatelessOp* stateless_op(const tf::NodeDef& node) {
  for (const StatelessOp& entry : kOps)
    if (node.op() == entry.op) return &entry;
  return nullptr;
}

int64_t seed_attr(const tf::NodeDef& node, const std::string& name) {
  const auto found = node.attr().find(name);
  return found == node.attr().end() ? 0 : found->second.i();
}

}  // namespace

bool is_seeded_random_op(const tf::NodeDef& node) {
  return stateless_op(node) && (seed_attr(node, "seed") || seed_attr(node, "seed2"));
}

tf::Tensor random_key(const tf::NodeDef& node) {
  tf::Tensor key(tf::DT_INT64, {});
  key.scalar<int64_t>()() = seed_attr(node, "seed") * 0x9E3779B97F4A7C15ull + seed_attr(node, "seed2");
  return key;
}

void make_stateless(tf::NodeDef* node, const std::string& seed) {
  const StatelessOp& entry = *stateless_op(*node);
  std::vector<std::string> inputs(node->input().begin(), node->input().end());
  inputs.insert(inputs.begin() + entry.seed_input, seed);
  node->clear_input();
  for (const std::string& input : inputs) node->add_input(input);
  node->set_op(entry.stateless);
  auto& attributes = *node->mutable_attr();
  if (entry.dtype) {
    const tf::AttrValue dtype = attributes.at(entry.dtype);
    attributes.erase("Tout");
    attributes["dtype"] = dtype;
  }
  for (const char* gone : {"seed", "seed2"}) attributes.erase(gone);
  tf::SetAttrValue(tf::DT_INT64, &attributes["Tseed"]);
}

}  // namespace mox
