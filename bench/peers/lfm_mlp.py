"""The peer of bench/mlp_step: the perceptrons of local flow matching in plain PyTorch, eager, with its defaults.

    python3 bench/peers/lfm_mlp.py [--case POWER] [--work train,adam,velocity,divergence] [--repeats 5] [--threads 2]
    python3 bench/peers/lfm_mlp.py --case POWER --check FILE

Prints one line of JSON a case and work, with the fastest repeat's elapsed and processor time. --check compares with what mlp_step --check wrote.
Needs torch from PyPI.
"""
import argparse
import json
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

from compared import read_safetensors, require_same

# name: dimensions, width, hidden layers, activation, batch
CASES = {
    "POWER": (6, 256, 4, nn.ReLU, 30_000),
    "GAS": (8, 362, 5, nn.ReLU, 50_000),
    "MINIBOONE": (43, 362, 4, nn.ReLU, 1_000),
    "BSDS300": (63, 512, 4, nn.ELU, 500),
}
WORK = ("train", "adam", "velocity", "divergence")


class Velocity(nn.Module):
    def __init__(self, d, width, layers, activation):
        super().__init__()
        parts = [nn.Linear(1 + d, width), activation()]
        for _ in range(layers - 1):
            parts += [nn.Linear(width, width), activation()]
        self.net = nn.Sequential(*parts, nn.Linear(width, d))

    def forward(self, t, x):
        return self.net(torch.cat([t[:, None], x], 1))


def loss_of(model, x, noise, t):
    z = (1 - t[:, None]) * x + t[:, None] * noise
    return F.mse_loss(model(t, z), noise - x)


def divergence(model, t, x):
    """One backward pass for each dimension."""
    x = x.detach().requires_grad_(True)
    v = model(t, x)
    d = x.shape[1]
    trace = 0
    for k in range(d):
        trace = trace + torch.autograd.grad(v[:, k].sum(), x, retain_graph=k + 1 < d)[0][:, k]
    return v.detach(), trace


def fastest(repeats, body):
    """Elapsed time, and the processor time of all threads."""
    body()
    elapsed, processor = [], []
    for _ in range(repeats):
        start, cpu_start = time.perf_counter(), time.process_time()
        body()
        elapsed.append(time.perf_counter() - start)
        processor.append(time.process_time() - cpu_start)
    return min(elapsed), min(processor)


def time_work(case, work, repeats):
    d, width, layers, activation, batch = CASES[case]
    torch.manual_seed(0)
    model = Velocity(d, width, layers, activation)
    n = {"velocity": 100_000, "divergence": 10_000}.get(work, batch)
    x, noise, t = torch.randn(n, d), torch.randn(n, d), torch.rand(n)
    if work == "divergence":
        model.requires_grad_(False)
        return fastest(repeats, lambda: divergence(model, t, x))
    if work == "velocity":
        with torch.no_grad():
            return fastest(repeats, lambda: model(t, x))
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-5)

    def step():
        optimiser.zero_grad()
        loss_of(model, x, noise, t).backward()
        if work == "adam":
            optimiser.step()

    return fastest(repeats, step)


def check(case, path):
    """Largest difference of each result, relative to the largest number of ours."""
    d, width, layers, activation, _ = CASES[case]
    given = read_safetensors(path)
    model = Velocity(d, width, layers, activation)
    with torch.no_grad():
        for i, layer in enumerate(module for module in model.net if isinstance(module, nn.Linear)):
            layer.weight.copy_(given[f"weight.net.layers.{i}.weight"])
            layer.bias.copy_(given[f"weight.net.layers.{i}.bias"])
    loss = loss_of(model, given["z"], given["noise"], given["t"])
    loss.backward()
    velocity, trace = divergence(model, given["t"], given["z"])
    pairs = {"loss": (loss.detach().reshape(1), given["loss"]), "velocity": (velocity, given["velocity"]),
             "divergence": (trace, given["divergence"])}
    for i, layer in enumerate(module for module in model.net if isinstance(module, nn.Linear)):
        pairs[f"gradient {i} weight"] = layer.weight.grad, given[f"gradient.net.layers.{i}.weight"]
        pairs[f"gradient {i} bias"] = layer.bias.grad, given[f"gradient.net.layers.{i}.bias"]
    require_same(case, pairs)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=CASES)
    parser.add_argument("--work", default=",".join(WORK))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--check")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    for case in [arguments.case] if arguments.case else CASES:
        if arguments.check:
            check(case, arguments.check)
            continue
        for work in arguments.work.split(","):
            seconds, cpu_seconds = time_work(case, work, arguments.repeats)
            print(json.dumps({"case": case, "work": work, "seconds": round(seconds, 6),
                              "cpu_seconds": round(cpu_seconds, 6)}), flush=True)


if __name__ == "__main__":
    main()
