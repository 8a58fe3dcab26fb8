// All data sets.
#pragma once

#include "moxing/dataset.h"
#include "moxing/tensor_dataset.h"
