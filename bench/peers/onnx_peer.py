"""`onnxruntime` or `openvino` on the work of `detent bench infer`, from one ONNX file that PyTorch exports; int8 is ONNX
Runtime's static quantization (QDQ, u8 activations, s8 weights a channel), for OpenVINO also NNCF's where installed."""
import functools
import math
import os
import sys
import tempfile

import torch

from networks import folded
from serve import serve, version_of

FOLDER = tempfile.TemporaryDirectory()


def calibration(model, batch):
    return [model.images(batch).numpy() for _ in range(math.ceil(128 / batch))]


def onnx_file(name, batch, precision):
    path = {p: os.path.join(FOLDER.name, f"{name}-{batch}-{p}.onnx") for p in ("fp32", "ready", "int8")}
    model = folded(name)
    if not os.path.exists(path["fp32"]):
        torch.onnx.export(model, (model.images(batch),), path["fp32"], input_names=["x"], output_names=["y"],
                          external_data=False, verbose=False)
    if precision == "int8" and not os.path.exists(path["int8"]):
        from onnxruntime import quantization
        batches = iter(calibration(model, batch))

        class Reader(quantization.CalibrationDataReader):
            def get_next(self):
                x = next(batches, None)
                return None if x is None else {"x": x}

        quantization.quant_pre_process(path["fp32"], path["ready"], skip_symbolic_shape=True)
        quantization.quantize_static(path["ready"], path["int8"], Reader(), per_channel=True,
                                     quant_format=quantization.QuantFormat.QDQ,
                                     activation_type=quantization.QuantType.QUInt8,
                                     weight_type=quantization.QuantType.QInt8)
    return path[precision]


def onnx_runtime(case):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = case["threads"], 1
    session = onnxruntime.InferenceSession(onnx_file(case["model"], case["batch"], case["precision"]), options,
                                           ["CPUExecutionProvider"])
    x = folded(case["model"]).images(case["batch"]).numpy()
    binding = session.io_binding()  # without copies and allocations
    binding.bind_ortvalue_input("x", onnxruntime.OrtValue.ortvalue_from_numpy(x))
    binding.bind_ortvalue_output(
        "y", onnxruntime.OrtValue.ortvalue_from_shape_and_type([case["batch"], 10], "float32"))
    return lambda: session.run_with_iobinding(binding)


def open_vino(case, with_nncf=False):
    import openvino
    net = folded(case["model"])
    model = openvino.Core().read_model(onnx_file(case["model"], case["batch"], "fp32" if with_nncf else case["precision"]))
    if with_nncf:
        import nncf
        model = nncf.quantize(model, nncf.Dataset(calibration(net, case["batch"])))
    settings = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": case["threads"],
                "INFERENCE_PRECISION_HINT": "f32"}  # else it computes in bf16 where it can
    request = openvino.compile_model(model, "CPU", settings).create_infer_request()
    request.set_input_tensor(openvino.Tensor(net.images(case["batch"]).numpy()))
    return request.infer


def works(case, runtime):
    if runtime == "onnxruntime":
        return {"": functools.partial(onnx_runtime, case)}
    found = {"": functools.partial(open_vino, case)}
    if case["precision"] == "int8":
        found["NNCF"] = functools.partial(open_vino, case, True)
    return found


def main():
    runtime = sys.argv[1]
    __import__(runtime)  # says at once that it is not there
    name = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}[runtime]
    serve(f"{name} {version_of(runtime)}", functools.partial(works, runtime=runtime))


main()
