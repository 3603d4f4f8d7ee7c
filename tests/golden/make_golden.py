#!/usr/bin/env python3
"""Writes the golden values of this folder with PyTorch: see README.md."""

import pathlib
import warnings

import torch

HERE = pathlib.Path(__file__).parent
STEPS = 12
SIZE = 7

warnings.filterwarnings("ignore")


def number(value):
    return format(float(value), ".9g")


def start(i):
    """The first value of element i: 0.125 * (i - 3), exact in f32."""
    return 0.125 * (i - 3)


def gradient(step, i):
    """The gradient of element i in a step: a multiple of 1/64 in [-1, 1], exact in f32."""
    return ((step * 37 + i * 23 + step * i * 5) % 129 - 64) / 64.0


def rate(step):
    """A learning rate that changes, so that what it multiplies is seen."""
    return 0.05 if step < 6 else 0.02


OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=1.0),
    "sgd_decay": lambda p: torch.optim.SGD(p, lr=1.0, weight_decay=0.1),
    "sgd_momentum": lambda p: torch.optim.SGD(p, lr=1.0, momentum=0.9),
    "sgd_momentum_decay": lambda p: torch.optim.SGD(p, lr=1.0, momentum=0.9, weight_decay=0.1),
    "sgd_dampening": lambda p: torch.optim.SGD(p, lr=1.0, momentum=0.9, dampening=0.5),
    "sgd_nesterov": lambda p: torch.optim.SGD(p, lr=1.0, momentum=0.9, nesterov=True),
    "sgd_nesterov_decay": lambda p: torch.optim.SGD(p, lr=1.0, momentum=0.9, nesterov=True, weight_decay=0.1),
    "adam": lambda p: torch.optim.Adam(p, lr=1.0),
    "adam_decay": lambda p: torch.optim.Adam(p, lr=1.0, weight_decay=0.1),
    "adam_betas": lambda p: torch.optim.Adam(p, lr=1.0, betas=(0.8, 0.95), eps=1e-3),
    "adamw": lambda p: torch.optim.AdamW(p, lr=1.0, weight_decay=0.01),
    "adamw_strong": lambda p: torch.optim.AdamW(p, lr=1.0, weight_decay=0.5),
}


def optimizers():
    for name, make in OPTIMIZERS.items():
        p = torch.nn.Parameter(torch.tensor([start(i) for i in range(SIZE)]))
        optimizer = make([p])
        for step in range(STEPS):
            optimizer.param_groups[0]["lr"] = rate(step)
            p.grad = torch.tensor([gradient(step, i) for i in range(SIZE)])
            optimizer.step()
            yield f"{name} {step} " + " ".join(number(x) for x in p.detach())


TOTAL = 50
SCHEDULES = {
    "constant": lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda step: 1.0),
    "step": lambda o: torch.optim.lr_scheduler.StepLR(o, step_size=7, gamma=0.3),
    "cosine": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=TOTAL),
    "cosine_floor": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=TOTAL, eta_min=0.01),
    "one_cycle": lambda o: torch.optim.lr_scheduler.OneCycleLR(o, max_lr=0.1, total_steps=TOTAL),
    "one_cycle_short": lambda o: torch.optim.lr_scheduler.OneCycleLR(
        o, max_lr=0.1, total_steps=TOTAL, pct_start=0.1, div_factor=10.0, final_div_factor=100.0),
    "warmup": lambda o: torch.optim.lr_scheduler.LinearLR(o, start_factor=1.0 / 3.0, total_iters=10),
    "warmup_cosine": lambda o: torch.optim.lr_scheduler.SequentialLR(o, [
        torch.optim.lr_scheduler.LinearLR(o, start_factor=0.1, total_iters=10),
        torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=TOTAL - 10)], milestones=[10]),
    "warmup_step": lambda o: torch.optim.lr_scheduler.SequentialLR(o, [
        torch.optim.lr_scheduler.LinearLR(o, start_factor=0.1, total_iters=10),
        torch.optim.lr_scheduler.StepLR(o, step_size=7, gamma=0.3)], milestones=[10]),
}


def schedules():
    for name, make in SCHEDULES.items():
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1, momentum=0.9)
        schedule = make(optimizer)
        for step in range(TOTAL):
            yield f"{name} {step} {format(optimizer.param_groups[0]['lr'], '.15g')}"
            optimizer.step()
            schedule.step()


def clip_grad_norm():
    for max_norm in (0.5, 1.0, 2.0, 100.0):
        p = torch.nn.Parameter(torch.zeros(SIZE))
        q = torch.nn.Parameter(torch.zeros(SIZE))
        p.grad = torch.tensor([gradient(1, i) for i in range(SIZE)])
        q.grad = torch.tensor([gradient(2, i) for i in range(SIZE)])
        norm = torch.nn.utils.clip_grad_norm_([p, q], max_norm)
        yield f"{number(max_norm)} {number(norm)} " + " ".join(number(x) for x in torch.cat([p.grad, q.grad]))


def write(name, lines):
    (HERE / f"{name}.txt").write_text("".join(line + "\n" for line in lines))


def main():
    torch.manual_seed(0)
    write("optimizers", optimizers())
    write("schedules", schedules())
    write("clip_grad_norm", clip_grad_norm())
    print("PyTorch", torch.__version__)


if __name__ == "__main__":
    main()
