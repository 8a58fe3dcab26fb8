#include "graph/scalar_const.h"

#include "moxing/error.h"

namespace mox {

namespace tf = tensorflow;

tf::Tensor scalar_of(tf::DataType dtype, double value, const std::string& what) {
  tf::Tensor t(dtype, {});
  switch (dtype) {
    case tf::DT_FLOAT:
      t.scalar<float>()() = static_cast<float>(value);
      break;
    case tf::DT_DOUBLE:
      t.scalar<double>()() = value;
      break;
    case tf::DT_HALF:
      t.scalar<Eigen::half>()() = static_cast<Eigen::half>(value);
      break;
    case tf::DT_BFLOAT16:
      t.scalar<tf::bfloat16>()() = static_cast<tf::bfloat16>(static_cast<float>(value));
      break;
    default:
      throw InvalidArgumentError(what + " of type " + tf::DataTypeString(dtype) +
                                 ": expected a floating point type (half, bfloat16, float or double)");
  }
  return t;
}

}  // namespace mox
