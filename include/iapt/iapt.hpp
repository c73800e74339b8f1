// SPDX-License-Identifier: Apache-2.0
// Everything but the GPU.
#pragma once
#include "iapt/backend/eigen/backend.hpp"
#include "iapt/portable.hpp"
