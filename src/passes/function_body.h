// A FunctionDef's nodes, and who reads them, for passes on functions. Its inputs read "node:output:0" or "argument".
#pragma once

#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "tensorflow/core/framework/function.pb.h"

namespace mox {

class FunctionBody {
 public:
  explicit FunctionBody(tensorflow::FunctionDef* function);

  tensorflow::FunctionDef& def() { return *function_; }
  // Who makes it; null for an argument.
  tensorflow::NodeDef* producer(const std::string& input) const;
  // -1: no argument.
  int argument(const std::string& input) const;
  // All readers of `from`, results too, read `to`.
  void redirect(const std::string& from, const std::string& to);
  // Takes away those of `candidates` that nobody reads, until there are none; pointers to nodes are void then.
  void remove_unread(const std::set<std::string>& candidates);

  // The node or argument that an input names; "^" and what follows the name are left out.
  static std::string owner(const std::string& input);

 private:
  void index();

  tensorflow::FunctionDef* function_;
  std::unordered_map<std::string, tensorflow::NodeDef*> nodes_;
};

}  // namespace mox
