#!/usr/bin/env python3
"""Writes fake_quantize.txt and observers.txt with PyTorch: see README.md."""

import pathlib
import warnings

import torch
from torch.ao.quantization import observer

HERE = pathlib.Path(__file__).parent

warnings.filterwarnings("ignore")


def number(value):
    return format(float(value), ".9g")


def numbers(values):
    return " ".join(number(x) for x in values)


def reals(scale, zero_point, qmin, qmax):
    """Values within the range and beyond: multiples of half a step, whose codes are ties, and others."""
    step = torch.tensor(scale)
    ties = torch.arange(2 * (qmin - zero_point) - 6, 2 * (qmax - zero_point) + 7, dtype=torch.float32)
    ties = ties[:: max(1, len(ties) // 60)] * (step * 0.5)
    others = torch.tensor([((i * 37) % 101 - 50) / 16.0 for i in range(60)])
    return torch.cat([ties, others, torch.tensor([0.273939937, 0.0, -0.0, 1e30, -1e30])])


# Powers of two, and others; zero points even and odd, at the ends and within.
TENSORS = [
    (0.0625, 0, -127, 127),
    (0.25, 3, 0, 15),
    (0.0078125, 128, 0, 255),
    (0.1, 7, 0, 15),
    (0.3, 1, 0, 3),
    (0.00214854861, 0, 0, 255),
    (0.017, 113, 0, 255),
    (0.7, 0, -1, 1),
]


def fake_quantize():
    for scale, zero_point, qmin, qmax in TENSORS:
        x = reals(scale, zero_point, qmin, qmax).requires_grad_()
        y = torch.fake_quantize_per_tensor_affine(x, scale, zero_point, qmin, qmax)
        y.sum().backward()
        yield (f"tensor {number(scale)} {zero_point} {qmin} {qmax} {len(x)} {numbers(x.detach())} "
               f"{numbers(y.detach())} {numbers(x.grad)}")
    for bits in (8, 4, 2):
        largest = 2 ** (bits - 1) - 1
        w = torch.tensor([[((i * 29 + o * 53) % 127 - 63) / (16.0 * (o + 1)) for i in range(12)] for o in range(4)])
        w[3] = 0.0
        chosen = observer.PerChannelMinMaxObserver(
            ch_axis=0, dtype=torch.qint8, qscheme=torch.per_channel_symmetric, quant_min=-largest, quant_max=largest)
        chosen(w)
        scales, zero_points = chosen.calculate_qparams()
        y = torch.fake_quantize_per_channel_affine(w, scales, zero_points.to(torch.int32), 0, -largest, largest)
        yield f"channels {bits} 4 12 {numbers(w.flatten())} {numbers(scales)} {numbers(y.flatten())}"


def moving_average():
    """A line a batch: constant, smallest and largest value of the batch, the range, scale and zero point after it."""
    for constant in (0.01, 0.25):
        chosen = observer.MovingAverageMinMaxObserver(
            averaging_constant=constant, dtype=torch.quint8, qscheme=torch.per_tensor_affine)
        for batch in range(24):
            low = ((batch * 37) % 64 - 70) / 32.0
            high = ((batch * 23) % 96 + 5) / 24.0
            chosen(torch.tensor([low, 0.5 * high, high]))
            scale, zero_point = chosen.calculate_qparams()
            yield (f"moving-average {constant} {number(low)} {number(high)} {number(chosen.min_val)} "
                   f"{number(chosen.max_val)} {number(scale)} {int(zero_point)}")


def values(kind, batch):
    """20000 multiples of 1/4096, exact in f32: even over [-1, 1), a bell, or a bell with outliers."""
    i = torch.arange(20000, dtype=torch.int64) + 20000 * batch
    part = [((i * factor) % 8191 - 4095).to(torch.float32) / 4096.0 for factor in (7919, 104729, 1299709, 15485863)]
    if kind == "even":
        return part[0]
    bell = part[0] + part[1] + part[2] + part[3]
    if kind == "outliers":
        bell[::2000] *= 4.0
    return bell


def histogram():
    """The range, scale and zero point of 8-bit codes after each batch."""
    for kind in ("even", "bell", "outliers"):
        chosen = observer.HistogramObserver(bins=2048, dtype=torch.quint8, qscheme=torch.per_tensor_affine)
        for batch in range(2):
            chosen(values(kind, batch))
            low, high = chosen._non_linear_param_search()
            scale, zero_point = chosen.calculate_qparams()
            yield f"{kind} {batch} {number(low)} {number(high)} {number(scale)} {int(zero_point)}"


def write(name, lines):
    (HERE / f"{name}.txt").write_text("".join(line + "\n" for line in lines))


def main():
    write("fake_quantize", fake_quantize())
    write("observers", list(moving_average()) + list(histogram()))
    print("PyTorch", torch.__version__)


if __name__ == "__main__":
    main()
