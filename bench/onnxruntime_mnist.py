"""ONNX Runtime on the work of `detent bench infer`: cases and answers as in torch_mnist.py. Models are written with the
package onnx; int8 is ONNX Runtime's own static quantization (QDQ, u8 activations, s8 weights a channel)."""
import os
import tempfile

import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import quantization

import peer

RANDOM = numpy.random.default_rng(1)
FOLDER = tempfile.TemporaryDirectory()


class Builder:
    def __init__(self, shape):
        self.shape, self.nodes, self.weights, self.value = shape, [], [], "x"

    def weight(self, *shape):
        name = f"w{len(self.weights)}"
        scale = 1.0 / numpy.sqrt(numpy.prod(shape[1:]))
        self.weights.append(numpy_helper.from_array(RANDOM.uniform(-scale, scale, shape).astype(numpy.float32), name))
        return name

    def add(self, operation, *more, **attributes):
        result = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operation, [self.value, *more], [result], **attributes))
        self.value = result

    def save(self, path):
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *self.shape])
        y = helper.make_tensor_value_info(self.value, TensorProto.FLOAT, ["batch", 10])
        graph = helper.make_graph(self.nodes, "mnist", [x], [y], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        onnx.save(model, path)


def write(model, path):
    net = Builder((1, 28, 28) if model == "cnn" else (784,))
    if model == "cnn":
        net.add("Conv", net.weight(32, 1, 3, 3), net.weight(32))
        net.add("Relu")
        net.add("Conv", net.weight(64, 32, 3, 3), net.weight(64))
        net.add("Relu")
        net.add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
        net.add("Flatten")
        sizes = [9216, 128, 10]
    else:
        sizes = [784, 256, 256, 10]
    for depth, width in zip(sizes, sizes[1:]):
        net.add("Gemm", net.weight(width, depth), net.weight(width), transB=1)
        if width != 10:
            net.add("Relu")
    net.save(path)
    return net.shape


class Calibration(quantization.CalibrationDataReader):
    def __init__(self, shape):
        self.batches = iter([{"x": RANDOM.random((64, *shape), dtype=numpy.float32)} for _ in range(4)])

    def get_next(self):
        return next(self.batches, None)


def model_of(case):
    path = os.path.join(FOLDER.name, case["model"] + ".onnx")
    shape = write(case["model"], path)
    if case["precision"] == "int8":
        ready, int8 = path + ".prepared", path + ".int8"
        quantization.quant_pre_process(path, ready)
        quantization.quantize_static(ready, int8, Calibration(shape), quant_format=quantization.QuantFormat.QDQ,
                                     per_channel=True, activation_type=quantization.QuantType.QUInt8,
                                     weight_type=quantization.QuantType.QInt8)
        path = int8
    return path, shape


def work_of(case):
    path, shape = model_of(case)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = case["threads"]
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    x = {"x": RANDOM.random((case["batch"], *shape), dtype=numpy.float32)}
    return lambda: session.run(None, x)


peer.serve(f"ONNX Runtime {onnxruntime.__version__}", work_of)
