"""The peer of bench/policy_latency: the same 1-D U-Net in plain PyTorch, eager, fp32, at batch 1.

    python3 bench/peers/policy_latency.py [--decisions 5] [--ddpm 100] [--check FILE.npz]

Prints "network MEDIAN p99 longest" (one evaluation) and "ddpm N MEDIAN p99 longest" (a whole decision by N ancestral
steps of DDPM), in milliseconds. --check compares with the answer that bench/policy_latency --weights FILE.npz wrote,
for the same weights, and times nothing. Needs torch and numpy from PyPI.
"""
import argparse
import math
import time

import numpy as np
import torch
import torch.nn as nn

ACTIONS, STEPS, CONDITION = 2, 16, 40
WIDTHS, EMBEDDING, KERNEL, GROUPS = (256, 512, 1024), 256, 5, 8
TIME_SCALE = 100


class Sinusoids(nn.Module):
    def forward(self, t):
        half = EMBEDDING // 2
        frequencies = torch.exp(torch.arange(half) * (-math.log(1e4) / (half - 1)))
        angle = t[:, None] * frequencies
        return torch.cat([angle.sin(), angle.cos()], 1)


class Block(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.block = nn.Sequential(nn.Conv1d(inputs, outputs, KERNEL, padding=KERNEL // 2),
                                   nn.GroupNorm(GROUPS, outputs), nn.Mish())

    def forward(self, x):
        return self.block(x)


class Residual(nn.Module):
    def __init__(self, inputs, outputs, condition):
        super().__init__()
        self.blocks = nn.ModuleList([Block(inputs, outputs), Block(outputs, outputs)])
        self.cond_encoder = nn.Sequential(nn.Mish(), nn.Linear(condition, 2 * outputs))
        self.residual_conv = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x, condition):
        scale, shift = self.cond_encoder(condition).unsqueeze(2).chunk(2, 1)
        h = scale * self.blocks[0](x) + shift
        return self.blocks[1](h) + self.residual_conv(x)


class Resample(nn.Module):
    def __init__(self, conv):
        super().__init__()
        self.conv = conv

    def forward(self, x):
        return self.conv(x)


class ChunkUnet(nn.Module):
    def __init__(self):
        super().__init__()
        self.diffusion_step_encoder = nn.Sequential(
            Sinusoids(), nn.Linear(EMBEDDING, 4 * EMBEDDING), nn.Mish(), nn.Linear(4 * EMBEDDING, EMBEDDING))
        given = EMBEDDING + CONDITION
        sides = (ACTIONS,) + WIDTHS
        self.down_modules = nn.ModuleList()
        for level, (inputs, outputs) in enumerate(zip(sides[:-1], sides[1:])):
            last = level == len(WIDTHS) - 1
            self.down_modules.append(nn.ModuleList([
                Residual(inputs, outputs, given), Residual(outputs, outputs, given),
                nn.Identity() if last else Resample(nn.Conv1d(outputs, outputs, 3, 2, 1))]))
        self.mid_modules = nn.ModuleList([Residual(WIDTHS[-1], WIDTHS[-1], given) for _ in range(2)])
        self.up_modules = nn.ModuleList()
        for inputs, outputs in zip(WIDTHS[:0:-1], WIDTHS[-2::-1]):
            self.up_modules.append(nn.ModuleList([
                Residual(2 * inputs, outputs, given), Residual(outputs, outputs, given),
                Resample(nn.ConvTranspose1d(outputs, outputs, 4, 2, 1))]))
        self.final_conv = nn.Sequential(Block(WIDTHS[0], WIDTHS[0]), nn.Conv1d(WIDTHS[0], ACTIONS, 1))

    def forward(self, x, t, condition):
        given = torch.cat([self.diffusion_step_encoder(TIME_SCALE * t), condition], 1)
        skips = []
        for first, second, down in self.down_modules:
            x = second(first(x, given), given)
            skips.append(x)
            x = down(x)
        for module in self.mid_modules:
            x = module(x, given)
        for first, second, up in self.up_modules:
            x = up(second(first(torch.cat([x, skips.pop()], 1), given), given))
        return self.final_conv(x)


def check(model, path):
    arrays = {name: torch.from_numpy(array) for name, array in np.load(path).items()}
    weights = {name: array for name, array in arrays.items() if not name.startswith("input.") and name != "output"}
    model.load_state_dict(weights)
    y = model(arrays["input.z"].squeeze(2), arrays["input.t"], arrays["input.condition"])
    error = (y - arrays["output"].squeeze(2)).abs().max() / y.abs().max()
    assert error < 1e-4, f"the networks differ by {error:.1e}"
    print(f"parameters {sum(p.numel() for p in model.parameters())}, largest relative difference {error:.1e}")


def milliseconds(work, count):
    times = []
    for _ in range(count + 1):
        start = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - start))
    times = sorted(times[1:])
    at = lambda share: times[int(share * (len(times) - 1))]
    return f"{at(.5):.3f} {at(.99):.3f} {times[-1]:.3f}"


def ddpm(model, condition, alpha_bar):
    """The squared-cosine schedule's ancestral sampler, predictions of noise, clean chunks clipped to [-1, 1]."""
    z = torch.randn(1, ACTIONS, STEPS)
    for k in range(len(alpha_bar) - 1, -1, -1):
        now, before = alpha_bar[k], alpha_bar[k - 1] if k > 0 else torch.tensor(1.0)
        noise = model(z, torch.full((1,), k / len(alpha_bar)), condition)
        clean = ((z - (1 - now).sqrt() * noise) / now.sqrt()).clamp(-1, 1)
        alpha = now / before
        z = before.sqrt() * (1 - alpha) / (1 - now) * clean + alpha.sqrt() * (1 - before) / (1 - now) * z
        if k > 0:
            z = z + ((1 - before) / (1 - now) * (1 - alpha)).sqrt() * torch.randn_like(z)
    return z


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--decisions", type=int, default=5)
    parser.add_argument("--ddpm", type=int, default=100)
    parser.add_argument("--check")
    arguments = parser.parse_args()
    model = ChunkUnet().eval()
    with torch.no_grad():
        if arguments.check:
            return check(model, arguments.check)
        condition = torch.randn(1, CONDITION)
        z, t = torch.randn(1, ACTIONS, STEPS), torch.rand(1)
        print("network", milliseconds(lambda: model(z, t, condition), 10 * arguments.decisions), flush=True)
        place = lambda u: math.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2
        n = arguments.ddpm
        betas = [min(1 - place((k + 1) / n) / place(k / n), 0.999) for k in range(n)]
        alpha_bar = torch.cumprod(1 - torch.tensor(betas), 0)
        print("ddpm", n, milliseconds(lambda: ddpm(model, condition, alpha_bar), arguments.decisions), flush=True)


if __name__ == "__main__":
    main()
