"""The peer of bench/unet_step: the same U-Net and training step in plain PyTorch, eager, with its defaults.

    python3 bench/peers/unet_step.py [--precision fp32|bf16] [--size small|cifar] [--batch N] [--steps 3] [--compile] [--check FILE]

Prints one line "step SECONDS" a step. --check compares prediction, loss and gradients with what unet_step --check wrote. Needs torch from PyPI.
"""
import argparse
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

from compared import read_safetensors, require_same, timed_steps

CLASSES = 10
SIZES = {  # base width, multipliers, blocks, levels with attention, width of a head, groups, embedding, channels, side, batch
    "small": (16, (1, 3, 5), 1, (2,), 16, 8, 128, 1, 28, 128),
    "cifar": (64, (1, 2, 2), 2, (1,), 64, 8, 256, 3, 32, 64),
}


class Block(nn.Module):
    def __init__(self, inputs, outputs, embedding, groups):
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(groups, inputs), nn.GroupNorm(groups, outputs, affine=False)
        self.conv1, self.conv2 = nn.Conv2d(inputs, outputs, 3, padding=1), nn.Conv2d(outputs, outputs, 3, padding=1)
        self.modulation = nn.Linear(embedding, 2 * outputs)
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x, embedding):
        scale, shift = self.modulation(embedding)[:, :, None, None].chunk(2, 1)
        h = self.conv1(F.silu(self.norm1(x)))
        return self.skip(x) + self.conv2(F.silu(self.norm2(h) * (1 + scale) + shift))


class Attention(nn.Module):
    def __init__(self, width, head, groups):
        super().__init__()
        self.heads = width // head
        self.norm = nn.GroupNorm(groups, width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        n, c, height, width = x.shape
        tokens = self.norm(x).flatten(2).transpose(1, 2)
        q, k, v = self.qkv(tokens).reshape(n, height * width, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return x + self.proj(out).transpose(1, 2).unflatten(2, (height, width))


class Level(nn.Module):
    def __init__(self, inputs, outputs, blocks, attends, common, resample=None):
        super().__init__()
        embedding, head, groups = common
        self.block = nn.ModuleList(Block(inputs, outputs, embedding, groups) for _ in range(blocks))
        self.attention = nn.ModuleList(Attention(outputs, head, groups) for _ in range(attends))
        self.resample = resample

    def step(self, i, x, embedding):
        x = self.block[i](x, embedding)
        return self.attention[i](x) if i < len(self.attention) else x


class UNet(nn.Module):
    def __init__(self, size):
        super().__init__()
        base, multipliers, blocks, attends, head, groups, e, channels, _, _ = SIZES[size]
        widths = [base * m for m in multipliers]
        last = len(widths) - 1
        common = e, head, groups
        self.time = nn.ModuleList([nn.Linear(64, e), nn.Linear(e, e)])
        self.label = nn.Embedding(CLASSES + 1, e)
        self.input, self.output = nn.Conv2d(channels, base, 3, padding=1), nn.Conv2d(base, channels, 3, padding=1)
        self.output_norm = nn.GroupNorm(groups, base)
        self.down = nn.ModuleList(
            Level(w, w, blocks, blocks if level in attends else 0, common,
                  nn.Conv2d(w, widths[level + 1], 3, 2, 1) if level < last else None) for level, w in enumerate(widths))
        self.middle = Level(widths[-1], widths[-1], 2, 1, common)
        self.up = nn.ModuleList(
            Level(2 * w, w, blocks + 1, blocks + 1 if level in attends else 0, common,
                  nn.Conv2d(w, widths[level - 1], 3, padding=1) if level else None) for level, w in enumerate(widths))

    def forward(self, z, t, y):
        angle = t[:, None] * 256 ** (torch.arange(32, device=t.device) / 31) * (math.pi / 2)
        e = self.time[1](F.silu(self.time[0](torch.cat([angle.cos(), angle.sin()], 1))))
        e = F.silu(e + self.label(y))
        h, skips = self.input(z), []
        for level in self.down:
            skips.append(h)
            for i in range(len(level.block)):
                h = level.step(i, h, e)
                skips.append(h)
            if level.resample is not None:
                h = level.resample(h)
        for i in range(2):
            h = self.middle.step(i, h, e)
        for level in reversed(self.up):
            for i in range(len(level.block)):
                h = level.step(i, torch.cat([h, skips.pop()], 1), e)
            if level.resample is not None:
                h = level.resample(F.interpolate(h, scale_factor=2))
        return self.output(F.silu(self.output_norm(h)))


def loss_of(prediction, x, noise):
    return (prediction - (x - noise)).square().mean()


def check(size, path):
    given = read_safetensors(path)
    model = UNet(size)
    weights = {name.removeprefix("weight.net."): tensor for name, tensor in given.items() if name.startswith("weight.")}
    model.load_state_dict(weights)
    prediction = model(given["z"], given["t"], given["y"])
    loss = loss_of(prediction, given["x"], given["noise"])
    loss.backward()
    pairs = {"prediction": (prediction.detach(), given["prediction"]), "loss": (loss.detach().reshape(1), given["loss"])}
    for name, parameter in model.named_parameters():
        pairs[f"gradient {name}"] = parameter.grad, given[f"gradient.net.{name}"]
    require_same(size, pairs)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="small", choices=list(SIZES))
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--batch", type=int, default=0)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--check")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    if arguments.check:
        return check(arguments.size, arguments.check)
    channels, side, batch = SIZES[arguments.size][-3:]
    batch = arguments.batch or batch
    model = UNet(arguments.size)
    forward = torch.compile(model) if arguments.compile else model
    x, noise, t = torch.randn(batch, channels, side, side), torch.randn(batch, channels, side, side), torch.rand(batch)
    y = torch.arange(batch) % CLASSES
    time_ = t[:, None, None, None]

    def loss():
        z = time_ * x + (1 - time_) * noise
        with torch.autocast("cpu", torch.bfloat16, enabled=arguments.precision == "bf16"):
            prediction = forward(z, t, y).float()
        return loss_of(prediction, x, noise)

    timed_steps(model, loss, arguments.steps)


if __name__ == "__main__":
    main()
