"""What bench/table_density.sh computes between the programs that it runs.

    density_table.py width INFO.json STEPS    the width of one network with as many parameters as the chain, and stages x STEPS
    density_table.py summary FOLDER SEED...   the table: mean NLL, standard errors, paired differences

INFO.json is `calor info --json` of the chain. The standard error of a mean is over the test rows (each row's value
averaged over the seeds); "seeds" is the deviation of the seeds' means, which are of the same rows. Needs numpy from PyPI.
"""
import csv
import json
import pathlib
import sys

import numpy as np

MODELS = ("lfm", "fm", "nsf", "mixture", "gaussian", "exact")
PAIRS = (("lfm", "nsf"), ("lfm", "fm"), ("fm", "nsf"), ("lfm", "mixture"), ("lfm", "exact"), ("nsf", "exact"))


def parameters(settings, d, width):
    """The count of calor/net/mlp.h for a table without labels and condition."""
    layers, residual, e = settings["mlp.layers"], settings["mlp.residual"], settings["mlp.embedding"]
    features = settings["mlp.fourier_features"]
    inputs = d + (2 * features if settings["mlp.time"] == "fourier" else 1)
    middle = layers if residual else layers - 1
    count = (inputs + 1) * width + middle * (width + 1) * width + (width + 1) * d
    if residual:
        count += (2 * features + 1) * e + (e + 1) * 2 * width * layers
    return count


def width(info, steps):
    settings, d, stages = info["settings"], info["rows"]["numbers"], info["stages"]
    widths = [int(w) for w in settings["stages.widths"]] or [settings["mlp.width"]] * stages
    total = sum(parameters(settings, d, w) for w in widths)
    if total != info["numbers"]:
        raise SystemExit(f"counted {total} parameters, the model has {info['numbers']}")
    one = min(range(1, 16385), key=lambda w: abs(parameters(settings, d, w) - total))
    print(one, stages * steps, total, parameters(settings, d, one))


def read(file):
    with open(file, newline="") as stream:
        return {int(row["row"]): float(row["log_density_standardised"]) for row in csv.DictReader(stream)}


def error(values):
    return values.std(ddof=1) / np.sqrt(len(values))


def line(name, values):
    """values [seeds, rows]."""
    means = values.mean(1)
    spread = f"{means.std(ddof=1):.4f}" if len(means) > 1 else "-"
    each = " ".join(f"{mean:.4f}" for mean in means)
    print(f"{name:<14} {values.mean():>9.4f} +- {error(values.mean(0)):.4f}   seeds {spread:>7}   {each}")


def summary(folder, seeds):
    nll = {}
    for model in MODELS:
        files = [folder / f"seed{seed}" / f"{model}.csv" for seed in seeds]
        if not all(file.exists() for file in files):
            continue
        tables = [read(file) for file in files]
        rows = sorted(tables[0])
        if any(sorted(table) != rows for table in tables):
            raise SystemExit(f"{model}: the seeds were measured on different rows")
        nll[model] = rows, -np.array([[table[row] for row in rows] for table in tables])
    print(f"NLL in nats a row, standardised units, {len(next(iter(nll.values()))[0])} test rows, seeds {' '.join(seeds)}")
    for model, (_, values) in nll.items():
        line(model, values)
    print("paired differences per row (below 0: the first is better)")
    for a, b in PAIRS:
        if a in nll and b in nll:
            if nll[a][0] != nll[b][0]:
                raise SystemExit(f"{a} and {b} were measured on different rows")
            line(f"{a} - {b}", nll[a][1] - nll[b][1])


def main():
    if len(sys.argv) == 4 and sys.argv[1] == "width":
        width(json.loads(pathlib.Path(sys.argv[2]).read_text()), int(sys.argv[3]))
    elif len(sys.argv) >= 4 and sys.argv[1] == "summary":
        summary(pathlib.Path(sys.argv[2]), sys.argv[3:])
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
