// The time of one decision of a policy at batch 1: the published 1-D U-Net (65.78 M parameters, two
// observations of 20 numbers, chunks of 16 actions of 2) with random weights, 1, 2 and 4
// evaluations of a flow by Euler steps, from the observation to the plan.
//
//     build/bench/policy_latency [--precision auto|fp32|bf16] [--decisions 50] [--weights FILE.npz]
//
// Prints a line "nfe N median p99 longest" in milliseconds for each, and after it, as "machine N
// ..", the same of arithmetic alone that takes as long where nothing interrupts it: what the
// machine itself adds to the tail, whatever the program. --weights writes the weights, an input and
// the network's answer instead of timing: bench/peers/policy_latency.py takes them and compares
// (bench/table.sh).
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>

#include "bench/choices.h"
#include "calor/core/device.h"
#include "calor/core/error.h"
#include "calor/io/npy.h"
#include "calor/policy/controller.h"

namespace {

using namespace calor;

constexpr std::int64_t actions = 2, steps = 16, observed = 20, history = 2;

data::RangeScaler window_scaler(std::int64_t columns) {
  return data::RangeScaler::fit(at::stack({at::zeros({columns}), at::full({columns}, 512.0)}));
}

std::shared_ptr<policy::Policy> published_policy(net::Precision precision) {
  flow::ModelOptions options;
  options.path.kind = path::PathKind::linear;
  options.objective.prediction = objective::Quantity::v;
  options.objective.t_eps = 0;
  options.kind = net::NetworkKind::chunk_unet;
  options.chunk = {.widths = {256, 512, 1024}, .embedding = 256};
  auto policy = std::make_shared<policy::Policy>();
  policy->flow = std::make_unique<flow::Flow>(options,
                                              data::ItemSpec{.channels = actions,
                                                             .height = 1,
                                                             .width = steps,
                                                             .class_names = {},
                                                             .kind = data::ItemKind::rows,
                                                             .condition_width = history * observed},
                                              at::kCPU);
  net::Network& network = policy->flow->stage(0).network();
  network.parameters().initialise(random_key(0, RandomUse::test));
  network.parameters().flatten(at::kCPU);
  network.set_precision(net::resolve(precision, at::kCPU));
  network.pack_weights();
  policy->codec.options.history = history;
  policy->codec.options.chunk = steps;
  policy->codec.actions = window_scaler(actions);
  policy->codec.observations = window_scaler(observed);
  policy->sampling.solver.solver = solve::Solver::euler;
  policy->sampling.solver.t_eps = 0;
  return policy;
}

// Prints the milliseconds' median, 99th percentile and longest; returns the median.
double print_times(const char* name, std::int64_t nfe, std::vector<double> times) {
  std::ranges::sort(times);
  const auto at = [&](double share) {
    return times[static_cast<std::size_t>(share * static_cast<double>(times.size() - 1))];
  };
  std::printf("%s %ld %.3f %.3f %.3f\n", name, static_cast<long>(nfe), at(0.5), at(0.99),
              times.back());
  std::fflush(stdout);
  return at(0.5);
}

double time_decisions(const std::shared_ptr<policy::Policy>& policy, std::int64_t nfe, int count) {
  policy->sampling.solver.steps = nfe;
  policy::Controller controller(policy);
  controller.reset(0);
  const std::vector<double> seen(observed, 200.0);
  for (std::int64_t i = 0; i < (count + 3) * policy->codec.options.execute; ++i) {
    controller.observe(seen);
    if (controller.act().status != policy::ActionStatus::decided) {
      throw Error("a decision", controller.error(), "see whether the policy was made well");
    }
  }
  std::vector<double> times;
  for (const auto& decision : controller.decisions()) times.push_back(1e3 * decision.seconds);
  times.erase(times.begin(), times.begin() + 3);  // to warm up
  return print_times("nfe", nfe, std::move(times));
}

// Arithmetic in registers, on each thread.
double timed_arithmetic(std::uint64_t rounds) {
  const auto start = std::chrono::steady_clock::now();
  at::parallel_for(0, at::get_num_threads(), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t thread = begin; thread < end; ++thread) {
      auto x = static_cast<std::uint64_t>(thread);
      for (std::uint64_t i = 0; i < rounds; ++i)
        x = x * 6364136223846793005U + 1442695040888963407U;
      volatile std::uint64_t kept = x;
      static_cast<void>(kept);
    }
  });
  const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - start;
  return taken.count();
}

void time_machine(std::int64_t nfe, double milliseconds, int count) {
  constexpr std::uint64_t trial = 1'000'000;
  double fastest = timed_arithmetic(trial);
  for (int i = 0; i < 20; ++i) fastest = std::min(fastest, timed_arithmetic(trial));
  const auto rounds = static_cast<std::uint64_t>(milliseconds / fastest * trial);
  std::vector<double> times;
  for (int i = 0; i < count; ++i) times.push_back(timed_arithmetic(rounds));
  print_times("machine", nfe, std::move(times));
}

void write_weights(const policy::Policy& policy, const std::filesystem::path& file) {
  const c10::NoGradGuard no_grad;
  net::Network& network = policy.flow->stage(0).network();
  std::vector<std::pair<std::string, at::Tensor>> arrays;
  for (const auto& [name, tensor] : network.parameters().named()) {
    arrays.emplace_back(name, tensor.to(at::kFloat));
  }
  const auto generator = at::detail::createCPUGenerator(1);
  const at::Tensor z = at::randn({3, actions, 1, steps}, generator);
  const at::Tensor t = at::rand({3}, generator);
  const at::Tensor given = at::randn({3, history * observed}, generator);
  const at::Tensor y = network.forward({.z = z, .t = t, .y = {}, .condition = given});
  arrays.insert(arrays.end(),
                {{"input.z", z}, {"input.t", t}, {"input.condition", given}, {"output", y}});
  io::write_npz(file, arrays);
}

}  // namespace

int main(int argc, char** argv) try {
  calor::prepare_to_compute();
  calor::net::use(calor::net::Products::automatic);
  std::string precision = "auto", weights;
  int decisions = 50;
  CLI::App program("Times a decision of a policy at batch 1.", "policy_latency");
  program.add_option("--precision", precision, "auto, fp32 or bf16")
      ->check(CLI::IsMember({"auto", "fp32", "bf16"}))
      ->capture_default_str();
  program.add_option("--decisions", decisions, "to time, after three to warm up")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  program.add_option("--weights", weights, "FILE.npz: write weights, input and output, no timing");
  CLI11_PARSE(program, argc, argv);
  const auto policy = published_policy(calor::bench::precision_of(precision));
  if (!weights.empty()) {
    write_weights(*policy, weights);
    return 0;
  }
  std::printf("precision %s\n",
              policy->precision() == calor::net::Precision::bf16 ? "bf16" : "fp32");
  for (const std::int64_t nfe : {1, 2, 4}) {
    time_machine(nfe, time_decisions(policy, nfe, decisions), decisions);
  }
  return 0;
} catch (const calor::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return error.exit_status();
}
