#include "run/observers/checkpoint_observer.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>

#include "moxing/error.h"
#include "moxing/log.h"
#include "run/signals.h"
#include "run/start_up_memory.h"

namespace mox {

using std::chrono::steady_clock;

namespace {

constexpr double kDefaultSaveSeconds = 600;  // with neither save_model_secs nor save_model_steps

}  // namespace

CheckpointObserver::CheckpointObserver(Options options, std::unique_ptr<CheckpointWriter> writer,
                                       std::function<NamedValues()> read, Best best)
    : options_(std::move(options)),
      writer_(std::move(writer)),
      read_(std::move(read)),
      best_(std::move(best)),
      periods_(options_.every_steps > 0 ? options_.first / options_.every_steps : 0),
      last_save_(steady_clock::now()) {}

bool CheckpointObserver::is_due(int64_t global_step) {
  const double elapsed = std::chrono::duration<double>(steady_clock::now() - last_save_).count();
  if (options_.every_secs >= 0) return options_.every_secs > 0 && elapsed >= options_.every_secs;
  if (options_.every_steps < 0) return elapsed >= kDefaultSaveSeconds;
  if (options_.every_steps == 0) return false;
  // Several processes may move the global step over a multiple.
  const int64_t before = periods_;
  periods_ = global_step / options_.every_steps;
  return periods_ != before;
}

void CheckpointObserver::after_step(const StepResult& result) {
  const bool due = is_due(result.global_after) || (best_.wanted && best_.wanted());
  const bool again = !due && writer_->wants_again();
  if (due || again) save(result.number.local + 1, again);
}

void CheckpointObserver::save(int64_t steps, bool again) {
  NamedValues values = read_();
  const auto step =
      std::find_if(values.begin(), values.end(), [&](const auto& v) { return v.first == options_.global_step; });
  if (step == values.end()) throw Error("a training without the variable '" + options_.global_step + "' is saved");
  const int64_t global_step = step->second.scalar<int64_t>()();
  writer_->save(global_step, std::move(values), best_.metric ? best_.metric() : std::nullopt, again);
  saved_at_ = steps;
  saved_global_ = global_step;
  last_save_ = steady_clock::now();
}

void CheckpointObserver::end(const Ending& ending) {
  if (ending.how == Ending::kFailed) {
    save_after_error(ending);
    return;
  }
  const bool saved = saved_at_ == ending.steps && saved_global_ >= ending.global_step;
  if (ending.sound && !saved && (ending.steps > 0 || options_.unsaved)) {
    save(ending.steps);
    release_step_memory();  // beside the writing: a process that ends frees its GiBs in one thread
  }
  writer_->wait();
}

// A user's function threw: what was trained until then is kept. After a failed step, or a loss that is not finite, the
// variables are not worth it.
void CheckpointObserver::save_after_error(const Ending& ending) {
  const bool worth_it = ending.sound && ending.steps > 0;
  if (worth_it && saved_at_ != ending.steps && writer_->poison().empty()) {
    try {
      save(ending.steps);
    } catch (const std::exception& e) {  // the error under way is the one to tell
      log_warning(std::string("the checkpoint after an error was not saved: ") + e.what());
    }
  }
  writer_->wait();
  if (worth_it && saved_at_ == ending.steps && writer_->last_error().empty())
    log_info(fmt::format("an error ends the run after step {}; the last checkpoint is {}", ending.steps,
                         writer_->last_saved()));
}

std::string last_checkpoint(CheckpointWriter* writer, bool another_saves) {
  if (!writer && another_saves) return "the first worker saves the checkpoints";
  if (!writer) return "there is no checkpoint yet, nor will there be one without a log_dir";
  writer->wait();
  const std::string saved = writer->last_saved(), good = writer->last_good();
  if (!saved.empty()) return "the last checkpoint is " + saved;
  return good.empty() ? "there is no checkpoint yet" : "the last checkpoint is the one that it went on from, " + good;
}

void check_saved(CheckpointWriter* writer) {
  const std::string poison = writer ? writer->poison() : "";
  if (poison.empty()) return;
  throw RunError(
      fmt::format("{}: they are not saved, and training stops; {}. Try a smaller learning rate, or clip the "
                  "gradients (--gradient_clip)",
                  poison, last_checkpoint(writer)));
}

int64_t SavedCheck::wants(const StepNumber&) {
  check_saved(writer_);
  return 0;
}

void SavedCheck::report(const Ending& ending, RunResult*) {
  check_saved(writer_);
  if (ending.how == Ending::kInterrupted) {
    log_warning(fmt::format("stopped by {} after step {} (global step {}); {}",
                            SignalGuard::received() == SIGTERM ? "SIGTERM" : "SIGINT", ending.steps, ending.global_step,
                            last_checkpoint(writer_, another_saves_)));
  }
  const std::string error = writer_ ? writer_->last_error() : "";
  if (!error.empty()) throw RunError("the last checkpoint was not saved: " + error);
}

}  // namespace mox
