// What tasks print, line by line, each line whole and with its task's name before it.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "launch/fd.h"

namespace mox::launch {

// Standard output or standard error, written without ever waiting for who reads it: a signal must be heard meanwhile.
class Sink {
 public:
  explicit Sink(int fd);

  int fd() const { return fd_; }
  bool is_terminal() const { return terminal_; }
  bool coloured() const { return coloured_; }
  // "\033[36m[worker 1]\033[0m " where colours are wanted, else "[worker 1] ".
  std::string prefix(const std::string& name, size_t colour) const;

  void add(std::string_view text);
  size_t queued() const { return queue_.size() - written_; }
  bool full() const { return queued() >= (1 << 20); }
  // Writes a piece that fits; to be called when poll says that it may.
  void flush();
  // Nobody reads it any more (the errno of the write that said so); what is added is dropped.
  int error() const { return error_; }
  // Whether those who print must wait until it is read.
  bool blocks() const { return error_ == 0 && !dropping_ && full(); }
  // From here on nobody waits: what does not fit is dropped. For the end, when tasks are killed.
  void drop_when_full() { dropping_ = true; }
  // Drops what waits.
  void discard() { queue_.clear(), written_ = 0; }

 private:
  int fd_;
  Fd own_;
  bool terminal_ = false, coloured_ = false, socket_ = false, dropping_ = false;
  size_t piece_ = 4096;
  std::string queue_;
  size_t written_ = 0;
  int error_ = 0;
};

// Both of the process's, one and the same where they lead to the same place: two lines must not mix there.
struct Sinks {
  std::shared_ptr<Sink> output, errors;
};
Sinks standard_sinks();

// The last lines of a task, for the report of its failure.
class Tail {
 public:
  void add(std::string_view line);
  const std::deque<std::string>& lines() const { return lines_; }
  void clear() { lines_.clear(); }

 private:
  std::deque<std::string> lines_;
};

// Takes bytes as they come, gives lines.
class LineWriter {
 public:
  // `prefix` stands before each line, see Sink::prefix.
  LineWriter(std::shared_ptr<Sink> sink, std::string prefix, Tail* tail);
  void add(std::string_view bytes);
  // The end of the stream: a line without an end gets one.
  void finish();

 private:
  void emit(std::string_view line);

  std::shared_ptr<Sink> sink_;
  std::string prefix_;
  Tail* tail_;
  std::string partial_;
};

// For a terminal: as `printable`, but colours (ESC [ … m) stay, and end with the line.
std::string terminal_text(std::string_view line);

}  // namespace mox::launch
