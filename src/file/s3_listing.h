// Listings, page by page: what is in memory does not grow with the number of keys.
#pragma once

#include "file/file_system.h"

namespace mox::file {

// As FileSystem::list. An object whose key ends with '/' is the mark of a folder and no entry; with
// markers_with_content one that has content is one: a file whose name ends with '/', "" for that of `folder` itself.
bool list_objects(const Location& folder, bool recursive, const EntryVisitor& visit, bool markers_with_content = false);

// Whether the folder exists: any key begins with its name.
bool any_object_below(const Location& folder);

// Removes all keys below the folder, marks of folders too; silent when there are none. With `wanted` only those for
// which it says yes; their names are as list_objects tells them, those of marks end with '/'. Returns how many stayed.
int64_t remove_objects_below(const Location& folder, const std::function<bool(const DirEntry&)>& wanted = nullptr);

}  // namespace mox::file
