// All data sets.
#pragma once

#include "moxing/convert.h"
#include "moxing/dataset.h"
#include "moxing/dataset_graph.h"
#include "moxing/image_dataset.h"
#include "moxing/metadata.h"
#include "moxing/preview.h"
#include "moxing/tensor_dataset.h"
#include "moxing/tfrecord.h"
