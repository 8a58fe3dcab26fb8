// All data sets.
#pragma once

#include "moxing/dataset.h"
