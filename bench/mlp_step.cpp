// The times of the perceptrons of local flow matching at the published sizes, and of our residual
// ones for tables (HOUSES, POWER_RESIDUAL): a training step without and with the optimiser,
// velocities of 100,000 rows, exact divergences of 10,000 rows.
//
//     build/bench/mlp_step [--case POWER] [--work train,adam,velocity,divergence] [--repeats 5]
//                          [--products auto|standard|onednn] [--threads 2] [--check FILE]
//
// Prints one line of JSON a case and work, with the fastest repeat's elapsed time, what its
// products take alone, processor time, its median and its largest value, so that a peer or another
// build can be run in turn (bench/table.sh). --check writes weights, inputs and results for
// the peer to compare.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <functional>

#include "bench/check_file.h"
#include "bench/choices.h"
#include "bench/roof.h"
#include "calor/core/device.h"
#include "calor/net/mlp.h"
#include "calor/train/optimiser.h"

namespace {

using namespace calor;

struct Case {
  const char* name;
  std::int64_t dimensions, width, layers;
  net::Activation activation;
  std::int64_t batch;
  bool residual = false;
};

constexpr Case cases[] = {
    {"POWER", 6, 256, 4, net::Activation::relu, 30'000},
    {"GAS", 8, 362, 5, net::Activation::relu, 50'000},
    {"MINIBOONE", 43, 362, 4, net::Activation::relu, 1'000},
    {"BSDS300", 63, 512, 4, net::Activation::elu, 500},
    {"HOUSES", 9, 256, 4, net::Activation::silu, 1024, true},
    {"POWER_RESIDUAL", 6, 256, 4, net::Activation::silu, 4096, true},
};

struct Settings {
  std::string only_case, products = "auto", check;
  std::vector<std::string> work{"train", "adam", "velocity", "divergence"};
  int repeats = 5, threads = 0;
};

// The fastest elapsed time; the processor time of all threads, that of a busy machine too; and the
// time of the products alone, which a perceptron does in pieces of rows, one thread each.
struct Taken {
  double seconds, cpu_seconds, cpu_median, cpu_slowest, products;
};

double products_alone(const std::function<void()>& body) {
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const double seconds = bench::products_alone(body) / threads;
  at::set_num_threads(threads);
  return seconds;
}

Taken timed(int repeats, const std::function<void()>& body) {
  std::vector<double> elapsed;
  std::vector<double> cpu;
  body();
  for (int i = 0; i < repeats; ++i) {
    const auto start = std::chrono::steady_clock::now();
    const std::clock_t cpu_start = std::clock();
    body();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    elapsed.push_back(taken.count());
    cpu.push_back(static_cast<double>(std::clock() - cpu_start) /
                  static_cast<double>(CLOCKS_PER_SEC));
  }
  std::sort(cpu.begin(), cpu.end());
  return {.seconds = *std::min_element(elapsed.begin(), elapsed.end()),
          .cpu_seconds = cpu.front(),
          .cpu_median = cpu[cpu.size() / 2],
          .cpu_slowest = cpu.back(),
          .products = products_alone(body)};
}

std::unique_ptr<net::Network> make_network(const Case& item) {
  auto network =
      net::make_mlp({.width = item.width,
                     .layers = item.layers,
                     .activation = item.activation,
                     .residual = item.residual,
                     .time = item.residual ? net::TimeInput::fourier : net::TimeInput::appended},
                    {.channels = item.dimensions, .height = 1, .width = 1, .classes = 0});
  network->parameters().initialise(random_key(0, RandomUse::test));
  network->parameters().flatten(at::kCPU);
  network->parameters().allocate_gradient();
  return network;
}

net::NetworkInput some_rows(std::int64_t n, std::int64_t d) {
  const auto generator = at::detail::createCPUGenerator(0);
  return {.z = at::randn({n, d, 1, 1}, generator), .t = at::rand({n}, generator), .y = {}};
}

// Rows x to noise g along (1 - t) x + t g; the velocity is g - x.
at::Tensor loss_of(net::Network& network, const at::Tensor& x, const at::Tensor& g,
                   const at::Tensor& t) {
  const at::Tensor z = at::lerp(x, g, t.view({-1, 1, 1, 1}));
  return at::mse_loss(network.forward({.z = z, .t = t, .y = {}}), g - x);
}

Taken time_training(const Case& item, net::Network& network, bool with_optimiser, int repeats) {
  const net::NetworkInput rows = some_rows(item.batch, item.dimensions);
  const at::Tensor noise = at::randn(rows.z.sizes(), at::detail::createCPUGenerator(1));
  net::Parameters& parameters = network.parameters();
  auto state = train::OptimiserState::start(parameters.flat());
  return timed(repeats, [&] {
    parameters.flat_gradient().zero_();
    loss_of(network, rows.z, noise, rows.t).backward();
    if (!with_optimiser) return;
    at::Tensor weights = parameters.flat();
    train::update(weights, parameters.flat_gradient(), 1, {.lr = 1e-5}, state);
  });
}

Taken time_work(const Case& item, const std::string& work, int repeats) {
  const auto network = make_network(item);
  if (work == "train" || work == "adam") {
    return time_training(item, *network, work == "adam", repeats);
  }
  const c10::NoGradGuard no_grad;
  if (work == "velocity") {
    const net::NetworkInput rows = some_rows(100'000, item.dimensions);
    return timed(repeats, [&] { network->forward(rows); });
  }
  const net::NetworkInput rows = some_rows(10'000, item.dimensions);
  return timed(repeats, [&] { network->forward_with_divergence(rows); });
}

void write_check(const Case& item, const std::string& path) {
  const auto network = make_network(item);
  const net::NetworkInput rows = some_rows(1000, item.dimensions);
  const at::Tensor noise = at::randn(rows.z.sizes(), at::detail::createCPUGenerator(1));
  const at::Tensor loss = loss_of(*network, rows.z, noise, rows.t);
  loss.backward();
  const net::Divergence out = network->forward_with_divergence(rows);
  io::TensorFile file = bench::weights_and_gradients(network->parameters());
  file.tensors.emplace_back("z", rows.z.flatten(1));
  file.tensors.emplace_back("noise", noise.flatten(1));
  file.tensors.emplace_back("t", rows.t);
  file.tensors.emplace_back("loss", loss.detach().view({1}));
  file.tensors.emplace_back("velocity", out.prediction.flatten(1));
  file.tensors.emplace_back("divergence", out.trace);
  io::write_safetensors(path, file);
}

int run(const Settings& settings) {
  if (settings.threads > 0) at::set_num_threads(settings.threads);
  const net::Products resolved = net::resolve(bench::products_of(settings.products));
  net::use(resolved);
  for (const auto& item : cases) {
    if (!settings.only_case.empty() && settings.only_case != item.name) continue;
    if (!settings.check.empty()) {
      write_check(item, settings.check);
      continue;
    }
    for (const auto& work : settings.work) {
      const Taken taken = time_work(item, work, settings.repeats);
      fmt::print(
          R"({{"case":"{}","work":"{}","seconds":{:.6f},"products_alone":{:.6f},)"
          R"("cpu_seconds":{:.6f},"cpu_median":{:.6f},"cpu_slowest":{:.6f},"products":"{}"}})"
          "\n",
          item.name, work, taken.seconds, taken.products, taken.cpu_seconds, taken.cpu_median,
          taken.cpu_slowest, resolved == net::Products::onednn ? "onednn" : "standard");
      std::fflush(stdout);
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  calor::prepare_to_compute();
  Settings settings;
  CLI::App program("Times the perceptrons of local flow matching.", "mlp_step");
  program.add_option("--case", settings.only_case, "one case; all without it")
      ->check(CLI::IsMember({"POWER", "GAS", "MINIBOONE", "BSDS300", "HOUSES", "POWER_RESIDUAL"}));
  program.add_option("--work", settings.work, "train, adam, velocity, divergence")
      ->delimiter(',')
      ->check(CLI::IsMember({"train", "adam", "velocity", "divergence"}));
  program.add_option("--repeats", settings.repeats, "repeats after one to warm up")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  program.add_option("--products", settings.products, "auto, standard or onednn")
      ->check(CLI::IsMember({"auto", "standard", "onednn"}))
      ->capture_default_str();
  program.add_option("--threads", settings.threads, "threads; the machine's without it")
      ->check(CLI::Range(1, 1024));
  program.add_option("--check", settings.check, "write what the peer compares; needs --case")
      ->needs("--case");
  CLI11_PARSE(program, argc, argv);
  return run(settings);
}
