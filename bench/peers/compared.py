"""What peers share: reading a program's tensors, and comparing results on the same weights before anything is timed."""
import json

import torch


def read_safetensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = bytearray(file.read())
    header.pop("__metadata__", None)
    types = {"F32": torch.float32, "F64": torch.float64, "I64": torch.int64}
    return {name: torch.frombuffer(data[slice(*entry["data_offsets"])], dtype=types[entry["dtype"]]).reshape(entry["shape"])
            for name, entry in header.items()}


def require_same(what, pairs, most=1e-4):
    """pairs: name -> (peer's, ours). Largest difference of each, relative to the largest number of ours."""
    worst = 0
    for name, (theirs, ours) in pairs.items():
        error = ((theirs - ours).abs().max() / ours.abs().max()).item()
        worst = max(worst, error)
        print(f"{what} {name}: relative difference {error:.1e}")
    if not worst < most:
        raise SystemExit(f"{what}: the two do not compute the same")
