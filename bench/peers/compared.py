"""What peers share: reading a program's tensors, comparing results on the same weights before anything is timed, and training steps."""
import json
import time

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


def timed_steps(model, loss_of, steps, device="cpu"):
    """Forward and loss by loss_of(), backward, clipping, AdamW and both averages: prints "step SECONDS" for each step but the first."""
    averages = [[p.detach().clone() for p in model.parameters()] for _ in range(2)]
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0)
    for i in range(steps + 1):  # the first warms up
        start = time.perf_counter()
        loss_of().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        with torch.no_grad():
            for average, decay in zip(averages, (0.9999, 0.9996)):
                torch._foreach_lerp_(average, [p.detach() for p in model.parameters()], 1 - decay)
        if device == "cuda":
            torch.cuda.synchronize()
        if i:
            print(f"step {time.perf_counter() - start:.4f}", flush=True)
    print(f"parameters {sum(p.numel() for p in model.parameters())}")
