#include "file/copy_job.h"

#include <algorithm>

#include "file/config.h"
#include "file/lost_upload.h"
#include "moxing/log.h"

namespace mox::file {
namespace {

constexpr size_t kMostWaiting = 1000;

// Whether each further file would fail the same way.
bool is_fatal(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const MoxFileRespException& e) {
    const std::string& code = e.resp().code;
    return e.resp().status == 0 || code == "InvalidAccessKeyId" || code == "SignatureDoesNotMatch" ||
           code == "ExpiredToken" || code == "InvalidToken" || code == "AccessDenied" || e.resp().status == 404;
  } catch (const MoxFileNotExistsException& e) {
    return e.resp().code == "NoSuchBucket";
  } catch (const OsError& e) {
    return e.code() == ENOSPC || e.code() == EDQUOT || e.code() == EROFS;
  } catch (...) {
    return false;
  }
}

std::string text_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    return e.what();
  }
}

}  // namespace

struct CopyJob::Active {
  CopyItem item;
  std::unique_ptr<Transfer> transfer;
  int count = 0;
  int next = 0;  // the parts before it were taken
  int running = 0;
  int done = 0;
  std::exception_ptr error;
};

CopyJob::CopyJob(int threads, CopyCounters* counters)
    : threads_(threads), parts_of_one_file_(large_file_task_num()), counters_(counters) {}

CopyJob::~CopyJob() { finish(); }

std::vector<CopyFailure> CopyJob::failures() {
  MutexLock lock(mu_);
  return failures_;
}

std::exception_ptr CopyJob::first_error() {
  MutexLock lock(mu_);
  return first_error_;
}

std::exception_ptr CopyJob::fatal_error() {
  MutexLock lock(mu_);
  return fatal_error_;
}

bool CopyJob::given_up() {
  MutexLock lock(mu_);
  return fatal_error_ != nullptr;
}

// Threads come as items do: a copy of two files starts two.
void CopyJob::start_threads() {
  if (static_cast<int>(workers_.size()) < threads_) workers_.emplace_back("mox_copy", [this](const auto&) { work(); });
}

void CopyJob::add(CopyItem item) {
  if (threads_ == 0) {
    if (!given_up()) run_item(std::move(item));
    return;
  }
  MutexLock lock(mu_);
  space_.wait(lock, [this]() MOX_REQUIRES(mu_) { return items_.size() < kMostWaiting || fatal_error_; });
  if (fatal_error_) return;
  items_.push_back(std::move(item));
  start_threads();
  work_.notify_one();
}

void CopyJob::fail(const std::string& path, const std::exception_ptr& error) {
  ++counters_->failed;
  MutexLock lock(mu_);
  failures_.push_back({path, text_of(error)});
  if (!first_error_) first_error_ = error;
  if (!fatal_error_ && is_fatal(error)) {
    fatal_error_ = error;
    items_.clear();
  }
  work_.notify_all();
  space_.notify_all();
}

void CopyJob::finish() {
  {
    MutexLock lock(mu_);
    all_added_ = true;
  }
  work_.notify_all();
  for (size_t i = 0;; ++i) {  // a worker may start another one for the parts of a large file
    WorkerThread worker;
    {
      MutexLock lock(mu_);
      if (i >= workers_.size()) break;
      worker = std::move(workers_[i]);
    }
    worker.join();
  }
}

std::shared_ptr<CopyJob::Active> CopyJob::next_part(int* index) {
  for (const auto& active : active_) {
    if (active->next == active->count || active->running >= parts_of_one_file_ || active->error) continue;
    *index = active->next++;
    ++active->running;
    return active;
  }
  return nullptr;
}

void CopyJob::work() {
  MutexLock lock(mu_);
  for (;;) {
    int index = 0;
    if (auto active = next_part(&index)) {
      ++busy_;
      lock.unlock();
      run_part(active, index);
      lock.lock();
    } else if (!items_.empty()) {
      CopyItem item = std::move(items_.front());
      items_.pop_front();
      // Only now and then: who adds would be woken for each item.
      const bool has_space = items_.size() == kMostWaiting / 2;
      ++busy_;
      lock.unlock();
      if (has_space) space_.notify_all();
      run_item(std::move(item));
      lock.lock();
    } else if (all_added_ && busy_ == 0) {
      work_.notify_all();
      return;
    } else {
      work_.wait(lock);
      continue;
    }
    --busy_;
    if (busy_ == 0) work_.notify_all();
  }
}

void CopyJob::run_item(CopyItem item) {
  auto active = std::make_shared<Active>();
  active->item = std::move(item);
  try {
    if (active->item.is_there && active->item.is_there()) {
      if (active->item.on_done) active->item.on_done();
      ++counters_->skipped;
      return;
    }
    active->transfer =
        make_transfer(active->item.src, active->item.st, active->item.dst, counters_, active->item.keep_time);
    active->count = active->transfer->part_count();
  } catch (...) {
    fail(active->item.src.str(), std::current_exception());
    return;
  }
  if (active->count == 1 || threads_ == 0) {
    for (; active->next < active->count && !active->error; ++active->next) {
      try {
        active->transfer->run_part(active->next);
      } catch (...) {
        active->error = std::current_exception();
      }
    }
    end(active);
    return;
  }
  MutexLock lock(mu_);
  active_.push_back(active);
  for (int i = 1; i < std::min(active->count, parts_of_one_file_); ++i) start_threads();
  work_.notify_all();
}

void CopyJob::run_part(const std::shared_ptr<Active>& active, int index) {
  std::exception_ptr error;
  try {
    active->transfer->run_part(index);
  } catch (...) {
    error = std::current_exception();
  }
  {
    MutexLock lock(mu_);
    if (error && !active->error) active->error = error;
    --active->running;
    ++active->done;
    const bool over = active->error ? active->running == 0 : active->done == active->count;
    if (!over) {
      work_.notify_one();  // a place is free for another part
      return;
    }
    active_.erase(std::find(active_.begin(), active_.end(), active));
  }
  end(active);
}

void CopyJob::finish_transfer(Active& active) {
  try {
    return active.transfer->finish();
  } catch (const LostUpload& e) {
    log_warning(std::string(e.what()) + ": sending it once more");
  }
  active.transfer->abandon();
  active.transfer = make_transfer(active.item.src, active.item.st, active.item.dst, counters_, active.item.keep_time);
  for (int i = 0; i < active.transfer->part_count(); ++i) active.transfer->run_part(i);
  active.transfer->finish();
}

void CopyJob::end(const std::shared_ptr<Active>& active) {
  if (!active->error) {
    try {
      finish_transfer(*active);
      if (active->item.on_done) active->item.on_done();
    } catch (...) {
      active->error = std::current_exception();
    }
  }
  if (active->error) {
    active->transfer->abandon();
    fail(active->item.src.str(), active->error);
  } else {
    ++counters_->files;
  }
}

}  // namespace mox::file
