#!/usr/bin/env python3
"""Computes the codes of an int8 model in numpy, for one image, as docs/numerics.md says.

    recompute_int8.py int8.h5 example.h5

`int8.h5` is a converted model. `example.h5` holds an `image` (f32, H W C, as the model was trained on it) and under
`codes` what each node is expected to give; every node is recomputed and compared. Exit status 1 if any code differs.
"""
import json
import math
import sys

import h5py
import numpy as np

f32 = np.float32


def tensors_of(file):
    """name -> array of everything in an HDF5 file, small tensors that lie end to end among it."""
    arrays = {}
    file.visititems(lambda name, item: arrays.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    if "small/index" in arrays:
        ends = {}
        for line in arrays.pop("small/index")[0].decode().splitlines():
            what, name = line.split("] ", 1)
            dtype, extents = what.split("[")
            shape = [int(extent) for extent in extents.split(",") if extent]
            begin = ends.get(dtype, 0)
            ends[dtype] = begin + math.prod(shape)
            arrays[name] = arrays[f"small/{dtype}"][begin : ends[dtype]].reshape(shape)
    return arrays


def codes_of_packed(packed, bits, elements):
    """Weights of `bits` bits share bytes, the first in the lowest bits; of 1 bit 0 is -1."""
    shifts = np.arange(0, 8, bits)
    codes = (packed[:, None] >> shifts & ((1 << bits) - 1)).reshape(-1)[:elements].astype(np.int32)
    return 2 * codes - 1 if bits == 1 else np.where(codes < 1 << (bits - 1), codes, codes - (1 << bits))


def windows(x, kernel, stride, padding, fill):
    """x [H, W, C] -> [OH, OW, KH, KW, C], padded (top, left, bottom, right) with `fill`."""
    top, left, bottom, right = padding
    x = np.pad(x, ((top, bottom), (left, right), (0, 0)), constant_values=fill)
    out_h, out_w = (x.shape[0] - kernel[0]) // stride[0] + 1, (x.shape[1] - kernel[1]) // stride[1] + 1
    rows = np.arange(out_h)[:, None] * stride[0] + np.arange(kernel[0])
    columns = np.arange(out_w)[:, None] * stride[1] + np.arange(kernel[1])
    return x[rows[:, None, :, None], columns[None, :, None, :]]


def requantize(real_code, zero_point, lower, qmax):
    """clamp(rne(x + zero_point)): numpy's rint is to nearest, ties to even."""
    return np.clip(np.rint(real_code + f32(zero_point)), lower, qmax).astype(np.uint8)


def multiplier(ratio):
    return np.minimum(np.float64(ratio), 2.0**64).astype(f32)


def product(acc, slots, relu, qmax):
    """From the sums of (x_q - x_zp) * w_q to codes."""
    scale, zero_point = slots["output_scale"][0], slots["output_zero_point"][0]
    m = multiplier(np.float64(slots["input_scale"][0]) * slots["weight_scale"].astype(np.float64) / scale)
    bias = slots["bias"] if "bias" in slots else np.zeros(acc.shape[-1], np.int32)
    return requantize((acc.astype(f32) + bias.astype(f32)) * m, zero_point, zero_point if relu else 0, qmax)


def codes_of_node(node, slots, inputs, version):
    """inputs: (values, scale, zero_point) of each input, scale None for reals. Gives the same of the node."""
    op, shape, geometry = node["op"], node["type"]["shape"], node.get("geometry")
    x, x_scale, x_zp = inputs[0]
    if op == "dequantize":
        return x_scale * (x.astype(f32) - f32(x_zp)), None, None

    scale, zero_point = slots["output_scale"][0], slots["output_zero_point"][0]
    qmax = 2 ** node["type"]["bits"] - 1
    if op == "quantize":
        y = np.clip(np.rint(x / scale) + f32(zero_point), 0, qmax).astype(np.uint8)
    elif op == "reshape":
        y = x.reshape(shape)
    elif op == "pool" and node["pool"] == "max":
        y = windows(x, geometry["kernel"], geometry["stride"], geometry["padding"], 0).max(axis=(2, 3))
    elif op == "lookup" and slots["table"].ndim == 1:
        y = slots["table"][x]
    elif op == "softmax":
        e = slots["table"][x.max(axis=-1, keepdims=True) - x]
        p = e.astype(f32) / e.sum(axis=-1, keepdims=True, dtype=np.int64).astype(f32)
        y = np.clip(np.rint(p / scale) + f32(zero_point), 0, qmax).astype(np.uint8)
    elif op == "product":
        if geometry["groups"] != 1 or geometry["dilation"] != [1, 1]:
            raise SystemExit(f"{node['name']}: groups and dilation are left as an exercise")
        image = x.astype(np.int32).reshape(geometry["image"]) - x_zp
        patches = windows(image, geometry["kernel"], geometry["stride"], geometry["padding"], 0)
        weight = slots["weight"]
        if node["weight_bits"] <= 4:
            bits = node["weight_bits"] if node["weight_bits"] <= 2 and version >= 4 else 4
            weight = codes_of_packed(weight, bits, geometry["outputs"] * math.prod(patches.shape[2:]))
        weight = weight.astype(np.int32).reshape(geometry["outputs"], *patches.shape[2:])
        acc = np.tensordot(patches, weight, axes=([2, 3, 4], [1, 2, 3])).astype(np.int32)
        y = product(acc, slots, node["relu"], qmax).reshape(shape)
    elif op == "add":
        other, other_scale, other_zp = inputs[1]
        m_a, m_b = multiplier(np.float64(x_scale) / scale), multiplier(np.float64(other_scale) / scale)
        real_code = (x.astype(f32) - f32(x_zp)) * m_a + (other.astype(f32) - f32(other_zp)) * m_b
        y = requantize(real_code, zero_point, zero_point if node["relu"] else 0, qmax)
    else:
        raise SystemExit(f"{node['name']}: unknown operation {op}")
    return y, scale, zero_point


def main(model_path, example_path):
    with h5py.File(model_path, "r") as model, h5py.File(example_path, "r") as example:
        tensors, expected_tensors = tensors_of(model), tensors_of(example)
        graph = json.loads(model.attrs["graph"])
        values = {"input": (expected_tensors["image"], None, None)}
        compared = differing = 0
        for node in graph["nodes"]:
            begin = f"parameters/{node['name']}/"
            slots = {name[len(begin) :]: data for name, data in tensors.items() if name.startswith(begin)}
            values[node["name"]] = codes_of_node(
                node, slots, [values[name] for name in node["inputs"]], model.attrs["version"]
            )
            if f"codes/{node['name']}" in expected_tensors:
                expected, actual = expected_tensors[f"codes/{node['name']}"], values[node["name"]][0]
                differ = int(np.count_nonzero(expected != actual)) if expected.shape == actual.shape else expected.size
                print(f"{node['name']}: {expected.size} codes, {differ} differ")
                compared, differing = compared + expected.size, differing + differ
    print(f"{compared} codes compared, {differing} differ")
    return 0 if compared and not differing else 1


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    sys.exit(main(*sys.argv[1:]))
