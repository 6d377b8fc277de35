// Are the demo's characters readable? A small convolutional network is trained on the real glyphs
// (nine tenths; its accuracy on the last tenth is printed), then reads class-conditional samples of
// a model as their class.
//
//     build/bench/glyph_reader runs/demo [--count 500 --seed 0]
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "calor/core/device.h"
#include "calor/core/error.h"
#include "calor/data/loader.h"
#include "calor/data/open.h"
#include "calor/flow/model_file.h"
#include "calor/net/layers.h"
#include "calor/solve/generate.h"
#include "calor/train/optimiser.h"

namespace {

using namespace calor;

// conv 16, pool, conv 32, pool, linear 128, linear classes.
class Reader {
 public:
  Reader(const data::ItemSpec& spec)
      : conv1_(parameters_.add("conv1", {16, spec.channels, 3, 3}, net::init_xavier)),
        conv2_(parameters_.add("conv2", {32, 16, 3, 3}, net::init_xavier)),
        hidden_(parameters_, "hidden", 32 * (spec.height / 4) * (spec.width / 4), 128),
        out_(parameters_, "out", 128, spec.classes()) {
    parameters_.initialise(random_key(0, RandomUse::initial_weights));
    parameters_.flatten(at::kCPU);
    parameters_.allocate_gradient();
  }

  at::Tensor logits(const at::Tensor& bytes) const {
    at::Tensor x = data::to_unit_range(bytes);
    x = at::max_pool2d(at::relu(at::conv2d(x, conv1_, {}, 1, 1)), 2);
    x = at::max_pool2d(at::relu(at::conv2d(x, conv2_, {}, 1, 1)), 2);
    x = at::relu(hidden_(x.flatten(1), net::Precision::fp32));
    return out_(x, net::Precision::fp32);
  }

  void train(std::shared_ptr<const data::ImageDataset> set, std::int64_t steps) {
    auto state = train::OptimiserState::start(parameters_.flat());
    data::LoaderOptions options;
    data::Loader loader(std::move(set), options);
    for (std::int64_t step = 0; step < steps; ++step) {
      const data::Batch batch = loader.next();
      parameters_.flat_gradient().zero_();
      at::cross_entropy_loss(logits(batch.items), batch.labels).backward();
      const c10::NoGradGuard no_grad;
      at::Tensor weights = parameters_.flat();
      train::update(weights, parameters_.flat_gradient(), 1,
                    {.lr = train::LearningRate{.base = 2e-3, .warmup = 20, .decay_share = 0.5}.at(
                         step, steps)},
                    state);
    }
  }

  // The share of pictures read as their label.
  double accuracy(const at::Tensor& pictures, const at::Tensor& labels) const {
    const c10::NoGradGuard no_grad;
    double right = 0;
    for (std::int64_t i = 0; i < pictures.size(0); i += 500) {
      const std::int64_t n = std::min<std::int64_t>(500, pictures.size(0) - i);
      right += logits(pictures.narrow(0, i, n))
                   .argmax(1)
                   .eq(labels.narrow(0, i, n))
                   .sum()
                   .item<double>();
    }
    return right / static_cast<double>(pictures.size(0));
  }

 private:
  net::Parameters parameters_;
  at::Tensor conv1_, conv2_;
  net::Linear hidden_, out_;
};

struct Split {
  std::shared_ptr<data::ImageDataset> train;
  at::Tensor pictures, labels;  // held out: every tenth
};

Split split(const data::ImageDataset& set) {
  std::vector<at::Tensor> kept;
  std::vector<at::Tensor> held;
  std::vector<std::int64_t> kept_labels;
  std::vector<std::int64_t> held_labels;
  for (std::int64_t i = 0; i < set.size(); ++i) {
    (i % 10 == 9 ? held : kept).push_back(set.picture(i));
    (i % 10 == 9 ? held_labels : kept_labels).push_back(set.label(i));
  }
  return {data::make_tensor_dataset(set.spec(), at::stack(kept), at::tensor(kept_labels)),
          at::stack(held), at::tensor(held_labels)};
}

int run(const std::string& run, std::int64_t count, std::int64_t seed, std::int64_t steps) {
  const auto set = data::open_dataset({});
  const Split parts = split(*set);
  Reader reader(set->spec());
  reader.train(parts.train, steps);
  std::printf("reader: %.2f %% of %ld held-out glyphs read right\n",
              100 * reader.accuracy(parts.pictures, parts.labels),
              static_cast<long>(parts.pictures.size(0)));
  const std::filesystem::path path = flow::model_file_of(run);
  const auto model = flow::load_model(path, at::kCPU);
  const auto options = solve::options_from_notes(model.notes, path.string());
  const at::Tensor labels = at::arange(count, at::kLong) % set->spec().classes();
  const auto made =
      solve::generate(*model.flow, model.flow->initial_noise(solve::sampling_keys(seed, 0, count)),
                      {.labels = labels, .condition = {}}, options);
  std::printf("samples: %.2f %% of %ld read as their class (%s, NFE %ld, guidance %g, seed %ld)\n",
              100 * reader.accuracy(data::to_bytes(made.items), labels), static_cast<long>(count),
              solve::solver_name(options.solver.solver).c_str(), static_cast<long>(made.nfe),
              options.guidance.scale, static_cast<long>(seed));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  calor::prepare_to_compute();
  std::string path;
  std::int64_t count = 500;
  std::int64_t seed = 0;
  std::int64_t steps = 800;
  CLI::App program("Reads sampled glyphs with a classifier trained on real ones.", "glyph_reader");
  program.add_option("run", path, "run folder or model file")->required();
  program.add_option("--count", count, "samples")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  program.add_option("--seed", seed, "seed of the noise")->capture_default_str();
  program.add_option("--reader-steps", steps, "training steps of the classifier")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  CLI11_PARSE(program, argc, argv);
  try {
    return run(path, count, seed, steps);
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return error.exit_status();
  }
}
