// Where an exported model goes: a folder of its own in the export folder, which appears whole.
#pragma once

#include <string>

namespace mox {

// The folder that a version means: "-1" is the highest number in log_dir + 1, anything else is taken as it is.
// InvalidArgumentError for what is no name of a folder in log_dir.
std::string export_dir(const std::string& log_dir, const std::string& version);
// InvalidArgumentError when that folder exists already (not for "-1"), or cannot be one.
void check_export_dir(const std::string& log_dir, const std::string& version);

// One export at a time: while it lives, no other process of this machine exports to log_dir (on a disk; a second one
// waits). Removes what killed exports left there, and nothing else.
class ExportFolder {
 public:
  ExportFolder(const std::string& log_dir, const std::string& version);
  ~ExportFolder();  // unless committed, what was written goes
  ExportFolder(const ExportFolder&) = delete;
  ExportFolder& operator=(const ExportFolder&) = delete;

  // Where to write: made, and empty. On a store it is the folder itself, where saved_model.pb has to be written last.
  const std::string& temporary() const { return temporary_; }
  // The model is whole. Returns its folder.
  std::string commit();

 private:
  const std::string log_dir_;
  const bool atomic_;
  int lock_ = -1;
  std::string dir_, temporary_, mark_;  // mark_: on a store, tells others of the export under way
  bool committed_ = false;
};

// What killed exports left in `log_dir`; nothing while another process of this machine exports there.
void remove_dead_exports(const std::string& log_dir);

}  // namespace mox
