// Temporary files that a killed process left.
#pragma once

#include <string>
#include <string_view>

namespace mox::file {

// A name that AtomicFile gives: ".NAME.moxtmp-PID-NUMBER", or ".NAME.moxpart-HEX" of a download that can go on.
bool is_temporary_name(std::string_view name);

// Before `target` is written: removes from its folder temporaries whose writer is gone (the folder is searched once in
// a process), and parts of other, earlier downloads to this target. Never fails.
void remove_left_temporaries(const std::string& target, const std::string& suffix_to_keep);

// The temporary file `path` of a download that nobody works on goes; others stay. Never fails.
void remove_left_part(const std::string& path);

}  // namespace mox::file
