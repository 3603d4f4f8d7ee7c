#pragma once

/// All modules of this folder.
#include "detent/nn/modules/activation_layer.h"
#include "detent/nn/modules/add.h"
#include "detent/nn/modules/batch_norm.h"
#include "detent/nn/modules/concat.h"
#include "detent/nn/modules/conv2d.h"
#include "detent/nn/modules/dropout.h"
#include "detent/nn/modules/flatten.h"
#include "detent/nn/modules/linear.h"
#include "detent/nn/modules/pool2d.h"
#include "detent/nn/modules/softmax.h"
