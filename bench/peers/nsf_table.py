"""The strong peer of table densities: a neural spline flow (Durkan et al., 2019) in plain PyTorch with zuko.

    python3 bench/peers/nsf_table.py FOLDER [--seed 0] [--steps 3000] [--batch 512] [--lr 1e-3] [--threads 2]
                                     [--transforms 3] [--hidden 128,128] [--part test] [--keep-best]

FOLDER is what bench/table_baselines wrote: train.npy, validation.npy and test.npy in the encoded space, test_rows.npy
and the corrections to standardised units. Trains with Adam and a cosine decay to zero on train.npy as it is (table_baselines
--copies draws the dequantisation more than once), reports the validation NLL on the way, and writes nsf.csv with the
log-density of each test row. The last step's weights are used; --keep-best takes those of the best validation instead.
Rows far outside the training range decide much of the mean (the splines end at 5 deviations): look at its standard error.
Needs torch, zuko and numpy from PyPI.
"""
import argparse
import math
import pathlib
import time

import numpy as np
import torch
import zuko


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--transforms", type=int, default=3)
    parser.add_argument("--hidden", default="128,128")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--part", choices=("test", "validation"), default="test", help="what is written and reported")
    parser.add_argument("--keep-best", action="store_true")
    parser.add_argument("--validate-every", type=int, default=500)
    return parser.parse_args()


def rows_of(file):
    return torch.from_numpy(np.load(file)).float()


@torch.no_grad()
def log_density(flow, rows):
    flow.eval()
    values = torch.cat([flow().log_prob(part) for part in rows.split(4096)]).double()
    flow.train()
    return values


def train(flow, rows, validation, options):
    """Minimises the mean NLL of the rows; returns the best validation NLL."""
    optimiser = torch.optim.Adam(flow.parameters(), lr=options.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, options.steps)
    best, weights, order, begun = math.inf, None, [], time.time()
    for step in range(1, options.steps + 1):
        if len(order) < options.batch:
            order = torch.randperm(len(rows))
        chosen, order = order[: options.batch], order[options.batch:]
        loss = -flow().log_prob(rows[chosen]).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % options.validate_every == 0 or step == options.steps:
            nll = -(log_density(flow, validation[0]) + validation[1]).mean().item()
            print(f"step {step}: training {loss.item():.4f}, validation {nll:.4f}, {time.time() - begun:.0f} s", flush=True)
            if nll < best:
                best = nll
                weights = {name: value.clone() for name, value in flow.state_dict().items()}
    if options.keep_best:
        flow.load_state_dict(weights)
    return best


def main():
    options = arguments()
    torch.manual_seed(options.seed)
    if options.threads:
        torch.set_num_threads(options.threads)
    folder = options.folder
    rows = rows_of(folder / "train.npy")
    parts = {name: (rows_of(folder / f"{name}.npy"), torch.from_numpy(np.load(folder / f"{name}_correction.npy")))
             for name in ("validation", "test")}
    hidden = [int(width) for width in options.hidden.split(",")]
    flow = zuko.flows.NSF(rows.shape[1], transforms=options.transforms, hidden_features=hidden)
    print(f"{sum(p.numel() for p in flow.parameters())} parameters, {len(rows)} rows of {rows.shape[1]} numbers")
    train(flow, rows, parts["validation"], options)
    values = (log_density(flow, parts[options.part][0]) + parts[options.part][1]).numpy()
    print(f"nsf        {options.part} NLL {-values.mean():.4f} +- {values.std(ddof=1) / math.sqrt(len(values)):.4f} "
          "nats a row, standardised units")
    if options.part == "test":
        numbers = np.load(folder / "test_rows.npy")
        lines = [f"{row},{value!r}" for row, value in zip(numbers.tolist(), values.tolist())]
        (folder / "nsf.csv").write_text("\n".join(["row,log_density_standardised", *lines]) + "\n")


if __name__ == "__main__":
    main()
