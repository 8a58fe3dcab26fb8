// How long does writing a checkpoint take, beside TensorFlow's BundleWriter (what tf.train.Saver's operation runs) on
// the same tensors? Ten of MEGABYTES in all, in turn, each to files that are removed again. Prints a JSON line with
// seconds of wall and CPU time for each; [MEGABYTES] [ROUNDS] [FOLDER].
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <functional>
#include <vector>

#include "run/checkpoint_file.h"
#include "tensorflow/core/platform/env.h"
#include "tensorflow/core/util/tensor_bundle/tensor_bundle.h"

namespace {

struct Times {
  std::vector<double> wall, cpu;
};

void time(const std::string& folder, Times* times, const std::function<void(const std::string& prefix)>& write) {
  const auto begin = std::chrono::steady_clock::now();
  const std::clock_t cpu = std::clock();
  write(folder + "/model.ckpt-1");
  times->cpu.push_back(static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC);
  times->wall.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  for (const auto& entry : std::filesystem::directory_iterator(folder)) std::filesystem::remove(entry.path());
}

}  // namespace

int main(int argc, char** argv) {
  const int megabytes = argc > 1 ? std::atoi(argv[1]) : 2000, rounds = argc > 2 ? std::atoi(argv[2]) : 3;
  const std::string place = argc > 3 ? argv[3] : std::filesystem::temp_directory_path().string();
  std::string folder = place + "/save_write_XXXXXX";
  folder = mkdtemp(folder.data());
  mox::NamedValues values;
  for (int i = 0; i < 10; ++i) {
    tensorflow::Tensor value(tensorflow::DT_FLOAT, {25 * megabytes, 1000});
    value.flat<float>().setConstant(static_cast<float>(i) + 0.5f);
    values.emplace_back("w" + std::to_string(i), value);
  }
  Times ours, theirs;
  for (int round = 0; round < rounds; ++round) {
    time(folder, &ours, [&](const std::string& prefix) { mox::write_checkpoint(prefix, values); });
    time(folder, &theirs, [&](const std::string& prefix) {
      tensorflow::BundleWriter writer(tensorflow::Env::Default(), prefix);
      for (const auto& [name, value] : values) TF_CHECK_OK(writer.Add(name, value));
      TF_CHECK_OK(writer.Finish());
    });
  }
  std::filesystem::remove_all(folder);
  fmt::print("{{\"checkpoint_mb\": {}, \"mox_seconds\": [{:.3f}], \"mox_cpu\": [{:.3f}], ", megabytes,
             fmt::join(ours.wall, ", "), fmt::join(ours.cpu, ", "));
  fmt::print("\"bundle_writer_seconds\": [{:.3f}], \"bundle_writer_cpu\": [{:.3f}]}}\n", fmt::join(theirs.wall, ", "),
             fmt::join(theirs.cpu, ", "));
  return 0;
}
