#include "calor/config/presets.h"

#include <gtest/gtest.h>

#include "calor/data/dataset.h"
#include "calor/flow/flow.h"
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
    if (config.model.kind != net::NetworkKind::mlp) {
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

}  // namespace
}  // namespace calor::train
