# SPDX-License-Identifier: Apache-2.0
"""Compares prefill and decoding of one stream with llama.cpp on the same file, in one run.

    python bench/compare_llama_cpp.py --model SmolLM2-135M-Instruct.Q4_1.gguf [--build build/release]

Needs llama-cpp-python (pip builds its llama.cpp for this processor) in the Python that runs it, and
the release build with its bench programs. Every measurement is a process of its own, and they are
interleaved (A B A B), because a shared machine drifts. Both sides do the same: the best of three
prefills, then greedy decoding of the given number of tokens, one at a time.

Prints medians with the smallest and largest value, the ratios, then one JSON line.
"""
import argparse
import json
import pathlib
import statistics
import sys
import time

from compare_pytorch import ROOT, run


def measure(arguments):
    """Measures llama.cpp by its C interface, without the work that its Python class adds to each token."""
    import llama_cpp
    import numpy

    quiet = llama_cpp.llama_log_callback(lambda *_: None)  # must exist as long as the library writes
    llama_cpp.llama_log_set(quiet, None)
    llama_cpp.llama_backend_init()
    model = llama_cpp.llama_model_load_from_file(arguments.model.encode(), llama_cpp.llama_model_default_params())
    vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
    options = llama_cpp.llama_context_default_params()
    options.n_ctx = arguments.prompt + arguments.new + 1
    options.n_batch = options.n_ubatch = arguments.prompt
    options.n_threads = options.n_threads_batch = arguments.threads
    context = llama_cpp.llama_init_from_model(model, options)
    prompt = numpy.random.default_rng(1).integers(17, vocabulary, arguments.prompt).astype(numpy.int32)

    def read(tokens):
        """Computes tokens; returns the likeliest next one."""
        array = (llama_cpp.llama_token * len(tokens))(*tokens)
        if llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(array, len(tokens))) != 0:
            raise SystemExit("llama.cpp cannot decode")
        logits = numpy.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(context, -1), (vocabulary,))
        return int(logits.argmax())

    seconds = []
    for _ in range(3):
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
        start = time.perf_counter()
        token = read(prompt)
        seconds.append(time.perf_counter() - start)
    start = time.perf_counter()
    for _ in range(arguments.new):
        token = read([token])
    return {"prefill_tokens_per_second": arguments.prompt / min(seconds),
            "decode_tokens_per_second": arguments.new / (time.perf_counter() - start)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--build", default=ROOT / "build" / "release", help="folder of the release build")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--new", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments)))
        return

    shape = [str(part) for part in ("--model", arguments.model, "--prompt", arguments.prompt, "--new", arguments.new)]
    jobs = {"llama.cpp": [sys.executable, __file__, "--measure", "--threads", str(arguments.threads), *shape],
            "iapt": [str(pathlib.Path(arguments.build) / "bench" / "generation"), *shape]}
    results = {name: [] for name in jobs}
    for _ in range(arguments.repeats):
        for name, command in jobs.items():
            results[name].append(run(command, arguments.threads))
    for key in ("prefill_tokens_per_second", "decode_tokens_per_second", "peak_mib"):
        print(key)
        medians = []
        for name, repeats in results.items():
            values = [repeat[key] for repeat in repeats]
            medians.append(statistics.median(values))
            print(f"  {name:12} {medians[-1]:10.4g}   ({min(values):.4g} to {max(values):.4g})")
        print(f"  iapt / llama.cpp {medians[1] / medians[0]:.2f}")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
