#!/usr/bin/env python3
"""Writes quantize.txt: the inputs and parameters of the examples in ONNX's operator tests (quantizelinear.py and
dynamicquantizelinear.py, Apache-2.0) and the results of its formulas, each operation rounded to f32. Needs no package.
"""

import pathlib
import struct


def f32(value):
    return struct.unpack("f", struct.pack("f", value))[0]


def quantize(x, scale, zero_point):
    # Python's round takes ties to the even integer.
    return max(0, min(255, round(f32(f32(x) / scale)) + zero_point))


LINEAR = [
    (2.0, 128, [0, 2, 3, 1000, -254, -1000]),
    (2.0, 84, [-162, 10, -100, 232, -20, -50]),
    (4.0, 24, [-76, 0, 0, 252, 32, -44]),
    (5.0, 196, [245, -485, -960, -270, -375, -470]),
]
DYNAMIC = [
    [0, 2, -3, -2.5, 1.34, 0.5],
    [-1.0, -2.1, -1.3, -2.5, -3.34, -4.0],
    [1, 2.1, 1.3, 2.5, 3.34, 4.0, 1.5, 2.6, 3.9, 4.0, 3.0, 2.345],
]


def line(kind, scale, zero_point, xs):
    codes = " ".join(str(quantize(x, scale, zero_point)) for x in xs)
    reals = " ".join(format(f32(x), ".9g") for x in xs)
    return f"{kind} {scale:.9g} {zero_point} {len(xs)} {reals} {codes}\n"


def main():
    text = "# kind scale zero_point count reals codes; `dynamic`: scale and zero point are chosen from the reals.\n"
    text += "# Written by make_quantize.py from the examples of ONNX's operator tests.\n"
    for scale, zero_point, xs in LINEAR:
        text += line("linear", scale, zero_point, xs)
    for xs in DYNAMIC:
        low, high = min(0, min(map(f32, xs))), max(0, max(map(f32, xs)))
        scale = f32(f32(high - low) / 255)
        zero_point = max(0, min(255, round(f32(-low / scale))))
        text += line("dynamic", scale, zero_point, xs)
    pathlib.Path(__file__).with_name("quantize.txt").write_text(text)


if __name__ == "__main__":
    main()
