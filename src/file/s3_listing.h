// Listings, page by page: what is in memory does not grow with the number of keys.
#pragma once

#include "file/file_system.h"

namespace mox::file {

// As FileSystem::list.
bool list_objects(const Location& folder, bool recursive, const EntryVisitor& visit);

// Removes all keys below the folder, its marker too; silent when there are none.
void remove_objects_below(const Location& folder);

}  // namespace mox::file
