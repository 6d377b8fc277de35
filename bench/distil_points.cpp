// What students of few evaluations lose against their teacher, on points in the plane: the exact
// Wasserstein distance to fresh points of the law, and the distance to what the teacher makes of
// the same noise.
//
//     build/bench/distil_points [--data two-moons] [--gammas 0.06,0.3] [--teacher-steps 4000]
//         [--steps 4000] [--seed 0] [--count 1024] [--draws 8] [--folder DIR]
//
// A teacher is trained (one stage, or a chain with these OU steps), then students of one map by
// each method in 1, 2 and 4 evaluations, all with as many optimiser steps; all on one thread. With
// --folder what is trained is kept there, and the same command goes on. Each distance is the mean
// of
// --draws pairs of --count points, the same noise and the same fresh points for all rows, with its
// standard error; so the difference to the teacher's distance, draw by draw, is surer than either.
// "law" is another drawing of the law in place of samples: no model can be better.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <functional>

#include "calor/core/device.h"
#include "calor/core/error.h"
#include "calor/data/training_data.h"
#include "calor/distill/distiller.h"
#include "calor/io/atomic_file.h"
#include "calor/metric/wasserstein.h"
#include "calor/train/trainer.h"

namespace {

namespace fs = std::filesystem;
using namespace calor;

struct Arguments {
  std::string data = "two-moons", folder;
  std::vector<double> gammas;
  std::int64_t teacher_steps = 4000, steps = 4000, seed = 0, count = 1024, draws = 8;
  std::int64_t pairs = 50'000;
};

train::RunConfig config_of(const Arguments& a) {
  train::RunConfig config;
  config.data.source = a.data;
  config.data.count = 200'000;
  config.data.labels = false;
  config.data.seed = a.seed;
  auto& model = config.model;
  model.path.kind = path::PathKind::linear;
  model.stages.gammas = a.gammas;
  model.time.law = path::TimeLaw::uniform;
  model.objective.prediction = objective::Quantity::v;
  model.objective.loss = objective::Quantity::v;
  model.objective.t_eps = 0;
  model.objective.blur_term = objective::BlurTerm::exact;
  model.kind = net::NetworkKind::mlp;
  model.mlp.width = 64;
  model.mlp.layers = 4;
  model.mlp.activation = net::Activation::silu;
  auto& train = config.train;
  train.steps = a.teacher_steps;
  train.batch = 512;
  train.lr = 2e-3;
  train.warmup = 200;
  train.decay = 0.5;
  train.beta2 = 0.99;
  train.ema = 0.999;
  train.seed = a.seed;
  train.precision = net::Precision::fp32;
  train.products = net::Products::standard;
  train.checkpoint_every = 1000;
  train.validate_every = 200;
  config.sampling.solver.solver = solve::Solver::adams;
  return config;
}

flow::LoadedModel trained(const Arguments& a, const fs::path& folder) {
  const train::RunConfig config = config_of(a);
  io::make_folder(folder);
  train::TrainObserver quiet;
  train::Trainer(config, data::open_training_data(config.data), folder, at::kCPU, quiet).run();
  return flow::load_model(folder / "model.safetensors", at::kCPU);
}

// A student's target network follows it faster in consistency training, as calor distill has it.
flow::LoadedModel distilled(const Arguments& a, const flow::LoadedModel& teacher,
                            distill::Method method, std::int64_t evaluations,
                            const fs::path& folder) {
  train::RunConfig config = config_of(a);
  config.train.steps = a.steps;
  if (method == distill::Method::consistency) config.train.ema2 = 0.95;
  io::make_folder(folder);
  const distill::DistilOptions options{
      .evaluations = evaluations, .method = method, .pairs = a.pairs};
  train::TrainObserver quiet;
  distill::Distiller(teacher, "teacher", options, config, folder, quiet).run();
  return flow::load_model(folder / "model.safetensors", at::kCPU);
}

RandomKey key_of(const Arguments& a, std::int64_t draw) {
  return random_key(static_cast<std::uint64_t>(a.seed), RandomUse::test)
      .child(static_cast<std::uint64_t>(draw));
}

at::Tensor points(const Arguments& a, std::int64_t draw, std::uint64_t which) {
  return data::draw_points(a.data, a.count, key_of(a, draw).child(which));
}

// One stream of noise for each draw, none of them the teacher's pairs'.
solve::Generated sampled(const Arguments& a, const flow::Flow& flow, std::int64_t draw,
                         const solve::SolverOptions& solver) {
  const auto keys = solve::sampling_keys(a.seed + 1000 + draw, 0, a.count);
  const flow::Given given{.labels = at::zeros({a.count}, at::kLong), .condition = {}};
  return solve::generate(flow, flow.initial_noise(keys), given,
                         {.solver = solver, .guidance = {}, .batch = a.count});
}

struct Mean {
  double mean = 0, error = 0;
};

Mean mean_of(const std::vector<double>& values) {
  const at::Tensor v = at::tensor(values, at::kDouble);
  const auto n = static_cast<double>(values.size());
  return {.mean = v.mean().item<double>(), .error = v.std().item<double>() / std::sqrt(n)};
}

// What a row of the table is made of, for one draw.
using Row = std::function<solve::Generated(std::int64_t draw)>;

class Table {
 public:
  Table(const Arguments& a, const flow::Flow& teacher, const solve::SolverOptions& exact) : a_(a) {
    for (std::int64_t draw = 0; draw < a.draws; ++draw) {
      wanted_.push_back(sampled(a, teacher, draw, exact).items.flatten(1));
      teachers_.push_back(distance(wanted_.back(), draw));
    }
    std::printf(
        "| | evaluations | W2, exact assignment | less the teacher's | from the teacher's samples, "
        "RMS |\n|---|---|---|---|---|\n");
  }

  void add(const std::string& name, const Row& row, bool by_noise = true) const {
    std::vector<double> distances, lost, missed;
    std::int64_t nfe = 0;
    for (std::int64_t draw = 0; draw < a_.draws; ++draw) {
      const auto made = row(draw);
      const at::Tensor items = made.items.flatten(1);
      nfe = std::max(nfe, made.nfe);
      distances.push_back(distance(items, draw));
      lost.push_back(distances.back() - teachers_[static_cast<std::size_t>(draw)]);
      const at::Tensor& wanted = wanted_[static_cast<std::size_t>(draw)];
      missed.push_back((items - wanted).square().sum(1).mean().sqrt().item<double>());
    }
    const Mean w = mean_of(distances);
    const Mean l = mean_of(lost);
    std::printf("| %s | %s | %.4f ± %.4f | %+.4f ± %.4f | %s |\n", name.c_str(),
                by_noise ? std::to_string(nfe).c_str() : "-", w.mean, w.error, l.mean, l.error,
                by_noise ? fmt::format("{:.4f}", mean_of(missed).mean).c_str() : "-");
    std::fflush(stdout);
  }

 private:
  double distance(const at::Tensor& items, std::int64_t draw) const {
    return metric::exact_wasserstein(items, points(a_, draw, 0), 2, key_of(a_, draw)).distance;
  }

  const Arguments& a_;
  std::vector<at::Tensor> wanted_;
  std::vector<double> teachers_;
};

void add_teacher(const Arguments& a, const flow::Flow& teacher, const Table& table,
                 const solve::SolverOptions& exact) {
  table.add(
      "law", [&](std::int64_t draw) { return solve::Generated{.items = points(a, draw, 1)}; },
      false);
  table.add("teacher, adams", [&](std::int64_t draw) { return sampled(a, teacher, draw, exact); });
  for (const auto solver : {solve::Solver::euler, solve::Solver::spectral_2m}) {
    for (const std::int64_t steps : {1, 2, 4, 16}) {
      if (steps < static_cast<std::int64_t>(teacher.size())) continue;
      const solve::SolverOptions few{.solver = solver, .steps = steps};
      table.add("teacher, " + solve::solver_name(solver),
                [&](std::int64_t draw) { return sampled(a, teacher, draw, few); });
    }
  }
}

int run(const Arguments& a) {
  at::set_num_threads(1);
  const bool kept = !a.folder.empty();
  std::string scratch = (fs::temp_directory_path() / "calor-distil-XXXXXX").string();
  if (!kept && ::mkdtemp(scratch.data()) == nullptr) {
    throw Error("a folder for what is trained", scratch, "name one with --folder");
  }
  const fs::path folder = kept ? fs::path(a.folder) : fs::path(scratch);
  const flow::LoadedModel teacher = trained(a, folder / "teacher");
  const solve::SolverOptions exact{.solver = solve::Solver::adams};
  const Table table(a, *teacher.flow, exact);
  add_teacher(a, *teacher.flow, table, exact);
  for (const auto& method : distill::methods) {
    for (const std::int64_t evaluations : {1, 2, 4}) {
      const auto student = distilled(a, teacher, method.value, evaluations,
                                     folder / fmt::format("{}-{}", method.name, evaluations));
      table.add(method.name,
                [&](std::int64_t draw) { return sampled(a, *student.flow, draw, exact); });
    }
  }
  if (!kept) fs::remove_all(folder);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  calor::prepare_to_compute();
  Arguments a;
  CLI::App program("Measures students of few evaluations against their teacher.", "distil_points");
  program.add_option("--data", a.data, "a law of points")->capture_default_str();
  program.add_option("--gammas", a.gammas, "OU steps of a chain; none: one stage")->delimiter(',');
  program.add_option("--teacher-steps", a.teacher_steps, "of each stage")
      ->check(CLI::Range(1, 10'000'000))
      ->capture_default_str();
  program.add_option("--steps", a.steps, "of each student")
      ->check(CLI::Range(1, 10'000'000))
      ->capture_default_str();
  program.add_option("--pairs", a.pairs, "items that the teacher makes")
      ->check(CLI::Range(4000, 100'000'000))
      ->capture_default_str();
  program.add_option("--count", a.count, "points of each drawing")
      ->check(CLI::Range(2, 2048))
      ->capture_default_str();
  program.add_option("--draws", a.draws, "drawings")
      ->check(CLI::Range(2, 1000))
      ->capture_default_str();
  program.add_option("--seed", a.seed, "of everything random")
      ->check(CLI::Range(0, 1'000'000))
      ->capture_default_str();
  program.add_option("--folder", a.folder, "where what is trained is kept");
  CLI11_PARSE(program, argc, argv);
  try {
    return run(a);
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return error.exit_status();
  }
}
