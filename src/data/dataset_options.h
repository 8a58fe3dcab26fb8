// What moxing/dataset_options.inc is used for in the library and the binding.
#pragma once

#include <type_traits>

#include "base/options.h"
#include "moxing/dataset.h"
#include "moxing/image_dataset.h"
#include "moxing/tfrecord.h"

namespace mox::data {

// Calls visit(line of the table, pointer to the member) for each option that the struct has.
template <typename Options, typename Visit>
void for_each_option(const Visit& visit) {
  auto line = dataset_options().begin();
#define MOX_DATASET_OPTION(group, type, name, ...)                                        \
  if constexpr (requires(Options o) { requires std::is_same_v<decltype(o.name), type>; }) \
    visit(*line, &Options::name);                                                         \
  ++line;
#include "moxing/dataset_options.inc"
}

// InvalidArgumentError that names the first option outside of its range.
template <typename Options>
void check_options(const Options& options) {
  for_each_option<Options>([&](const OptionInfo& line, auto member) { check_field(line, options.*member); });
}

// Copies what both structs have.
template <typename From, typename To>
void copy_options(const From& from, To* to) {
#define MOX_DATASET_OPTION(group, type, name, ...) \
  if constexpr (requires { to->name = from.name; }) to->name = from.name;
#include "moxing/dataset_options.inc"
}

}  // namespace mox::data
