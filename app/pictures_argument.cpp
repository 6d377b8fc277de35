#include "app/pictures_argument.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "app/rows_argument.h"
#include "calor/core/error.h"
#include "calor/core/random.h"

namespace calor::app {
namespace {

constexpr const char* test_ending = "-test";

// The set that a split of the model's own data is.
std::string split_source(const data::DataOptions& trained, const std::string& split) {
  if (trained.source.empty()) {
    throw usage_error("DATA, the real pictures", "a model that does not say what it was trained on",
                      "name the pictures on the command line");
  }
  if (split == "train") return trained.source;
  const std::string test = trained.source + test_ending;
  if (split == "test" && data::is_known_source(test)) return test;
  throw usage_error("DATA, or --split train, where no part of the model's pictures is held out",
                    fmt::format("--split {} of '{}'", split, trained.source),
                    "name pictures that the model has not seen");
}

std::string split_of(const std::string& source, const data::DataOptions& trained) {
  if (source == trained.source) return "train";
  return data::is_known_source(source) && source.ends_with(test_ending) ? "test" : "given";
}

std::vector<std::int64_t> some_of(std::int64_t size, std::int64_t count, std::int64_t seed) {
  std::vector<std::int64_t> items(static_cast<std::size_t>(size));
  std::iota(items.begin(), items.end(), std::int64_t{0});
  if (count >= size) return items;
  items = random_permutation(random_key(static_cast<std::uint64_t>(seed), RandomUse::split), size);
  items.resize(static_cast<std::size_t>(count));
  std::ranges::sort(items);
  return items;
}

}  // namespace

data::DataOptions reading_of(const RunModel& model) {
  if (model.notes.contains("calor.training")) return data_options_of(model);
  const data::ItemSpec& items = model.flow->items();
  data::DataOptions options;
  options.source.clear();
  options.channels = items.channels;
  if (items.height == items.width) options.size = items.height;
  return options;
}

Pictures open_pictures(const RunModel& model, const std::string& source, const std::string& split,
                       std::int64_t count, std::int64_t seed, bool labels) {
  const data::DataOptions trained = reading_of(model);
  data::DataOptions options = trained;
  options.source = source.empty() ? split_source(trained, split) : source;
  options.labels = labels;
  Pictures pictures;
  pictures.set = data::open_dataset(options);
  pictures.items = some_of(pictures.set->size(), count, seed);
  pictures.source = options.source;
  pictures.split = split_of(options.source, trained);
  return pictures;
}

at::Tensor pictures_at(const data::ImageDataset& set, std::span<const std::int64_t> items) {
  std::vector<at::Tensor> pictures;
  for (const std::int64_t i : items) pictures.push_back(set.picture(i));
  return at::stack(pictures);
}

}  // namespace calor::app
