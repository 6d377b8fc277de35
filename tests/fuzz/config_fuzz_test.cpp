// Configurations as text, damaged: the TOML of a file, of a run folder or of a model file's notes,
// and key=value as on the command line. What is accepted is saved, and read again, unchanged.
#include <gtest/gtest.h>

#include <cstdlib>
#include <stdexcept>

#include "calor/config/presets.h"
#include "calor/train/classifier_config.h"
#include "calor/train/run_config.h"
#include "tests/fuzz/fuzz.h"

namespace calor::train {
namespace {

using fuzz::Bytes;

const int rounds = [] {
  const char* wanted = std::getenv("CALOR_FUZZ_ROUNDS");
  return wanted == nullptr ? 5000 : std::atoi(wanted);
}();

// Bit for bit, which a NaN is not.
void require_same_when_saved(RunConfig config) {
  RunConfig again = parse_config(config.options().to_toml(), "saved", {});
  const auto changed = config::Options::differing_keys(config.options(), again.options());
  if (!changed.empty()) throw std::logic_error(changed.front() + " changed when saved");
}

TEST(ConfigFuzz, Toml) {
  std::vector<Bytes> good;
  for (const char* name : {"fm-mnist", "lfm-table", "lfm-pusht", "hdfm-mnist"}) {
    good.emplace_back(config::preset(name));
  }
  good.emplace_back(R"([train]
lr = 1e-3
steps = 0x1F
keep = 'last'
[data]
source = "a\u00e4"
)");
  good.emplace_back(R"(stages = { gammas = [0.1, 0.3] }
train.batch = 1_000
data.flip = true
)");
  fuzz::run(
      {good, [](const Bytes& bytes) { require_same_when_saved(parse_config(bytes, "x", {})); }},
      rounds);
}

TEST(ConfigFuzz, Classifiers) {
  const Bytes good(config::preset("classifier-mnist"));
  fuzz::run({{good},
             [](const Bytes& bytes) {
               if (configures_classifier(bytes, "x")) parse_classifier_config(bytes, "x", {});
             }},
            rounds);
}

TEST(ConfigFuzz, Settings) {
  fuzz::run({{"train.lr=1e-3", "stages.gammas=[0.1, 0.3]", "stages.gammas=0.1 0.3",
              "data.source=some words", "data.flip=true", "train.keep=\"last\""},
             [](const Bytes& bytes) { require_same_when_saved(parse_config("", "x", {bytes})); }},
            rounds);
}

}  // namespace
}  // namespace calor::train
