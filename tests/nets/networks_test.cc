// Every network against the facts of TF-slim's: variables, shapes, end points, regularized weights.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/json_text.h"
#include "moxing/error.h"
#include "moxing/network_description.h"

namespace mox {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

json read_json(const fs::path& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  return parse_json({std::istreambuf_iterator<char>(file), {}});
}

const json& expected_networks() {
  static const json expected = read_json(fs::path(MOX_EXPECTED_NETS) / "networks.json");
  return expected;
}

std::string join(const std::vector<int64_t>& shape) {
  std::string text;
  for (int64_t d : shape) text += (text.empty() ? "" : ",") + std::to_string(d);
  return text;
}

// FNV-1a; make_expected.py computes the same.
std::string digest(const std::string& text) {
  uint64_t hash = 14695981039346656037ull;
  for (unsigned char c : text) hash = (hash ^ c) * 1099511628211ull;
  char hex[17];
  std::snprintf(hex, sizeof hex, "%016llx", static_cast<unsigned long long>(hash));
  return hex;
}

std::set<std::string> variable_lines(const NetworkDescription& d) {
  std::set<std::string> lines;
  for (const auto& v : d.variables)
    lines.insert(v.name + ":" + join(v.shape) + ":" + (v.trainable ? "trainable" : "fixed") + ":" +
                 (v.regularized ? "regularized" : "free"));
  return lines;
}

std::vector<std::string> end_point_lines(const NetworkDescription& d) {
  std::vector<std::string> lines;
  for (const auto& e : d.end_points) lines.push_back(e.name + ":" + join(e.shape));
  return lines;
}

template <class Lines>
std::string joined(const Lines& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

// What this test compares with, or an error that says how it comes to be there.
const json& expected_facts(const std::string& name) {
  if (!expected_networks().contains(name))
    throw NotFoundError("tests/nets/expected/networks.json has no entry '" + name +
                        "': run tests/nets/make_expected.py " + name + " and commit what it adds");
  return expected_networks().at(name);
}

NetworkDescription describe(const std::string& name) {
  return describe_network(name, {.num_classes = expected_facts(name).at("num_classes").get<int>(), .batch_size = 2});
}

class Networks : public testing::TestWithParam<std::string> {};

TEST_P(Networks, MatchTheStoredFacts) {
  const json& expected = expected_facts(GetParam());
  const NetworkDescription d = describe(GetParam());
  EXPECT_EQ(d.meta.default_image_size, expected.at("image_size"));
  EXPECT_EQ(d.meta.default_channels, expected.at("channels"));
  EXPECT_EQ(d.parameters, expected.at("parameters"));
  EXPECT_EQ(d.variables.size(), expected.at("variables"));
  EXPECT_EQ(digest(joined(variable_lines(d))), expected.at("variables_digest"));
  EXPECT_EQ(joined(end_point_lines(d)), expected.at("end_points").get<std::string>());
}

std::vector<std::string> tf_slims_networks() {
  std::vector<std::string> names;
  for (const auto& [name, facts] : expected_networks().items())
    if (facts.at("source") == "TF-slim") names.push_back(name);
  return names;
}

class TfSlimsNetworks : public testing::TestWithParam<std::string> {};

// Name by name where TF-slim's lists are at hand: says which variable is wrong.
TEST_P(TfSlimsNetworks, MatchTheirLists) {
  const char* folder = std::getenv("MOX_SHARED_NETS");
  const fs::path path = fs::path(folder ? folder : MOX_SHARED_NETS) / (GetParam() + ".json");
  if (!fs::exists(path)) GTEST_SKIP() << path << " is not there";
  const json slim = read_json(path);
  const NetworkDescription d = describe(GetParam());
  std::map<std::string, std::string> theirs, ours;
  for (const json& v : slim.at("variables"))
    theirs[v.at("name")] = join(v.at("shape").get<std::vector<int64_t>>()) + (v.at("trainable") ? " trainable" : "");
  for (const auto& v : d.variables) ours[v.name] = join(v.shape) + (v.trainable ? " trainable" : "");
  for (const auto& [name, facts] : theirs) EXPECT_EQ(ours[name], facts) << name;
  for (const auto& [name, facts] : ours) EXPECT_EQ(theirs[name], facts) << name;
  for (const auto& e : d.end_points) {
    ASSERT_TRUE(slim.at("end_points").contains(e.name)) << e.name;
    EXPECT_EQ(slim.at("end_points").at(e.name).get<std::vector<int64_t>>(), e.shape) << e.name;
  }
  EXPECT_EQ(slim.at("end_points").size(), d.end_points.size());
  EXPECT_EQ(slim.at("parameters"), d.parameters);
}

INSTANTIATE_TEST_SUITE_P(All, Networks, testing::ValuesIn(network_names()), [](const auto& p) { return p.param; });

INSTANTIATE_TEST_SUITE_P(All, TfSlimsNetworks, testing::ValuesIn(tf_slims_networks()),
                         [](const auto& p) { return p.param; });

std::string text_of(const char* path) {
  std::ifstream file(fs::path(MOX_SOURCE) / path);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

// A new network is a line in src/nets/builtin.cc and these; docs/adding.md tells of all.
TEST(NetworkTable, EveryNameStandsWhereItBelongs) {
  const std::string header = text_of("include/moxing/nets.h"), page = text_of("docs/networks.md");
  const std::vector<std::string> names = network_names();
  for (const std::string& name : names) {
    EXPECT_TRUE(header.find("[] = \"" + name + "\";") != std::string::npos)
        << "include/moxing/nets.h: NetworkKeys has no constant for '" << name << "'; add it";
    EXPECT_TRUE(page.find("| `" + name + "` |") != std::string::npos)
        << "docs/networks.md: the table has no row for '" << name << "'; run python3 docs/networks_table.py";
    EXPECT_NO_THROW(expected_facts(name));
  }
  for (const auto& [name, facts] : expected_networks().items())
    EXPECT_TRUE(std::count(names.begin(), names.end(), name))
        << "tests/nets/expected/networks.json has an entry '" << name << "', which is no network; remove it";
}

TEST(NetworkTable, HasTheManualsNames) {
  EXPECT_EQ(tf_slims_networks().size(), 32u);
  EXPECT_GE(network_names().size(), 55u);
  EXPECT_EQ(get_model_meta("resnet_v1_50").default_labels_offset, 1);
  EXPECT_EQ(get_model_meta("resnet_v1_50").default_logits_pattern, "logits");
  EXPECT_EQ(get_model_meta("inception_v3").default_labels_offset, 0);
  EXPECT_EQ(get_model_meta(NetworkKeys::NASNET_LARGE).default_image_size, 331);
}

TEST(NetworkTable, AnUnknownNameListsTheKnownOnes) {
  try {
    get_model_fn("resnet_v3_50", ModeKeys::EVAL, 10);
    FAIL();
  } catch (const InvalidArgumentError& e) {
    const std::string text = e.what();
    EXPECT_NE(text.find("resnet_v3_50"), std::string::npos);
    for (const std::string& name : network_names()) EXPECT_NE(text.find(name), std::string::npos) << name;
  }
}

TEST(NetworkTable, LogitsPatternsFitTheLastLayersVariables) {
  for (const char* name : {"vgg_16", "lenet", "cifarnet", "resnet_v2_50", "inception_v1", "mobilenet_v2",
                           "nasnet_cifar", "pvanet", "resnext_c_50"}) {
    const std::string pattern = get_model_meta(name).default_logits_pattern;
    const NetworkDescription d = describe_network(name, {.num_classes = 7});
    for (const auto& v : d.variables)
      EXPECT_EQ(v.name.find(pattern) != std::string::npos, v.shape.back() == 7) << name << " " << v.name;
  }
}

}  // namespace
}  // namespace mox
