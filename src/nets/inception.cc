#include "nets/inception.h"

namespace mox::nets::inception {

namespace tf = tensorflow;
using layers::Padding;

Step conv(int outputs, layers::KernelSize kernel, const std::string& name, float stddev) {
  return {.kind = Step::kConv, .outputs = outputs, .kernel = kernel, .name = name, .stddev = stddev};
}

Step reduce(int outputs, const std::string& name, Padding padding) {
  return {.kind = Step::kConv, .outputs = outputs, .kernel = 3, .name = name, .stride = 2, .padding = padding};
}

Step max_pool(const std::string& name) { return {.kind = Step::kMaxPool, .kernel = 3, .name = name}; }

Step reduce_pool(const std::string& name, Padding padding) {
  return {.kind = Step::kMaxPool, .kernel = 3, .name = name, .stride = 2, .padding = padding};
}

Step avg_pool() { return {.kind = Step::kAvgPool, .kernel = 3, .name = "AvgPool_0a_3x3"}; }

Step fork(std::vector<Step> forks) { return {.kind = Step::kFork, .forks = std::move(forks)}; }

namespace {

tf::Output apply(const Net& net, const Scope& scope, const tf::Output& x, const Step& step) {
  switch (step.kind) {
    case Step::kMaxPool:
      return net.max_pool(scope, x, step.kernel, step.name, step.stride, step.padding);
    case Step::kAvgPool:
      return net.avg_pool(scope, x, step.kernel, step.name, step.stride, step.padding);
    case Step::kFork: {
      std::vector<tf::Output> outputs;
      for (const Step& each : step.forks) outputs.push_back(apply(net, scope, x, each));
      return net.concat(scope, outputs);
    }
    case Step::kConv:
      break;
  }
  layers::Conv2dOptions options = net.conv;
  options.stride = step.stride;
  options.padding = step.padding;
  if (step.stddev > 0) options.weights_initializer = truncated_normal_initializer(step.stddev);
  return layers::conv2d(scope, x, step.outputs, step.kernel, step.name, options);
}

}  // namespace

tf::Output mixed(const Net& net, const Scope& scope, const tf::Output& x, const std::string& name,
                 const std::vector<Branch>& branches) {
  const Scope block = scope.var_scope(name);
  std::vector<tf::Output> outputs;
  for (size_t i = 0; i < branches.size(); ++i) {
    const Scope s = block.var_scope("Branch_" + std::to_string(i));
    tf::Output y = x;
    for (const Step& each : branches[i]) y = apply(net, s, y, each);
    outputs.push_back(y);
  }
  return net.concat(block, outputs);
}

tf::Output step(Net& net, const Scope& scope, const tf::Output& x, const Step& step) {
  return net.end_point(step.name, apply(net, scope, x, step));
}

void set_defaults(Net& net) {
  net.batch_norm.decay = net.batch_norm_decay(0.9997f);
  net.batch_norm.epsilon = 0.001f;
  net.normalize_convolutions();
  // TF-slim's separable convolutions keep their own defaults here: biases, no normalization.
  net.separable.normalizer = nullptr;
  net.conv.weights_initializer = variance_scaling_initializer();
}

NetworkOutput finish_with_convolution(Net& net, const Scope& scope, const Scope& outer, const tf::Output& inputs,
                                      const Ending& ending) {
  const Scope s = scope.var_scope("Logits");
  tf::Output x = net.final_pool(s, inputs, ending.pool, ending.scope_pool);
  if (!ending.pool_end_point.empty()) net.end_point(ending.pool_end_point, x);
  x = net.dropout(s, x, ending.keep_prob, ending.scope_dropout);
  if (!ending.dropped_end_point.empty()) net.end_point(ending.dropped_end_point, x);
  const tf::Output logits = net.linear_conv2d(s, x, net.params().num_classes, 1, ending.convolution);
  return net.finish(outer, net.squeeze_logits(s, logits));
}

tf::Output auxiliary_classifier(const Net& net, const Scope& scope, const tf::Output& features,
                                const AuxiliaryNames& names) {
  tf::Output x = net.avg_pool(scope, features, 5, names.pool, 3, Padding::kValid);
  x = net.conv2d(scope, x, 128, 1, names.projection);
  x = net.conv2d(scope, x, 768, net.image_size(scope, x), names.whole, 1, Padding::kValid);
  return net.linear(scope, net.flatten(scope, x), net.params().num_classes, names.logits);
}

}  // namespace mox::nets::inception
