# SPDX-License-Identifier: Apache-2.0
"""Writes tests/data/io/ and the seeds of tests/fuzz/corpus/: small files by the reference writers of GGUF and safetensors.

    pip install gguf libgguf safetensors numpy
    python tests/reference/make_quantized.py                 the files
    python tests/reference/make_quantized.py --sums MODEL    what tests/io/weights.cpp expects of SmolLM2's tensors

quantized.gguf holds, for each type that the library reads, a tensor "q4_1" and what gguf-py makes of it,
"q4_1.expected" in F32. Blocks are quantized from normal numbers; where gguf-py cannot (such as Q4_K), or where that would
leave out cases, they are random bytes under a sensible scale. Q1_0, which gguf-py does not dequantize, is libgguf's.
"""
import argparse
import pathlib

import gguf
import libgguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from safetensors.numpy import save_file

tests = pathlib.Path(__file__).resolve().parent.parent
rng = np.random.default_rng(4)


# Offsets of the half-precision floats of a block, and of its eight-bit floats with a sensible value, of formats whose
# blocks are random bytes.
HALVES = {Type.Q2_K: (80, 82), Type.Q3_K: (108,), Type.Q4_K: (0, 2), Type.Q5_K: (0, 2), Type.Q6_K: (208,),
          Type.IQ4_NL: (0,), Type.IQ4_XS: (0,), Type.MXFP4: (), Type.NVFP4: (), Type.TQ1_0: (52,), Type.TQ2_0: (64,),
          Type.Q1_0: (0,)}
SCALES = {Type.MXFP4: {0: (122, 1)}, Type.NVFP4: {0: (0x28, 0x35), 1: (0x03, 0x7e), 2: (0x7f, 0), 3: (0x08, 0xa9)}}


def blocks(kind, rows):
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    if kind in HALVES:
        data = rng.integers(0, 256, (rows, size), dtype=np.uint8)
        for at in HALVES[kind]:
            data[:, at:at + 2] = np.array([[0.21], [-0.02]], dtype=np.float16).view(np.uint8)[:rows]
        for at, scale in SCALES.get(kind, {}).items():
            data[:, at] = scale[:rows]
        return data
    return gguf.quants.quantize(rng.standard_normal((rows, 2 * elements)).astype(np.float32), kind)


def write_quantized(path):
    writer = gguf.GGUFWriter(path, "test")
    writer.add_uint8("t.u8", 200)
    writer.add_int8("t.i8", -100)
    writer.add_uint16("t.u16", 60000)
    writer.add_int16("t.i16", -30000)
    writer.add_uint32("t.u32", 4000000000)
    writer.add_int32("t.i32", -2000000000)
    writer.add_uint64("t.u64", 2**63 + 1)
    writer.add_int64("t.i64", -(2**62))
    writer.add_float32("t.f32", 0.25)
    writer.add_float64("t.f64", 0.1)
    writer.add_bool("t.bool", True)
    writer.add_string("t.string", "zwölf")
    writer.add_array("t.strings", ["a", "", "ccc"])
    writer.add_array("t.integers", [3, -1, 2])
    writer.add_array("t.floats", [0.5, -1.5])
    writer.add_array("t.nested", [[1, 2], [3]])
    for kind in (Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1, Type.Q8_0, Type.Q6_K, Type.Q4_K, Type.Q2_K, Type.Q3_K,
                 Type.Q5_K, Type.IQ4_NL, Type.IQ4_XS, Type.MXFP4, Type.NVFP4, Type.TQ1_0, Type.TQ2_0,
                 Type.Q1_0):
        data = blocks(kind, 2)
        writer.add_tensor(kind.name.lower(), data, raw_dtype=kind)
        dequantize = libgguf.dequantize_rows if kind == Type.Q1_0 else gguf.quants.dequantize
        writer.add_tensor(kind.name.lower() + ".expected", dequantize(data, kind))
    half = np.array([[0, -0.0, 1, -2.5, 65504, 6e-8], [6.1e-5, 3e-5, np.inf, -np.inf, 1 / 3, 2048.0]], dtype=np.float16)
    writer.add_tensor("f16", half)
    writer.add_tensor("f16.expected", half.astype(np.float32))
    brain = gguf.quants.quantize(rng.standard_normal((2, 70)).astype(np.float32), Type.BF16)
    writer.add_tensor("bf16", brain, raw_dtype=Type.BF16)
    writer.add_tensor("bf16.expected", gguf.quants.dequantize(brain, Type.BF16))
    double = rng.standard_normal((3, 2))
    writer.add_tensor("f64", double)
    writer.add_tensor("f64.expected", double.astype(np.float32))
    writer.add_tensor("iq2_xxs", rng.integers(0, 256, (1, 66), dtype=np.uint8), raw_dtype=Type.IQ2_XXS)
    writer.add_tensor("cube", np.arange(24, dtype=np.float32).reshape(2, 3, 4))
    finish(writer)


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_seeds(folder):
    for name in ("gguf", "safetensors"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(folder / "gguf" / "seed.gguf", "x")
    writer.add_uint32("general.alignment", 8)
    writer.data_alignment = 8
    writer.add_bool("b", True)
    writer.add_array("s", ["a", "bc"])
    writer.add_array("n", [[1], [2]])
    writer.add_tensor("q", blocks(Type.Q4_1, 1), raw_dtype=Type.Q4_1)
    writer.add_tensor("f", np.ones((2, 3), dtype=np.float16))
    finish(writer)
    save_file({"a": np.ones((2, 2), np.float32), "b": np.zeros(3, np.int64)},
              folder / "safetensors" / "seed.safetensors", {"k": "v"})
    (folder / "safetensors" / "seed.json").write_text('{"metadata": {"n": 1}, "weight_map": {"a": "x.safetensors"}}')


def write_files():
    data = tests / "data" / "io"
    data.mkdir(parents=True, exist_ok=True)
    write_quantized(data / "quantized.gguf")
    save_file({"float": np.array([[1, 2, 3], [4, 5, 6]], np.float32), "half": np.array([0.5, -2], np.float16),
               "integer": np.array(-7, np.int64), "truth": np.array([True, False]), "empty": np.zeros((0, 4), np.float64)},
              data / "reference.safetensors", {"format": "np", "note": "größer \" \\"})
    write_seeds(tests / "fuzz" / "corpus")


def print_sums(model):
    tensors = gguf.GGUFReader(model).tensors
    print("// tensors:", len(tensors), "elements:", sum(int(t.n_elements) for t in tensors))
    for tensor in tensors[:1] + [t for t in tensors if t.name.startswith(("blk.0.", "blk.29.", "output_norm"))]:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float64)
        shape = ", ".join(str(n) for n in reversed(tensor.shape.tolist()))
        print(f'    {{"{tensor.name}", {{{shape}}}, {values.sum():.9g}, {np.abs(values).sum():.12g}}},')


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--sums", metavar="MODEL")
    model = arguments.parse_args().sums
    print_sums(model) if model else write_files()
