// How good samples are: Frechet distances in features of small classifiers, power of fine detail,
// and the trace of the patch grid, all against real pictures.
//
//     build/bench/quality RUN --data fashion-mnist [--count 1000 --steps 20 --guidance 1 --seed 0
//                                                   --device cpu]
//     build/bench/quality real --data fashion-mnist      real pictures in place of samples
//     build/bench/quality RUN --count 5000 --blocks 5    also the mean over five blocks of 1,000
//
// The distance depends on the number of samples, and at 1,000 it is noisy: blocks of the same
// samples give that count with the noise averaged.
//
// Samples are rounded to 8 bits. The reference is the first --reference pictures of the training
// set; with "real" the samples are the --count pictures after them. --shuffle takes both in an
// order shuffled by a fixed key, as a set that is sorted by class needs.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <numeric>
#include <set>
#include <span>

#include "calor/core/device.h"
#include "calor/core/error.h"
#include "calor/core/random.h"
#include "calor/data/dequantise.h"
#include "calor/data/open.h"
#include "calor/flow/model_file.h"
#include "calor/metric/classifier.h"
#include "calor/metric/frechet.h"
#include "calor/metric/spectrum.h"
#include "calor/solve/generate.h"

namespace {

namespace fs = std::filesystem;
using namespace calor;

struct Arguments {
  std::string run, data = "fashion-mnist";
  std::int64_t count = 1000, reference = 10000, steps = 20, seed = 0, patch = 4;
  std::int64_t blocks = 0, block_size = 1000;
  double guidance = 1;
  bool shuffle = false;
  std::string solver = "spectral-2m";
  std::string device = "cpu", precision = "fp32";
};

// Which pictures are real ones to compare with, in which order.
std::vector<std::int64_t> order_of(const Arguments& a, std::int64_t size) {
  if (a.shuffle) return random_permutation(random_key(0, RandomUse::data_order), size);
  std::vector<std::int64_t> order(static_cast<std::size_t>(size));
  std::iota(order.begin(), order.end(), 0);
  return order;
}

at::Tensor pictures_of(const data::ImageDataset& set, std::span<const std::int64_t> items) {
  std::vector<at::Tensor> pictures;
  for (const std::int64_t i : items) pictures.push_back(set.picture(i));
  return at::stack(pictures);
}

// A reference of some classes only would make every distance meaningless.
void require_all_classes(const data::ImageDataset& set, std::span<const std::int64_t> items) {
  std::set<std::int64_t> seen;
  for (const std::int64_t i : items) seen.insert(set.label(i));
  const auto classes = static_cast<std::size_t>(std::max<std::int64_t>(1, set.spec().classes()));
  if (seen.size() < classes) {
    throw usage_error(fmt::format("a reference with all {} classes", classes),
                      fmt::format("{} of them among {} pictures", seen.size(), items.size()),
                      "say --shuffle, or raise --reference");
  }
}

at::Tensor samples_of(const Arguments& a, std::string& description) {
  const fs::path path = flow::model_file_of(a.run);
  const auto model = flow::load_model(path, parse_device(a.device));
  net::Precision precision = net::Precision::fp32;
  config::Options format;
  net::declare_precision(format, "precision", precision);
  format.assign("precision=" + a.precision, "command line");
  for (std::size_t i = 0; i < model.flow->size(); ++i) {
    model.flow->stage(i).network().set_precision(net::resolve(precision, model.flow->device()));
  }
  auto options = solve::options_from_notes(model.notes, path.string());
  config::Options declared;
  options.declare(declared);
  declared.assign("sample.solver=" + a.solver, "command line");
  options.solver.steps = a.steps;
  options.guidance.scale = a.guidance;
  options.batch = 100;
  const std::int64_t classes = model.flow->items().classes();
  const at::Tensor labels = at::arange(a.count, at::kLong) % std::max<std::int64_t>(1, classes);
  const at::Tensor noise = model.flow->initial_noise(solve::sampling_keys(a.seed, 0, a.count));
  const auto made =
      solve::generate(*model.flow, noise, {.labels = labels, .condition = {}}, options);
  description =
      fmt::format("{}, NFE {}, guidance {}, labels in turn", a.solver, made.nfe, a.guidance);
  return data::to_bytes(made.items.cpu(), model.flow->items());
}

// The file in the first data folder that has it; empty where none does.
fs::path find_weights(const std::string& name) {
  for (const auto& folder : data::data_folders()) {
    if (fs::exists(folder / "weights" / name)) return folder / "weights" / name;
  }
  return {};
}

// Mean and standard deviation of the distance over consecutive blocks of the samples.
void report_blocks(const Arguments& a, const std::string& name, const at::Tensor& samples,
                   const at::Tensor& real) {
  std::vector<double> distances;
  for (std::int64_t i = 0; i < a.blocks; ++i) {
    const at::Tensor block = samples.narrow(0, i * a.block_size, a.block_size);
    distances.push_back(metric::frechet_distance(block, real));
  }
  const at::Tensor d = at::tensor(distances, at::kDouble);
  std::printf("  mean of %ld blocks of %ld            %.3f, standard deviation %.3f (%s)\n",
              static_cast<long>(a.blocks), static_cast<long>(a.block_size), d.mean().item<double>(),
              d.std().item<double>(), name.c_str());
}

void report_distances(const Arguments& a, const at::Tensor& samples, const at::Tensor& real) {
  for (const char* name : {"mnist_lenet.safetensors", "cifar10_resnet56.safetensors"}) {
    const fs::path file = find_weights(name);
    if (file.empty()) {
      std::printf("no weights/%s in a data folder: that distance is left out\n", name);
      continue;
    }
    const auto classifier = metric::load_classifier(file);
    const at::Tensor of_samples = classifier->read(samples).features;
    const at::Tensor of_real = classifier->read(real).features;
    const double distance = metric::frechet_distance(of_samples, of_real);
    std::printf("Frechet distance (%s)%*s %.3f\n", classifier->name().c_str(),
                static_cast<int>(12 - classifier->name().size()), "", distance);
    if (a.blocks > 0) report_blocks(a, classifier->name(), of_samples, of_real);
  }
}

int run(const Arguments& a) {
  if (a.blocks * a.block_size > a.count) {
    throw usage_error(
        "blocks that fit into the samples",
        fmt::format("--blocks {} of {} and --count {}", a.blocks, a.block_size, a.count),
        "raise --count or lower --blocks or --block-size");
  }
  data::DataOptions source;
  source.source = a.data;
  const auto set = data::open_dataset(source);
  const auto order = order_of(a, set->size());
  const auto first =
      std::span(order).first(static_cast<std::size_t>(std::min(a.reference, set->size())));
  const auto others = std::span(order).subspan(first.size());
  require_all_classes(*set, first);
  if (a.run == "real" && static_cast<std::int64_t>(others.size()) < a.count) {
    throw usage_error(fmt::format("{} pictures besides the reference", a.count),
                      fmt::format("{}", others.size()), "lower --count or --reference");
  }
  const at::Tensor real = pictures_of(*set, first);
  std::string description = "real pictures";
  const at::Tensor samples =
      a.run == "real" ? pictures_of(*set, others.first(static_cast<std::size_t>(a.count)))
                      : samples_of(a, description);
  std::printf("%s: %ld samples (%s, seed %ld) against %s %ld training pictures of %s\n",
              a.run.c_str(), static_cast<long>(samples.size(0)), description.c_str(),
              static_cast<long>(a.seed), a.shuffle ? "a shuffled" : "the first",
              static_cast<long>(real.size(0)), a.data.c_str());
  report_distances(a, samples, real);
  std::printf("fine power (r > .6)                %.3f\n", metric::fine_power(samples, real, 0.6));
  std::printf("fine power (r > 1)                 %.3f\n", metric::fine_power(samples, real, 1.0));
  if (real.size(2) % a.patch == 0 && real.size(3) % a.patch == 0) {
    std::printf("patch-grid power (period %ld)        %.3f\n", static_cast<long>(a.patch),
                metric::patch_grid_power(samples, real, a.patch));
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  calor::prepare_to_compute();
  Arguments a;
  CLI::App program("Measures the quality of samples against real pictures.", "quality");
  program.add_option("run", a.run, "run folder, model file, or 'real'")->required();
  program.add_option("--data", a.data, "data set of the reference")->capture_default_str();
  program.add_option("--count", a.count, "samples")
      ->check(CLI::Range(2, 1000000))
      ->capture_default_str();
  program.add_option("--reference", a.reference, "real pictures")
      ->check(CLI::Range(2, 10000000))
      ->capture_default_str();
  program.add_flag("--shuffle", a.shuffle, "real pictures in shuffled order");
  program.add_option("--steps", a.steps, "solver steps")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  program.add_option("--solver", a.solver, "as for calor sample")->capture_default_str();
  program.add_option("--guidance", a.guidance, "guidance scale")->capture_default_str();
  program.add_option("--device", a.device, "that samples: cpu, cuda or cuda:N")
      ->capture_default_str();
  program.add_option("--precision", a.precision, "of the sampling network: fp32, bf16 or auto")
      ->check(CLI::IsMember({"fp32", "bf16", "auto"}))
      ->capture_default_str();
  program.add_option("--blocks", a.blocks, "also the distances over this many blocks of samples")
      ->check(CLI::IsMember({0}) | CLI::Range(2, 10000))
      ->capture_default_str();
  program.add_option("--block-size", a.block_size, "samples in a block")
      ->check(CLI::Range(2, 1000000))
      ->capture_default_str();
  program.add_option("--seed", a.seed, "seed of the noise")->capture_default_str();
  program.add_option("--patch", a.patch, "patch period, px")
      ->check(CLI::Range(2, 128))
      ->capture_default_str();
  CLI11_PARSE(program, argc, argv);
  try {
    return run(a);
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return error.exit_status();
  }
}
