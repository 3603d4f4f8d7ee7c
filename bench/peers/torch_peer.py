"""PyTorch on the work of `detent bench`: `eager` or `compile` (Inductor). Steps: forward, loss, backward, the optimizer of
Detent's recipe, fused; QAT and static quantization with PyTorch's defaults for x86. Data are random."""
import functools
import sys

import torch
import torch.ao.quantization as quantization

from networks import folded, network, prepared_for_qat
from serve import serve

LAYOUTS = {"": torch.contiguous_format, "channels last": torch.channels_last}


def step(case, layout, compiled):
    name, batch = case["model"], case["batch"]
    model = prepared_for_qat(name) if case["precision"] == "qat" else network(name).train()
    model = model.to(memory_format=layout)
    x, labels = model.images(batch, layout), torch.randint(0, 10, (batch,))
    optimizer = model.optimizer([p for p in model.parameters() if p.requires_grad])
    forward = torch.compile(model) if compiled else model

    def work():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=case["precision"] == "bf16"):
            loss = torch.nn.functional.cross_entropy(forward(x), labels)
        loss.backward()
        optimizer.step()
    return work


def inference(model, x):
    def work():
        with torch.inference_mode():
            model(x)
    return work


def float_inference(case, layout, compiled):
    with torch.no_grad():
        model = folded(case["model"]).to(memory_format=layout)
        x = model.images(case["batch"], layout)
        return inference(torch.compile(model) if compiled else model, x)


def int8_inference(case, engine):
    with torch.no_grad():
        torch.backends.quantized.engine = engine
        model = folded(case["model"])
        x, seen = model.images(case["batch"]), model.images(128)
        model.qconfig = quantization.get_default_qconfig(engine)
        model = quantization.prepare(model)
        model(seen)
        converted = quantization.convert(model)
    work = inference(converted, x)

    def with_engine():
        torch.backends.quantized.engine = engine
        work()
    return with_engine


def int8_compiled(case):
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86
    with torch.no_grad():
        model, batch = folded(case["model"]), case["batch"]
        x = model.images(batch)
        quantizer = x86.X86InductorQuantizer().set_global(x86.get_default_x86_inductor_quantization_config())
        prepared = prepare_pt2e(torch.export.export(model, (x,)).module(), quantizer)
        for _ in range(-(-128 // batch)):
            prepared(model.images(batch))
        return inference(torch.compile(convert_pt2e(prepared)), x)


def works(case, compiled):
    torch.set_num_threads(case["threads"])
    if case["what"] == "infer" and case["precision"] == "int8":
        if compiled:
            return {"": functools.partial(int8_compiled, case)}
        engines = [e for e in ("x86", "onednn") if e in torch.backends.quantized.supported_engines]
        return {engine: functools.partial(int8_inference, case, engine) for engine in engines}
    layouts = {"": torch.contiguous_format} if case["model"] == "mlp" else LAYOUTS
    make = step if case["what"] == "step" else float_inference
    return {name: functools.partial(make, case, layout, compiled) for name, layout in layouts.items()}


def main():
    compiled = sys.argv[1] == "compile"
    if compiled:
        torch._inductor.config.freezing = True  # weights are constants where there are no gradients
        torch._dynamo.config.recompile_limit = 1000  # each case compiles the same forward() again
    torch.manual_seed(0)
    serve(f"PyTorch {torch.__version__.split('+')[0]} {sys.argv[1]}", functools.partial(works, compiled=compiled))


main()
