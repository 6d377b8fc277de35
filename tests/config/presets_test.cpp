#include "calor/config/presets.h"

#include <gtest/gtest.h>

#include "calor/data/dataset.h"
#include "calor/flow/flow.h"
#include "calor/solve/picture_likelihood.h"
#include "calor/train/run_config.h"

namespace calor::train {
namespace {

// Every preset is a configuration whose model can be made (nothing is allocated).
TEST(Presets, AllAreWhole) {
  for (const auto& [name, toml] : embedded_presets()) {
    SCOPED_TRACE(std::string(name));
    const RunConfig config = parse_config(toml, std::string(name), {});
    EXPECT_FALSE(config::preset_summary(toml).empty());
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
