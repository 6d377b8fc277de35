// The gradients of a pass's parameters. Each part of the rows has sums of its own, which are then
// added in order, so that the result does not depend on the number of threads.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace calor::net::kernels {

std::int64_t numbers_in(const std::vector<at::Tensor>& parameters);

// Tensors like the parameters, one after another in `flat`, with any content.
std::vector<at::Tensor> carve(const std::vector<at::Tensor>& parameters, const at::Tensor& flat);

// Whether gradients may be added where they belong: they are allocated, and this is backward(),
// not grad(), which must leave them alone.
bool adds_in_place(const std::vector<at::Tensor>& parameters);

// target[i] += every part's tensor i, in order of the parts.
void add_in_order(const std::vector<at::Tensor>& target,
                  const std::vector<std::vector<at::Tensor>>& parts);

}  // namespace calor::net::kernels
