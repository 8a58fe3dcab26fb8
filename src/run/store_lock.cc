#include "run/store_lock.h"

#include <fmt/format.h>

#include <chrono>
#include <random>
#include <sstream>
#include <thread>

#include "moxing/error.h"
#include "moxing/file.h"
#include "moxing/log.h"
#include "run/process_identity.h"

namespace mox {
namespace {

using std::chrono::steady_clock;

std::chrono::milliseconds milliseconds(double seconds) {
  return std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000));
}

std::string new_token() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}", random(), random());
}

}  // namespace

struct StoreLock::Holder : ProcessIdentity {
  std::string token;
  int beats = 0;
};

StoreLock::StoreLock(const std::string& log_dir, Times times)
    : log_dir_(log_dir),
      path_(log_dir + (log_dir.back() == '/' ? "" : "/") + ".mox_lock"),
      times_(times),
      token_(new_token()) {
  try {
    if (const auto holder = read()) watch(*holder);
    write();
    std::this_thread::sleep_for(milliseconds(times_.settle));
    if (const auto holder = read(); holder && holder->token != token_) refuse(*holder);
  } catch (const InvalidArgumentError&) {
    throw;
  } catch (const Error& e) {
    throw InvalidArgumentError(fmt::format("log_dir '{}' cannot be locked: {}", log_dir_, e.what()));
  }
  thread_ = WorkerThread("mox_lock", [this](const auto& stop) { beat(stop); });
}

StoreLock::~StoreLock() {
  thread_.stop();
  if (lost_) return;
  try {
    file::remove(path_);
  } catch (const Error& e) {
    log_warning(fmt::format("the lock {} could not be removed: {}", path_, e.what()));
  }
}

std::optional<StoreLock::Holder> StoreLock::read() const {
  std::string text;
  try {
    text = file::read(path_);
  } catch (const file::MoxFileNotExistsException& e) {
    if (e.resp().code == "NoSuchBucket") throw;
    return std::nullopt;
  }
  Holder holder;
  std::istringstream fields(text);
  // What is no lock of ours has no beats, and is watched in vain.
  fields >> holder.host >> holder.pid >> holder.space >> holder.start >> holder.token >> holder.beats;
  return holder;
}

void StoreLock::write() { file::write(path_, fmt::format("{} {} {}\n", process_identity(), token_, beats_)); }

void StoreLock::watch(const Holder& holder) const {
  const std::string who = fmt::format("process {} on host {}", holder.pid, holder.host);
  if (holder.is_gone()) {
    log_info(fmt::format("log_dir '{}': {} ended without removing its lock, which is taken over", log_dir_, who));
    return;
  }
  log_info(fmt::format("log_dir '{}' has the lock of {}: waiting up to {:.0f} s for a sign that it lives", log_dir_,
                       who, times_.watch));
  const auto end = steady_clock::now() + milliseconds(times_.watch);
  while (steady_clock::now() < end) {
    std::this_thread::sleep_for(milliseconds(times_.beat / 5));
    const auto now = read();
    if (!now) return;
    if (now->token != holder.token || now->beats != holder.beats) refuse(*now);
  }
  log_warning(fmt::format("log_dir '{}': {} gave no sign of life for {:.0f} s: its lock is taken over", log_dir_, who,
                          times_.watch));
}

void StoreLock::beat(const std::stop_token& stop) {
  while (sleep_unless_stopped(stop, milliseconds(times_.beat))) {
    try {
      const auto holder = read();
      if (holder && holder->token != token_) {
        lost_ = true;
        log_error(
            fmt::format("log_dir '{}': process {} on host {} trains there, too, since this training gave no sign "
                        "of life for some time; end one of the two",
                        log_dir_, holder->pid, holder->host));
        return;
      }
      ++beats_;
      write();
    } catch (const Error& e) {
      log_debug(fmt::format("the lock {} could not be written anew: {}", path_, e.what()));
    }
  }
}

void StoreLock::refuse(const Holder& holder) const {
  throw InvalidArgumentError(fmt::format(
      "log_dir '{}' is in use: process {} on host {} trains there. Wait for it, end it, or give another log_dir",
      log_dir_, holder.pid, holder.host));
}

}  // namespace mox
