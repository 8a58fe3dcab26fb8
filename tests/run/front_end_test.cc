// What users' functions must not return is told in the same words by both front ends: front_end_errors.json has the
// words, python/tests/test_front_ends.py the same cases.
#include <fstream>
#include <functional>
#include <map>
#include <sstream>

#include "base/json_text.h"
#include "run/toy_model.h"

namespace mox {
namespace {

using namespace mox::testing;
using Spec = std::function<void(const Scope&, ModelSpec*)>;
using Change = std::function<void(RunOptions*)>;

const nlohmann::json& texts() {
  static const nlohmann::json texts = [] {
    std::ifstream file(MOX_TEST_FRONT_END_ERRORS);
    std::ostringstream text;
    text << file.rdbuf();
    return parse_json(text.str());
  }();
  return texts;
}

// With this language's words in it.
std::string expected(const std::string& name) {
  std::string text = texts()["errors"][name];
  for (const auto& [word, value] : texts()["words"]["cpp"].items()) {
    const std::string place = "{" + word + "}";
    if (const size_t at = text.find(place); at != std::string::npos)
      text.replace(at, place.size(), value.get<std::string>());
  }
  return text;
}

Change spec_with(Spec change) {
  return [change](RunOptions* options) {
    options->model_fn = [change](const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
      ModelSpec spec = regression_model(s, inputs, mode);
      change(s, &spec);
      return spec;
    };
  };
}

Change both(Change first, Change second) {
  return [first, second](RunOptions* options) {
    first(options);
    second(options);
  };
}

Change in_mode(ModeKeys mode, Spec change) {
  return both(spec_with(change), [mode](RunOptions* o) {
    o->run_mode = mode;
    o->output_fn = [](const std::vector<OutputDict>&) {};
  });
}

Change in_export(Spec change) {
  return both(spec_with(change), [](RunOptions* o) { o->export_model = export_keys::TF_SERVING; });
}

// Of a graph that is nobody's.
Output elsewhere() {
  static const Scope scope = Scope::new_root();
  static const Output tensor = ops::Const(scope.WithOpName("elsewhere"), 1.f);
  return tensor;
}

Output wide(const Scope& s, const ModelSpec& spec) {
  return ops::Identity(s.WithOpName("wide"), spec.output_info[0].second);
}

void name_loss(const Scope& s, ModelSpec* spec) {
  spec->loss = ops::Identity(s.WithOpName("alone"), spec->loss.all()[0]);
}

InputFn input_of(std::function<std::vector<Output>(const Scope&)> make) {
  return [make](const Scope& s, ModeKeys) { return make(s); };
}

const std::map<std::string, Change>& cases() {
  static const std::map<std::string, Change> cases = {
      {"no_input_fn", [](RunOptions* o) { o->input_fn = nullptr; }},
      {"no_model_fn", [](RunOptions* o) { o->model_fn = nullptr; }},
      {"no_optimizer_fn", [](RunOptions* o) { o->optimizer_fn = nullptr; }},
      {"input_is_empty",
       [](RunOptions* o) { o->input_fn = input_of([](const Scope&) { return std::vector<Output>(); }); }},
      {"input_is_no_tensor",
       [](RunOptions* o) {
         o->input_fn = input_of([](const Scope& s) { return std::vector<Output>{ops::Const(s, 1.f), Output()}; });
       }},
      {"input_from_outside",
       [](RunOptions* o) { o->input_fn = input_of([](const Scope&) { return std::vector<Output>{elsewhere()}; }); }},
      {"no_batch_size_in_the_shape",
       [](RunOptions* o) {
         o->batch_size = 0;
         o->auto_batch = false;
         o->input_fn =
             input_of([](const Scope& s) { return std::vector<Output>{ops::Const(s.WithOpName("one"), 1.f)}; });
       }},
      {"no_loss", spec_with([](const Scope&, ModelSpec* m) { m->loss = {}; })},
      {"no_log_info", in_mode(ModeKeys::EVAL, [](const Scope&, ModelSpec* m) { m->log_info = {}; })},
      {"no_output_info", in_mode(ModeKeys::PREDICT, [](const Scope&, ModelSpec* m) { m->output_info = {}; })},
      {"no_export_spec", in_export([](const Scope&, ModelSpec* m) { m->export_spec.reset(); })},
      {"no_log_info_in_inter_mode", both(spec_with([](const Scope&, ModelSpec* m) { m->log_info = {}; }),
                                         [](RunOptions* o) { o->inter_mode = ModeKeys::EVAL; })},
      {"loss_is_no_tensor", spec_with([](const Scope&, ModelSpec* m) { m->loss = Output(); })},
      {"loss_from_outside", spec_with([](const Scope&, ModelSpec* m) { m->loss = elsewhere(); })},
      {"loss_is_no_scalar", spec_with([](const Scope& s, ModelSpec* m) { m->loss = wide(s, *m); })},
      {"scopes_for_losses", spec_with([](const Scope&, ModelSpec* m) {
         m->var_scopes = {{"a"}, {"b"}};
       })},
      {"log_info_from_outside", spec_with([](const Scope&, ModelSpec* m) {
         m->log_info = {{"x", elsewhere()}};
       })},
      {"log_info_is_no_scalar", spec_with([](const Scope& s, ModelSpec* m) {
         m->log_info = {{"x", wide(s, *m)}};
       })},
      {"output_info_from_outside", spec_with([](const Scope&, ModelSpec* m) {
         m->output_info = {{"x", elsewhere()}};
       })},
      {"export_from_outside", in_export([](const Scope&, ModelSpec* m) {
         m->export_spec->outputs_dict = {{"x", elsewhere()}};
       })},
      {"loss_without_variables",
       spec_with([](const Scope& s, ModelSpec* m) { m->loss = ops::Const(s.WithOpName("alone"), 1.f); })},
      {"scopes_without_variables", spec_with([](const Scope& s, ModelSpec* m) {
         name_loss(s, m);
         m->var_scopes = {{"wb", "w/b"}};
       })},
      {"patterns_without_variables",
       both(spec_with(name_loss), [](RunOptions*) { set_flag("trainable_exclude_patterns", "w,b"); })},
      {"optimizers_for_losses",
       [](RunOptions* o) {
         o->optimizer_fn = {get_optimizer_fn("sgd", 0.1), get_optimizer_fn("sgd", 0.1)};
       }},
      {"optimizer_is_none", [](RunOptions* o) { o->optimizer_fn = [](const Scope&) { return nullptr; }; }},
      {"hook_is_none", spec_with([](const Scope&, ModelSpec* m) { m->hooks = {nullptr}; })},
  };
  return cases;
}

class FrontEnd : public ::testing::TestWithParam<std::string> {};

TEST_P(FrontEnd, SaysItInTheCommonWords) {
  TempDir dir;
  RunOptions options = toy_options(dir.path(), 3);
  cases().at(GetParam())(&options);
  EXPECT_EQ(error_of<InvalidArgumentError>([&] { run(options); }), expected(GetParam()));
  EXPECT_FALSE(std::filesystem::exists(dir.path("checkpoint")));
  reset_flags();
}

std::vector<std::string> names() {
  std::vector<std::string> names;
  for (const auto& error : texts()["errors"].items()) names.push_back(error.key());
  return names;
}

INSTANTIATE_TEST_SUITE_P(Run, FrontEnd, ::testing::ValuesIn(names()), [](const auto& info) { return info.param; });

TEST(FrontEnds, AllCasesHaveTheirWords) { EXPECT_EQ(cases().size(), names().size()); }

}  // namespace
}  // namespace mox
