// LeNet as TF-slim has it: two convolutions, two dense layers. 28x28 grey images.
#include "nets/families.h"

namespace mox::nets {

NetworkOutput lenet(const Scope& scope, const tensorflow::Output& images, const Params& params) {
  Net net(params);
  net.conv.weights_initializer = net.dense.weights_initializer = truncated_normal_initializer(0.1f);
  const Scope s = scope.var_scope("LeNet");
  tensorflow::Output x = net.end_point("conv1", net.conv2d(s, images, 32, 5, "conv1"));
  x = net.end_point("pool1", net.max_pool(s, x, 2, "pool1"));
  x = net.end_point("conv2", net.conv2d(s, x, 64, 5, "conv2"));
  x = net.end_point("pool2", net.max_pool(s, x, 2, "pool2"));
  x = net.end_point("Flatten", net.flatten(s, x));
  x = net.end_point("fc3", layers::fully_connected(s, x, 1024, "fc3", net.dense));
  x = net.end_point("dropout3", net.dropout(s, x, 0.5f, "dropout3"));
  layers::FullyConnectedOptions linear = net.dense;
  linear.activation = nullptr;
  return net.finish(scope, layers::fully_connected(s, x, params.num_classes, "fc4", linear));
}

}  // namespace mox::nets
