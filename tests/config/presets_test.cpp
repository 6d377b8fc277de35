#include "calor/config/presets.h"

#include <gtest/gtest.h>

#include "calor/core/error.h"
#include "calor/data/dataset.h"
#include "calor/flow/flow.h"
#include "calor/solve/picture_likelihood.h"
#include "calor/train/classifier_config.h"
#include "calor/train/run_config.h"

namespace calor::train {
namespace {

// Every preset is a configuration whose model can be made (nothing is allocated).
TEST(Presets, AllAreWhole) {
  for (const auto& [name, toml] : embedded_presets()) {
    SCOPED_TRACE(std::string(name));
    EXPECT_FALSE(config::preset_summary(toml).empty());
    if (configures_classifier(toml, std::string(name))) {
      const auto config = parse_classifier_config(toml, std::string(name), {});
      const data::ItemSpec items{
          .channels = 1, .height = 28, .width = 28, .class_names = {"a", "b"}};
      EXPECT_NO_THROW(net::PictureClassifier(config.network, items));
      continue;
    }
    const RunConfig config = parse_config(toml, std::string(name), {});
    data::ItemSpec items{.channels = 6, .height = 1, .width = 1, .class_names = {}};
    items.kind = data::ItemKind::rows;
    if (net::is_for_chunks(config.model.kind)) {
      items.width = config.data.demonstrations.chunk;
      items.condition_width = 40;
      if (config.data.demonstrations.observations.find("img") != std::string::npos) {
        items.observed = {.count = 2, .channels = 3, .height = 96, .width = 96};
      }
    } else if (config.model.kind != net::NetworkKind::mlp) {
      const std::int64_t side = config.data.size > 0 ? config.data.size : 28 + 2 * config.data.pad;
      const bool jit = config.model.kind == net::NetworkKind::jit;
      const std::int64_t patch = jit ? config.model.net.patch : 1;
      items = {.channels = 1,
               .height = side / patch * patch,
               .width = side / patch * patch,
               .class_names = {}};
    }
    EXPECT_NO_THROW(flow::check_model(config.model, items));
  }
}

// Parameters of all stages together, for pictures of this shape with 10 classes.
std::int64_t parameters_of(const std::string& name, const data::ItemSpec& items) {
  RunConfig config = parse_config(config::preset(name), name, {});
  const flow::Flow flow(config.model, items, at::kCPU);
  std::int64_t count = 0;
  for (std::size_t n = 0; n < flow.size(); ++n) {
    count += flow.stage(n).network().parameters().count();
  }
  return count;
}

// The methods of one set of pictures are compared at equal size: within 2 % of flow matching.
TEST(Presets, MethodsOfOneSetHaveEqualParameters) {
  const std::vector<std::string> names{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
  const data::ItemSpec grey{.channels = 1, .height = 28, .width = 28, .class_names = names};
  const data::ItemSpec colour{.channels = 3, .height = 32, .width = 32, .class_names = names};
  for (const std::string set : {"fashion-mnist", "cifar10"}) {
    const data::ItemSpec& items = set == "cifar10" ? colour : grey;
    const auto reference = static_cast<double>(parameters_of("fm-" + set, items));
    EXPECT_GT(reference, 1e6);
    for (const char* method : {"lfm", "local-hdfm", "interflow", "hdfm", "jit"}) {
      const std::string name = std::string(method) + "-" + set;
      SCOPED_TRACE(name);
      EXPECT_NEAR(static_cast<double>(parameters_of(name, items)) / reference, 1, 0.02);
    }
  }
  const std::int64_t hdfm = parameters_of("hdfm-fashion-mnist", grey);
  for (const char* name : {"ihdm-fashion-mnist", "blurring-fashion-mnist", "vp-fashion-mnist",
                           "ihdm-mnist", "blurring-mnist"}) {
    EXPECT_EQ(parameters_of(name, grey), hdfm) << name;
  }
}

// The other blur models and diffusion have the network, the data and the training of HDFM, whose
// path, quantities, times and sampler are their own.
TEST(Presets, BaselinesDifferFromHdfmInTheMethodOnly) {
  for (const std::string set : {"fashion-mnist", "mnist", "cifar10"}) {
    RunConfig hdfm = parse_config(config::preset("hdfm-" + set), set, {});
    const config::Options reference = hdfm.options();
    for (const std::string method : {"ihdm", "blurring", "vp"}) {
      const std::string name = method + "-" + set;
      if (!config::is_preset(name)) continue;
      SCOPED_TRACE(name);
      RunConfig config = parse_config(config::preset(name), name, {});
      const config::Options own = config.options();
      for (const auto& key : config::Options::differing_keys(reference, own)) {
        const std::string group = key.substr(0, key.find('.'));
        EXPECT_TRUE(group == "path" || group == "objective" || group == "time") << key;
      }
      const std::int64_t side = set == "cifar10" ? 32 : 28;
      const data::ItemSpec items{.channels = 1, .height = side, .width = side, .class_names = {}};
      EXPECT_NO_THROW(check_run(config, items));
    }
  }
}

// Optimal transport is flow matching but for the pairs.
TEST(Presets, OptimalTransportDiffersInTheCouplingOnly) {
  for (const std::string set : {"rose", "table", "fashion-mnist"}) {
    SCOPED_TRACE(set);
    RunConfig fm = parse_config(config::preset("fm-" + set), set, {});
    RunConfig ot = parse_config(config::preset("ot-" + set), set, {});
    const config::Options before = fm.options();
    const config::Options after = ot.options();
    for (const auto& key : config::Options::differing_keys(before, after)) {
      EXPECT_TRUE(key == "path.coupling" || key == "train.parts") << key;
    }
    EXPECT_EQ(ot.train.coupling.coupling, path::Coupling::optimal_transport);
  }
}

// What is published of them, read from the presets.
TEST(Presets, BaselinesAreAsPublished) {
  for (const std::string set : {"fashion-mnist", "mnist", "cifar10"}) {
    const RunConfig ihdm = parse_config(config::preset("ihdm-" + set), set, {});
    EXPECT_EQ(ihdm.model.path.kind, path::PathKind::ihdm);
    EXPECT_EQ(ihdm.model.path.sigma_max, 20);
    EXPECT_EQ(ihdm.model.path.level_noise, 0.02);
    EXPECT_EQ(ihdm.model.path.levels, 100);
    EXPECT_EQ(ihdm.model.time.law, path::TimeLaw::uniform);
    EXPECT_EQ(ihdm.sampling.solver.delta, 0.025);
    const RunConfig blurring = parse_config(config::preset("blurring-" + set), set, {});
    EXPECT_EQ(blurring.model.path.kind, path::PathKind::blurring);
    EXPECT_EQ(blurring.model.objective.prediction, objective::Quantity::eps);
    EXPECT_EQ(blurring.model.objective.loss, objective::Quantity::eps);
    EXPECT_EQ(blurring.sampling.solver.solver, solve::Solver::ancestral);
  }
  const RunConfig vp = parse_config(config::preset("vp-fashion-mnist"), "vp", {});
  EXPECT_EQ(vp.model.path.kind, path::PathKind::variance_preserving);
  EXPECT_EQ(vp.model.objective.prediction, objective::Quantity::eps);
}

// A path of levels has its own sampler, in as many steps, and training says so before it begins.
TEST(Presets, SamplersThatDoNotFitAreRefusedBeforeTraining) {
  const data::ItemSpec items{.channels = 1, .height = 28, .width = 28, .class_names = {}};
  const auto refused = [&](const char* name, std::vector<std::string> settings) {
    const RunConfig config = parse_config(config::preset(name), name, settings);
    EXPECT_THROW(check_run(config, items), Error) << settings.front();
  };
  refused("ihdm-mnist", {"path.levels=50"});
  refused("ihdm-mnist", {"sample.solver=spectral-2m"});
  refused("ihdm-mnist", {"sample.grid=leading"});
  refused("hdfm-mnist", {"sample.solver=ihdm"});
  refused("lfm-fashion-mnist", {"sample.solver=ihdm"});
  const RunConfig config =
      parse_config(config::preset("ihdm-mnist"), "", {"path.levels=50", "sample.steps=50"});
  EXPECT_NO_THROW(check_run(config, items));
}

// Policies, too: in all where they are small (within 3 %, as near as widths that are multiples of 8
// groups come), in each stage where the network is the published one.
TEST(Presets, PoliciesOfOneTaskHaveEqualParameters) {
  data::ItemSpec chunks{.channels = 2, .height = 1, .width = 16, .class_names = {}};
  chunks.kind = data::ItemKind::rows;
  chunks.condition_width = 40;
  const auto count = [&](const std::string& name) {
    return static_cast<double>(parameters_of(name, chunks));
  };
  const double small = count("fm-pusht-small");
  EXPECT_NEAR(count("lfm-pusht-small") / small, 1, 0.03);
  EXPECT_EQ(count("ddpm-pusht-small"), small);
  const double published = count("fm-pusht");
  EXPECT_NEAR(published / 65.78e6, 1, 0.01);
  EXPECT_EQ(count("ddpm-pusht"), published);
  EXPECT_EQ(count("lfm-pusht"), 3 * published);
}

// The baselines are diffusion as published: what matters of it, read from the presets.
TEST(Presets, BaselinesOfPoliciesAreDiffusion) {
  for (const char* name : {"ddpm-pusht-small", "ddpm-pusht"}) {
    SCOPED_TRACE(name);
    const RunConfig config = parse_config(config::preset(name), name, {});
    EXPECT_EQ(config.model.path.kind, path::PathKind::cosine);
    EXPECT_EQ(config.model.objective.prediction, objective::Quantity::eps);
    EXPECT_EQ(config.model.objective.loss, objective::Quantity::eps);
    EXPECT_EQ(config.sampling.solver.solver, solve::Solver::ancestral);
    EXPECT_EQ(config.sampling.solver.steps, 100);
    EXPECT_EQ(config.sampling.solver.grid, solve::GridKind::uniform);
    EXPECT_TRUE(config.sampling.solver.clip_data);
  }
}

// Those for bits per dimension are trained as calor score asks for.
TEST(Presets, ForBitsAreTrainedForThem) {
  for (const char* name : {"fm-mnist-bits", "fm-fashion-mnist-bits", "fm-cifar10-bits"}) {
    SCOPED_TRACE(name);
    const RunConfig config = parse_config(config::preset(name), name, {});
    EXPECT_TRUE(config.data.dequantise_pictures);
    data::ItemSpec items{.channels = 1, .height = 28, .width = 28, .class_names = {}};
    items.dequantised = config.data.dequantise_pictures;
    const flow::Flow flow(config.model, items, at::kCPU);
    EXPECT_EQ(solve::likelihood_warnings(flow, 1e-3, false), std::vector<std::string>{});
    EXPECT_EQ(solve::likelihood_t_eps(flow, 1e-3), 0);
  }
}

}  // namespace
}  // namespace calor::train
