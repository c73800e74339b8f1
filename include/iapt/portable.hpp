// SPDX-License-Identifier: Apache-2.0
// Everything that knows no machine: for what is compiled for a GPU, beside a backend's header.
#pragma once

/// @namespace iapt
/// Tensors, autograd, a causal transformer, instance-aware prompt tuning, and what it takes to train and use it.

#include "iapt/autograd/gradcheck.hpp"
#include "iapt/autograd/tape.hpp"
#include "iapt/data/batches.hpp"
#include "iapt/data/choices.hpp"
#include "iapt/data/jsonl.hpp"
#include "iapt/io/adapter.hpp"
#include "iapt/io/load_causal_lm.hpp"
#include "iapt/jinja/program.hpp"
#include "iapt/model/random.hpp"
#include "iapt/ops/activations.hpp"
#include "iapt/ops/arithmetic.hpp"
#include "iapt/ops/cross_entropy.hpp"
#include "iapt/ops/rational.hpp"
#include "iapt/optim/adamw.hpp"
#include "iapt/peft/iapt/activation_watch.hpp"
#include "iapt/serve/adapter_store.hpp"
#include "iapt/serve/beams.hpp"
#include "iapt/serve/generate.hpp"
#include "iapt/serve/openai_answer.hpp"
#include "iapt/serve/openai_request.hpp"
#include "iapt/serve/service.hpp"
#include "iapt/serve/stop.hpp"
#include "iapt/text/stream_decoder.hpp"
#include "iapt/train/evaluate.hpp"
#include "iapt/train/interrupt.hpp"
#include "iapt/train/progress.hpp"
#include "iapt/train/trainer.hpp"
