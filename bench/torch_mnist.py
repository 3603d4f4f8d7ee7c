"""PyTorch on the work of `detent bench`. Reads one case a line on standard input, as JSON, and answers each with one
line: {"median_ms", "cpu_ms", "runs"}, or {"error"}. A case is {"what": "step" | "infer", "model": "cnn" | "mlp",
"precision": "fp32" | "bf16" | "qat" | "int8", "channels_last": bool, "batch", "threads", "seconds"}. Data is random.

Quantization is PyTorch's default for x86: fused modules, get_default_qat_qconfig, prepare_qat, convert.
"""
import warnings

import peer

warnings.filterwarnings("ignore")
import torch
import torch.ao.quantization as quantization
from torch import nn

ENGINE = "x86" if "x86" in torch.backends.quantized.supported_engines else "onednn"


class Network(nn.Module):
    def __init__(self, shape, layers, fused):
        super().__init__()
        self.shape, self.fused = shape, fused
        self.quant, self.body, self.dequant = quantization.QuantStub(), nn.Sequential(*layers), quantization.DeQuantStub()

    def forward(self, x):
        return self.dequant(self.body(self.quant(x)))


def network(model):
    if model == "cnn":
        layers = [nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                  nn.Linear(9216, 128), nn.ReLU(), nn.Linear(128, 10)]
        return Network((1, 28, 28), layers, [["body.0", "body.1"], ["body.2", "body.3"], ["body.6", "body.7"]])
    layers = [nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)]
    return Network((784,), layers, [["body.0", "body.1"], ["body.2", "body.3"]])


def prepared(model):
    net = network(model).train()
    net = quantization.fuse_modules_qat(net, net.fused)
    net.qconfig = quantization.get_default_qat_qconfig(ENGINE)
    return quantization.prepare_qat(net)


def images(net, batch, channels_last):
    x = torch.rand(batch, *net.shape)
    return x.contiguous(memory_format=torch.channels_last) if channels_last else x


def step_of(case):
    net = prepared(case["model"]) if case["precision"] == "qat" else network(case["model"])
    if case.get("channels_last"):
        net = net.to(memory_format=torch.channels_last)
    x, labels = images(net, case["batch"], case.get("channels_last")), torch.randint(0, 10, (case["batch"],))
    optimizer = torch.optim.Adam(net.parameters(), 1e-4)

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=case["precision"] == "bf16"):
            loss = nn.functional.cross_entropy(net(x), labels)
        loss.backward()
        optimizer.step()

    return step


def inference_of(case):
    if case["precision"] == "int8":
        net = prepared(case["model"])
        net(images(net, 256, False))
        net = quantization.convert(net.eval())
        x = torch.rand(case["batch"], *network(case["model"]).shape)
    else:
        net = network(case["model"]).eval()
        x = images(net, case["batch"], case.get("channels_last"))

    def infer():
        with torch.no_grad():
            net(x)

    return infer


def work_of(case):
    torch.set_num_threads(case["threads"])
    return step_of(case) if case["what"] == "step" else inference_of(case)


torch.backends.quantized.engine = ENGINE
torch.manual_seed(1)
peer.serve(f"PyTorch {torch.__version__}, {ENGINE}", work_of)
