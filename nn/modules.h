#pragma once

/// All modules of this folder.
#include "nn/activation_layer.h"
#include "nn/batch_norm.h"
#include "nn/conv2d.h"
#include "nn/linear.h"
#include "nn/pool2d.h"
#include "nn/structure.h"
