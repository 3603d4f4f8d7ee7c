"""The ResNet-20 of CIFAR for images of 28x28 in PyTorch (16, 32, 64 channels, three blocks each, 1x1 projections), and
its training. Modules stand in the order in which the recipe mnist-resnet20 has theirs."""
import gzip
import pathlib
import sys
import time

import numpy as np
import torch
from torch import nn

MEAN, STD = 0.1307, 0.3081
BATCH = 128


def normed(c_in, c_out, kernel=3, stride=1):
    return [nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(c_out)]


class Residual(nn.Module):
    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.side = nn.Identity() if stride == 1 else nn.Sequential(*normed(c_in, c_out, 1, stride))
        self.main = nn.Sequential(*normed(c_in, c_out, 3, stride), nn.ReLU(), *normed(c_out, c_out))

    def forward(self, x):
        return torch.relu(self.main(x) + self.side(x))


def resnet20():
    blocks = [(16, 16, 1)] * 3 + [(16, 32, 2)] + [(32, 32, 1)] * 2 + [(32, 64, 2)] + [(64, 64, 1)] * 2
    return nn.Sequential(*normed(1, 16), nn.ReLU(), *(Residual(*block) for block in blocks), nn.AdaptiveAvgPool2d(1),
                         nn.Flatten(), nn.Linear(64, 10))


def idx(path, header):
    with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


def mnist(folder, part):
    """Images [N, 28, 28, 1], normalized, and classes: of the files "train" or "t10k", compressed or not."""
    files = {}
    for what, header in (("images-idx3", 16), ("labels-idx1", 8)):
        found = sorted(pathlib.Path(folder).glob(f"{part}-{what}-ubyte*"))
        if not found:
            sys.exit(f"{folder}: has no {part}-{what}-ubyte.gz; --data says where the files of MNIST are")
        files[what] = idx(found[0], header)
    images = files["images-idx3"].reshape(-1, 28, 28, 1).astype(np.float32) / np.float32(255)
    return (images - np.float32(MEAN)) / np.float32(STD), files["labels-idx1"].astype(np.int64)


def train(net, images, labels, epochs):
    """Adam with a cosine schedule."""
    x = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
    y = torch.from_numpy(labels)
    steps = epochs * (len(x) // BATCH)
    net.train().to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    start = time.monotonic()
    for epoch in range(epochs):
        order = torch.randperm(len(x))
        for step in range(len(x) // BATCH):
            chosen = order[step * BATCH:(step + 1) * BATCH]
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(x[chosen].to(memory_format=torch.channels_last)), y[chosen])
            loss.backward()
            optimizer.step()
            schedule.step()
            if step % 50 == 0:
                print(f"  epoch {epoch + 1} of {epochs}, step {step}: loss {loss.item():.4f}, "
                      f"{time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    return net.eval().to(memory_format=torch.contiguous_format)


def outputs_of(net, images):
    with torch.inference_mode():
        return np.concatenate([net(torch.from_numpy(images[i:i + 500].transpose(0, 3, 1, 2).copy())).numpy()
                               for i in range(0, len(images), 500)])
