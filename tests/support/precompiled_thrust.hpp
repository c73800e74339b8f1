// SPDX-License-Identifier: Apache-2.0
// What every test on Thrust includes beside that, compiled once.
#pragma once
#include <thrust/copy.h>
#include <thrust/fill.h>
#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/system/cpp/execution_policy.h>
#include <thrust/system/omp/execution_policy.h>
