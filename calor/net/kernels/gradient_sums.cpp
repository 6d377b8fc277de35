#include "calor/net/kernels/gradient_sums.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <torch/csrc/autograd/graph_task.h>

#include <algorithm>

namespace calor::net::kernels {

std::int64_t numbers_in(const std::vector<at::Tensor>& parameters) {
  std::int64_t count = 0;
  for (const auto& parameter : parameters) count += parameter.numel();
  return count;
}

std::vector<at::Tensor> carve(const std::vector<at::Tensor>& parameters, const at::Tensor& flat) {
  std::vector<at::Tensor> out;
  std::int64_t offset = 0;
  for (const auto& like : parameters) {
    out.push_back(flat.narrow(0, offset, like.numel()).view(like.sizes()));
    offset += like.numel();
  }
  return out;
}

bool adds_in_place(const std::vector<at::Tensor>& parameters) {
  const auto* info = torch::autograd::get_current_graph_task_exec_info();
  if (info != nullptr && !info->empty()) return false;
  return std::all_of(parameters.begin(), parameters.end(), [](const at::Tensor& x) {
    return x.grad().defined() && x.grad().is_contiguous();
  });
}

void add_in_order(const std::vector<at::Tensor>& target,
                  const std::vector<std::vector<at::Tensor>>& parts) {
  const auto count = static_cast<std::int64_t>(target.size());
  at::parallel_for(0, count, 1, [&](std::int64_t begin, std::int64_t end) {
    const at::AutoDispatchBelowADInplaceOrView no_graph;
    for (std::int64_t j = begin; j < end; ++j) {
      const auto i = static_cast<std::size_t>(j);
      const at::Tensor& sum = target[i];
      for (const auto& part : parts) sum.add_(part[i]);
    }
  });
}

}  // namespace calor::net::kernels
