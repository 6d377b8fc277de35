"""The peer of bench/blur: the heat blur by an FFT-based DCT in plain PyTorch.

    python3 bench/peers/blur.py [--side 32] [--batch 64] [--repeats 20] [--check FILE.npz]

The orthonormal DCT-II of length n by one complex FFT of length n: even samples in order, odd ones reversed, then a turn of
each coefficient (Makhoul 1980). Prints a line "fft SECONDS", the fastest of the repeats. --check compares with the pictures
that bench/blur --check has written. Needs torch (and numpy for --check).
"""
import argparse
import math
import time

import torch


def dct(x):
    """Of the last dimension."""
    n = x.shape[-1]
    v = torch.cat([x[..., ::2], x[..., 1::2].flip(-1)], -1)
    k = torch.arange(n) * (-math.pi / (2 * n))
    c = torch.fft.fft(v)
    y = c.real * k.cos() - c.imag * k.sin()
    scale = torch.full((n,), math.sqrt(2 / n))
    scale[0] = math.sqrt(1 / n)
    return y * scale


def idct(y):
    n = y.shape[-1]
    scale = torch.full((n,), math.sqrt(2 / n))
    scale[0] = math.sqrt(1 / n)
    y = y / scale
    k = torch.arange(n) * (math.pi / (2 * n))
    reversed_ = torch.cat([torch.zeros_like(y[..., :1]), y[..., 1:].flip(-1)], -1)
    real = y * k.cos() + reversed_ * k.sin()
    imaginary = y * k.sin() - reversed_ * k.cos()
    v = torch.fft.irfft(torch.complex(real, imaginary)[..., : n // 2 + 1], n)
    x = torch.empty_like(v)
    x[..., ::2] = v[..., : (n + 1) // 2]
    x[..., 1::2] = v[..., (n + 1) // 2 :].flip(-1)
    return x


def eigenvalues(side):
    k = torch.arange(side) ** 2 * (math.pi / side) ** 2
    return k[:, None] + k[None]


def blur(x, tau, lam):
    y = dct(dct(x).transpose(-1, -2)).transpose(-1, -2)
    y = y * torch.exp(-tau[:, None, None, None] * lam)
    return idct(idct(y.transpose(-1, -2)).transpose(-1, -2))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--check")
    arguments = parser.parse_args()
    if arguments.check:
        import numpy

        file = numpy.load(arguments.check)
        x, tau, expected = (torch.from_numpy(file[name]) for name in ("pictures", "tau", "blurred"))
        error = (blur(x, tau, eigenvalues(x.shape[-1])) - expected).abs().max() / expected.abs().max()
        print(f"largest difference {error:.1e} of the largest value")
        raise SystemExit(0 if error < 1e-5 else 1)
    x = torch.randn(arguments.batch, 3, arguments.side, arguments.side)
    tau = torch.rand(arguments.batch) * 4
    lam = eigenvalues(arguments.side)
    best = math.inf
    for i in range(arguments.repeats + 1):
        start = time.perf_counter()
        blur(x, tau, lam)
        if i:
            best = min(best, time.perf_counter() - start)
    print(f"fft {best:.7f}")


if __name__ == "__main__":
    main()
