// The distances between two sets of feature rows that calor evaluate gives for every kind of
// samples, and how they are printed.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "app/evaluate.h"

namespace calor::app {

// Fewer rows than these cannot be evaluated: each half of the real ones has its neighbours.
constexpr std::int64_t least_rows = 16;

// Between float64 [n, d] and [m, d]; the keys are in docs/evaluation.md.
nlohmann::ordered_json distances(const at::Tensor& made, const at::Tensor& real,
                                 const EvaluateArguments& a);
// The same between two halves of the real rows: what no model can be expected to fall below.
nlohmann::ordered_json distances_of_halves(const at::Tensor& real, const EvaluateArguments& a);

// What is to be said against distances from n samples to m real rows in d dimensions.
std::vector<std::string> distance_warnings(std::int64_t n, std::int64_t m, std::int64_t d);

// UsageError where --blocks do not fit into n samples.
void check_blocks(const EvaluateArguments& a, std::int64_t n);

// A line of two numbers under the heads of print_heads: `key` of both objects, "-" where it is
// null; with "+- e" where `error_key` is there.
void print_heads(const Globals& globals, const std::string& title, const std::string& real);
void print_line(const Globals& globals, const std::string& text, const nlohmann::ordered_json& made,
                const nlohmann::ordered_json& real, const char* key, const char* error_key = "");
// `features`: what they are of, by name.
void print_distances(const Globals& globals, const std::string& features,
                     const nlohmann::ordered_json& made, const nlohmann::ordered_json& real);

}  // namespace calor::app
