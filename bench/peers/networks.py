"""The five networks of bench/compare in PyTorch, as peers/*_peer.py need them: plain, with folded batch norms, or
prepared for QAT. What lies between the stubs is quantized."""
import functools
import warnings

warnings.filterwarnings("ignore")
import torch
import torch.ao.quantization as quantization
from torch import nn


class Network(nn.Module):
    def __init__(self, shape, layers, optimizer):
        super().__init__()
        self.shape, self.optimizer = shape, optimizer
        self.quant, self.layers, self.dequant = quantization.QuantStub(), nn.Sequential(*layers), quantization.DeQuantStub()

    def forward(self, x):
        return self.dequant(self.layers(self.quant(x)))

    def images(self, batch, layout=torch.contiguous_format):
        """Random ones; made empty first, since contiguous() would leave the strides of a single channel as they are."""
        return torch.empty(batch, *self.shape, memory_format=layout).uniform_()


class Residual(nn.Module):
    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.main = nn.Sequential(*normed(c_in, c_out, 3, stride), nn.ReLU(), *normed(c_out, c_out))
        self.side = nn.Identity() if stride == 1 else nn.Sequential(*normed(c_in, c_out, 1, stride))
        self.sum = torch.ao.nn.quantized.FloatFunctional()

    def forward(self, x):
        return self.sum.add_relu(self.main(x), self.side(x))


def normed(c_in, c_out, kernel=3, stride=1, groups=1):
    return [nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(c_out)]


def pooled_head(channels):
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)]


def mlp():
    return [nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)]


def cnn():
    return [nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(9216, 128), nn.ReLU(), nn.Linear(128, 10)]


def lenet():
    norm = functools.partial(nn.BatchNorm2d, eps=1e-4, affine=False)
    norm1d = functools.partial(nn.BatchNorm1d, eps=1e-4, affine=False)
    return [nn.Conv2d(1, 20, 5, bias=False), norm(20), nn.ReLU(), nn.AvgPool2d(2),
            nn.Conv2d(20, 50, 5, bias=False), norm(50), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(),
            nn.Linear(800, 500, bias=False), norm1d(500), nn.ReLU(),
            nn.Linear(500, 250, bias=False), norm1d(250), nn.ReLU(), nn.Linear(250, 10, bias=False)]


def resnet20():
    blocks = [(16, 16, 1)] * 3 + [(16, 32, 2)] + [(32, 32, 1)] * 2 + [(32, 64, 2)] + [(64, 64, 1)] * 2
    return [*normed(1, 16), nn.ReLU(), *(Residual(*block) for block in blocks), *pooled_head(64)]


def mobilenet():
    layers = [*normed(1, 16), nn.ReLU()]
    for c_in, c_out, stride in [(16, 32, 1), (32, 64, 2), (64, 64, 1), (64, 128, 2), (128, 128, 1)]:
        layers += [*normed(c_in, c_in, 3, stride, c_in), nn.ReLU(), *normed(c_in, c_out, 1), nn.ReLU()]
    return layers + pooled_head(128)


ADAM = functools.partial(torch.optim.Adam, lr=1e-3, fused=True)
SGD = functools.partial(torch.optim.SGD, lr=0.05, momentum=0.9, weight_decay=1e-4, fused=True)
NETWORKS = {"mlp": ((784,), mlp, ADAM), "cnn": ((1, 28, 28), cnn, ADAM), "lenet": ((1, 28, 28), lenet, SGD),
            "resnet20": ((1, 28, 28), resnet20, ADAM), "mobilenet": ((1, 28, 28), mobilenet, ADAM)}


def network(name):
    shape, layers, optimizer = NETWORKS[name]
    return Network(shape, layers(), optimizer)


# PyTorch fuses only kinds of neighbours; it has no fusion of linear, batch norm and ReLU together.
FUSED = [(nn.Conv2d, nn.BatchNorm2d, nn.ReLU), (nn.Conv2d, nn.BatchNorm2d), (nn.Conv2d, nn.ReLU),
         (nn.Linear, nn.BatchNorm1d), (nn.Linear, nn.ReLU)]


def neighbours(model):
    """Names of modules in a row that PyTorch can fuse."""
    found = []
    for prefix, chain in model.named_modules():
        if type(chain) is not nn.Sequential:
            continue
        parts = [(f"{prefix}.{name}", type(part)) for name, part in chain.named_children() if type(part) is not nn.Identity]
        while parts:
            kinds = next((kinds for kinds in FUSED if tuple(kind for _, kind in parts[:len(kinds)]) == kinds), None)
            if kinds:
                found.append([name for name, _ in parts[:len(kinds)]])
            parts = parts[len(kinds) if kinds else 1:]
    return found


def with_parameters(model):
    """Fusing asks for a batch norm's parameters: where it has none, constants that change nothing."""
    for norm in model.modules():
        if isinstance(norm, nn.modules.batchnorm._BatchNorm) and not norm.affine:
            norm.affine = True
            norm.weight = nn.Parameter(torch.ones(norm.num_features), requires_grad=False)
            norm.bias = nn.Parameter(torch.zeros(norm.num_features), requires_grad=False)
    return model


def folded(name):
    """For inference: batch norms in the weights, ReLUs fused; in two passes for linear layers."""
    model = with_parameters(network(name).eval())
    while groups := neighbours(model):
        model = quantization.fuse_modules(model, groups)
    return model


def prepared_for_qat(name):
    model = with_parameters(network(name).train())
    model = quantization.fuse_modules_qat(model, neighbours(model))
    model.qconfig = quantization.get_default_qat_qconfig("x86")
    return quantization.prepare_qat(model)
