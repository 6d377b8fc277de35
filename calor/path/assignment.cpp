#include "calor/path/assignment.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <bit>
#include <cmath>

// Only LEMON's templates are used, so that its library is not needed, here or by who links to us.
#define LEMON_ONLY_TEMPLATES
#include <lemon/network_simplex.h>
#include <lemon/smart_graph.h>

#include "calor/core/error.h"

namespace calor::path {
namespace {

using Graph = lemon::SmartDigraph;
using Simplex = lemon::NetworkSimplex<Graph, int, std::int64_t>;

// Arcs are numbered by int in LEMON, and n^2 of them take some 64 bytes each.
constexpr std::int64_t largest = 30000;

at::Tensor checked(const at::Tensor& cost) {
  if (cost.dim() != 2 || cost.size(0) != cost.size(1) || !cost.is_floating_point()) {
    throw Error("a square matrix of floating-point costs",
                fmt::format("shape [{}]", fmt::join(cost.sizes(), ", ")),
                "give the cost of every pair of two sets of as many points");
  }
  if (cost.size(0) > largest) {
    throw Error(fmt::format("at most {} points to assign", largest),
                fmt::format("{}", cost.size(0)), "assign in blocks, or take a random part");
  }
  at::Tensor ours = cost.detach().to(at::kCPU, at::kDouble).contiguous();
  if (!at::isfinite(ours).all().item<bool>()) {
    throw Error("finite costs", "a cost that is infinite or not a number",
                "look for overflow or missing values in the points");
  }
  return ours;
}

// The exponent e of the unit 2^-e in which costs become integers. The simplex adds at most 2n costs
// to an artificial cost of 2^62, and that has to stay below 2^63.
int scale_exponent(const at::Tensor& cost) {
  int magnitude = 0;
  (void)std::frexp(cost.abs().max().item<double>(), &magnitude);
  const int bits = 60 - static_cast<int>(std::bit_width(static_cast<std::uint64_t>(cost.size(0))));
  return std::min(bits, 52) - magnitude;
}

}  // namespace

std::vector<std::int64_t> optimal_assignment(const at::Tensor& cost) {
  const at::Tensor ours = checked(cost);
  const auto n = static_cast<int>(ours.size(0));
  if (n == 0) return {};
  const auto* values = ours.const_data_ptr<double>();
  const int exponent = scale_exponent(ours);

  Graph graph;
  graph.reserveNode(2 * n);
  graph.reserveArc(n * n);
  for (int i = 0; i < 2 * n; ++i) graph.addNode();
  Graph::NodeMap<int> supply(graph);
  for (int i = 0; i < n; ++i) {
    supply[Graph::nodeFromId(i)] = 1;
    supply[Graph::nodeFromId(n + i)] = -1;
    for (int j = 0; j < n; ++j) graph.addArc(Graph::nodeFromId(i), Graph::nodeFromId(n + j));
  }
  Graph::ArcMap<std::int64_t> integer_cost(graph);
  for (int arc = 0; arc < n * n; ++arc) {
    integer_cost[Graph::arcFromId(arc)] = std::llround(std::ldexp(values[arc], exponent));
  }

  Simplex simplex(graph);
  simplex.costMap(integer_cost).supplyMap(supply);
  if (simplex.run() != Simplex::OPTIMAL) {
    throw Error("an optimal assignment", "the network simplex found none",
                "look for costs of extreme size");
  }
  std::vector<std::int64_t> assignment(static_cast<std::size_t>(n));
  for (int i = 0; i < n; ++i) {
    int j = 0;
    while (simplex.flow(Graph::arcFromId(i * n + j)) == 0) ++j;
    assignment[static_cast<std::size_t>(i)] = j;
  }
  return assignment;
}

}  // namespace calor::path
