// All data sets.
#pragma once

#include "moxing/dataset.h"
#include "moxing/image_dataset.h"
#include "moxing/metadata.h"
#include "moxing/tensor_dataset.h"
