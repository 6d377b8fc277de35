"""The peer of bench/table_field: a trained stage of local flow matching in plain PyTorch, eager, with its defaults.

    python3 bench/peers/lfm_field.py FILE [--work push,logdensity-euler,logdensity] [--tolerance 1e-5] [--threads 2]

FILE is what table_field --make wrote. push: 100,000 rows, dopri5. logdensity-euler: 10,000 rows, as the authors of the
paper do it, 149 Euler steps with a backward pass for each dimension at each. logdensity: the same with dopri5 for rows
and log-determinant together. Prints one line of JSON each: elapsed and processor time, evaluations, and the errors on
the rows whose exact results FILE has. Needs torch from PyPI.
"""
import argparse
import json
import math
import time

import torch

from lfm_mlp import CASES, Velocity, divergence, read_safetensors

CHUNK = 32_768
SCORED = 10_000
EULER_STEPS = 149
WORK = ("push", "logdensity-euler", "logdensity")

C = [0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1, 1]
A = [
    [],
    [1 / 5],
    [3 / 40, 9 / 40],
    [44 / 45, -56 / 15, 32 / 9],
    [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729],
    [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656],
    [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84],
]
ERROR = [71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40]


def rms(x):
    return x.square().mean().sqrt().item()


def dopri5(f, y, tolerance, norm=rms):
    """y(1) for y(0) = y, and the number of evaluations: the usual step control, error norms over the whole batch."""
    t, k1 = 0.0, f(0.0, y)
    scale = tolerance + tolerance * y.abs()
    d0, d1 = norm(y / scale), norm(k1 / scale)
    h0 = 0.01 * d0 / d1 if min(d0, d1) > 1e-5 else 1e-6
    d2 = norm((f(h0, y + h0 * k1) - k1) / scale) / h0
    h = min(100 * h0, (0.01 / max(d1, d2)) ** (1 / 6) if max(d1, d2) > 1e-15 else max(1e-6, h0 * 1e-3))
    nfe = 2
    while t < 1:
        last = t + h >= 1
        h = 1 - t if last else h
        k = [k1]
        for c, row in zip(C[1:], A[1:]):
            state = y + h * sum(a * k_j for a, k_j in zip(row, k) if a)
            k.append(f(t + c * h, state))
        nfe += 6
        error = h * sum(e * k_j for e, k_j in zip(ERROR, k) if e)
        ratio = norm(error / (tolerance + tolerance * torch.maximum(y.abs(), state.abs())))
        if ratio <= 1:
            t, y, k1 = (1 if last else t + h), state, k[-1]
        h *= min(10, max(0.9 / max(ratio, 1e-10) ** 0.2, 0.2 if ratio > 1 else 1))
    return y, nfe


def push(model, rows, tolerance):
    with torch.no_grad():
        done = [dopri5(lambda t, x: model(torch.full((x.shape[0],), t), x), part, tolerance)
                for part in rows.split(CHUNK)]
    sizes = [part.shape[0] for part, _ in done]
    return torch.cat([part for part, _ in done]), sum(n * e for n, (_, e) in zip(sizes, done)) / sum(sizes)


def log_normal(z):
    return -0.5 * z.double().square().sum(1) - z.shape[1] / 2 * math.log(2 * math.pi)


def logdensity_euler(model, rows, tolerance):
    x, logdet = rows, torch.zeros(rows.shape[0])
    h = 1 / EULER_STEPS
    for i in range(EULER_STEPS):
        v, trace = divergence(model, torch.full((rows.shape[0],), i * h), x)
        x, logdet = x + h * v, logdet + h * trace
    return log_normal(x) + logdet, EULER_STEPS


def logdensity(model, rows, tolerance):
    def f(t, state):
        v, trace = divergence(model, torch.full((state.shape[0],), t), state[:, :-1])
        return torch.cat([v, trace[:, None]], 1)

    # As torchdiffeq takes the norm of a tuple of states.
    norm = lambda x: max(rms(x[:, :-1]), rms(x[:, -1]))
    state, nfe = dopri5(f, torch.cat([rows, torch.zeros(rows.shape[0], 1)], 1), tolerance, norm)
    return log_normal(state[:, :-1]) + state[:, -1], nfe


def read_field(path):
    given = read_safetensors(path)
    d, width, layers, activation, _ = CASES["POWER"]
    model = Velocity(d, width, layers, activation)
    linear = [module for module in model.net if isinstance(module, torch.nn.Linear)]
    with torch.no_grad():
        for i, layer in enumerate(linear):
            layer.weight.copy_(given[f"weight.net.layers.{i}.weight"])
            layer.bias.copy_(given[f"weight.net.layers.{i}.bias"])
    return model.requires_grad_(False), given


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--work", default=",".join(WORK))
    parser.add_argument("--tolerance", type=float, default=1e-5)
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    model, given = read_field(arguments.file)
    rows = given["rows"]
    push(model, rows[:1000], arguments.tolerance)
    for work in arguments.work.split(","):
        body = {"push": push, "logdensity-euler": logdensity_euler, "logdensity": logdensity}[work]
        start, cpu_start = time.perf_counter(), time.process_time()
        values, nfe = body(model, rows if work == "push" else rows[:SCORED], arguments.tolerance)
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
        known = given["pushed" if work == "push" else "log_density"]
        error = values[:known.shape[0]].double() - known
        print(json.dumps({"work": work, "seconds": round(seconds, 6), "cpu_seconds": round(cpu_seconds, 6),
                          "nfe": round(nfe, 1), "rms_error": float(f"{error.square().mean().sqrt():.3g}"),
                          "max_error": float(f"{error.abs().max():.3g}")}), flush=True)


if __name__ == "__main__":
    main()
