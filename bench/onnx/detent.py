"""Detent, as the scripts of this folder call it, from build/release or where DETENT_BUILD says."""
import json
import math
import os
import pathlib
import subprocess

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("DETENT_BUILD", ROOT / "build/release"))


class Refused(Exception):
    """The one line that the program ended with."""


def detent(*words):
    """Runs the program, and gives what it printed as JSON."""
    done = subprocess.run([BUILD / "detent", *words, "--json"], capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise Refused(done.stderr.strip())
    return json.loads(done.stdout)


def values_of(model, x, batch, folder):
    """Batch after batch the values of a model, {name: array}, codes as u8; the output last."""
    examples, target = pathlib.Path(folder) / "examples.f32", pathlib.Path(folder) / "values"
    np.ascontiguousarray(x[: len(x) // batch * batch], np.float32).tofile(examples)
    done = subprocess.run([BUILD / "bench/layer_values", model, examples, str(batch), target], capture_output=True,
                          text=True)
    if done.returncode:
        raise Refused(done.stderr.strip())
    values = json.loads(done.stdout)
    bytes_ = np.memmap(target, np.uint8, "r")
    at = 0
    for _ in range(len(x) // batch):
        given = {}
        for value in values:
            dtype = np.dtype(np.uint8 if value["type"] == "u8" else np.float32)
            end = at + batch * math.prod(value["shape"]) * dtype.itemsize
            given[value["name"]] = bytes_[at:end].view(dtype).reshape([batch] + value["shape"])
            at = end
        yield given


def channels_last(x):
    return x.transpose(0, 2, 3, 1) if x.ndim == 4 else x


def channels_first(x):
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2) if x.ndim == 4 else x)


def distance(path, feed, expected, folder):
    """Of the outputs of what Detent makes of an ONNX file from those expected, relative to the largest."""
    model = str(pathlib.Path(folder) / "fp32.h5")
    detent("import", path, "-o", model)
    given = next(values_of(model, feed, len(feed), folder))
    ours = list(given.values())[-1]
    expected = channels_last(expected) if ours.ndim == expected.ndim == 4 else expected.reshape(ours.shape)
    return float(np.abs(ours - expected).max() / max(np.abs(expected).max(), 1e-30))
