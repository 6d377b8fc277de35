"""The peer of bench/train_step: the same image transformer and step in plain PyTorch, eager, with its defaults.

    python3 bench/peers/jit_step.py [--model p1|b16] [--precision fp32|bf16] [--device cpu|cuda] [--steps 3] [--compile]

Prints one line "step SECONDS" a step. --sample BATCH instead samples pictures with guidance (both halves in one batch, first-
order steps of the linear path) and prints a line "evaluation SECONDS": the peer of bench/sampling. Needs torch from PyPI.
"""
import argparse
import math
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

from compared import timed_steps

MODELS = {  # width, depth, heads, patch, bottleneck, class tokens, from block, side, classes, batch
    "p1": (384, 12, 6, 4, 64, 32, 4, 32, 10, 64),
    "b16": (768, 12, 12, 16, 128, 32, 4, 256, 10, 128),
}
MODEL = sys.argv[sys.argv.index("--model") + 1] if "--model" in sys.argv[:-1] else "p1"
WIDTH, DEPTH, HEADS, PATCH, BOTTLENECK, CONTEXT, START, SIDE, CLASSES, BATCH = MODELS[MODEL]
GRID = SIDE // PATCH


class RMSNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        wide = x.float()
        return (self.weight * (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-6))).to(x.dtype)


def rotary(still):
    quarter = WIDTH // HEADS // 4
    frequencies = 1e4 ** (-torch.arange(quarter) / quarter)
    turn = (torch.arange(GRID)[:, None] * frequencies).repeat_interleave(2, 1)
    half = 2 * quarter
    angle = torch.cat([turn[:, None].expand(GRID, GRID, half), turn[None].expand(GRID, GRID, half)], 2).flatten(0, 1)
    angle = torch.cat([torch.zeros(still, 2 * half), angle])
    return angle.cos(), angle.sin()


def rotate(x, table):
    a, b = x.unflatten(-1, (-1, 2)).unbind(-1)
    return x * table[0] + torch.stack((-b, a), -1).flatten(-2) * table[1]


def modulate(x, shift, scale):
    return x * (1 + scale[:, None]) + shift[:, None]


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q_norm, self.k_norm = RMSNorm(WIDTH // HEADS), RMSNorm(WIDTH // HEADS)
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x, table):
        n, length, _ = x.shape
        q, k, v = self.qkv(x).reshape(n, length, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        q, k = rotate(self.q_norm(q), table), rotate(self.k_norm(k), table)
        out = F.scaled_dot_product_attention(q.to(v.dtype), k.to(v.dtype), v)
        return self.proj(out.transpose(1, 2).reshape(n, length, -1))


class SwiGLU(nn.Module):
    def __init__(self):
        super().__init__()
        hidden = int(4 * WIDTH * 2 / 3)
        self.w12, self.w3 = nn.Linear(WIDTH, 2 * hidden), nn.Linear(hidden, WIDTH)

    def forward(self, x):
        a, b = self.w12(x).chunk(2, -1)
        return self.w3(F.silu(a) * b)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = RMSNorm(WIDTH), RMSNorm(WIDTH)
        self.attn, self.mlp = Attention(), SwiGLU()
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(WIDTH, 6 * WIDTH))

    def forward(self, x, c, table):
        s1, k1, g1, s2, k2, g2 = self.adaLN_modulation(c).chunk(6, -1)
        x = x + g1[:, None] * self.attn(modulate(self.norm1(x), s1, k1), table)
        return x + g2[:, None] * self.mlp(modulate(self.norm2(x), s2, k2))


class JiT(nn.Module):
    def __init__(self):
        super().__init__()
        self.in_context_posemb = nn.Parameter(torch.randn(1, CONTEXT, WIDTH) * 0.02)
        self.register_buffer("pos_embed", torch.zeros(1, GRID * GRID, WIDTH))
        self.t_mlp = nn.Sequential(nn.Linear(256, WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH))
        self.y_table = nn.Embedding(CLASSES + 1, WIDTH)
        self.proj1 = nn.Conv2d(3, BOTTLENECK, PATCH, PATCH, bias=False)
        self.proj2 = nn.Conv2d(BOTTLENECK, WIDTH, 1)
        self.blocks = nn.ModuleList(Block() for _ in range(DEPTH))
        self.norm_final = RMSNorm(WIDTH)
        self.final_modulation = nn.Sequential(nn.SiLU(), nn.Linear(WIDTH, 2 * WIDTH))
        self.linear = nn.Linear(WIDTH, PATCH * PATCH * 3)
        for name, still in (("plain", 0), ("with_context", CONTEXT)):
            for part, table in zip(("cos", "sin"), rotary(still)):
                self.register_buffer(f"{name}_{part}", table)

    def tables(self, i):
        name = "with_context" if i >= START else "plain"
        return getattr(self, f"{name}_cos"), getattr(self, f"{name}_sin")

    def forward(self, z, t, y):
        frequencies = torch.exp(-math.log(1e4) * torch.arange(128, device=t.device) / 128)
        angle = t[:, None] * frequencies
        label = self.y_table(y)
        c = self.t_mlp(torch.cat([angle.cos(), angle.sin()], 1)) + label
        x = self.proj2(self.proj1(z)).flatten(2).transpose(1, 2) + self.pos_embed
        for i, block in enumerate(self.blocks):
            if i == START:
                x = torch.cat([label[:, None] + self.in_context_posemb, x], 1)
            x = block(x, c, self.tables(i))
        shift, scale = self.final_modulation(c).chunk(2, -1)
        x = self.linear(modulate(self.norm_final(x[:, CONTEXT:]), shift, scale))
        x = x.reshape(-1, GRID, GRID, PATCH, PATCH, 3)
        return torch.einsum("nhwpqc->nchpwq", x).reshape(-1, 3, SIDE, SIDE)


@torch.inference_mode()
def sample(model, arguments, steps=8, guidance=2.0):
    batch, device = arguments.sample, arguments.device
    y = torch.cat([torch.arange(batch) % CLASSES, torch.full((batch,), CLASSES)])
    times = torch.linspace(0, 1, steps + 1)
    best = math.inf
    for _ in range(3):
        start = time.perf_counter()
        z = torch.randn(batch, 3, SIDE, SIDE)
        for t, s in zip(times[:-1], times[1:]):
            with torch.autocast(device, torch.bfloat16, enabled=arguments.precision == "bf16"):
                both = model(torch.cat([z, z]), t.expand(2 * batch), y).float()
            conditional, unconditional = both.chunk(2)
            x = unconditional + guidance * (conditional - unconditional)
            z = z + (s - t) * (x - z) / (1 - t)
        if device == "cuda":
            torch.cuda.synchronize()
        best = min(best, (time.perf_counter() - start) / steps)
    print(f"evaluation {best:.5f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="p1", choices=list(MODELS))
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--sample", type=int, default=0)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    device = arguments.device
    torch.set_default_device(device)
    model = JiT()
    if arguments.sample:
        return sample(torch.compile(model) if arguments.compile else model, arguments)
    forward = torch.compile(model) if arguments.compile else model
    x, noise, t = torch.randn(BATCH, 3, SIDE, SIDE), torch.randn(BATCH, 3, SIDE, SIDE), torch.rand(BATCH)
    y = torch.arange(BATCH) % CLASSES
    time_ = t[:, None, None, None]

    def loss():
        z = time_ * x + (1 - time_) * noise
        with torch.autocast(device, torch.bfloat16, enabled=arguments.precision == "bf16"):
            prediction = forward(z, t, y).float()
        return ((x - prediction) / (1 - time_).clamp_min(0.05)).square().mean()

    timed_steps(model, loss, arguments.steps, device)


if __name__ == "__main__":
    main()
