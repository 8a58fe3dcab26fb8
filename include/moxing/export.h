// Symbols are hidden unless marked: the public API, and nothing else, leaves the libraries.
#pragma once

#define MOX_EXPORT __attribute__((visibility("default")))
