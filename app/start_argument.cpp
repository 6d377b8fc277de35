#include "app/start_argument.h"

#include <fmt/format.h>

#include "app/pictures_argument.h"
#include "calor/core/error.h"
#include "calor/solve/blurred_start.h"

namespace calor::app {
namespace {

// The set that the model begins with.
std::shared_ptr<const data::ImageDataset> open_set(const RunModel& model,
                                                   const std::string& source) {
  data::DataOptions options = reading_of(model);
  if (!source.empty()) options.source = source;
  require_usage(!options.source.empty(), "--start DATA, the pictures to begin with",
                "a model that does not say what it was trained on",
                "name a set of pictures on the command line");
  try {
    return data::open_dataset(options);
  } catch (const Error& error) {
    if (!source.empty()) throw;
    throw Error("the model's training pictures, to begin with blurred ones: " + error.expected(),
                error.found(), error.hint() + "; or name other pictures with --start DATA",
                error.kind());
  }
}

}  // namespace

solve::Start open_start(const RunModel& model, const std::string& source,
                        std::vector<RandomKey> keys, const at::Tensor& labels) {
  const flow::Flow& flow = *model.flow;
  if (flow.has_levels()) {
    return solve::blurred_start(flow, *open_set(model, source), std::move(keys), labels);
  }
  require_usage(source.empty(),
                "a model that begins with pictures (path.kind = \"ihdm\") for --start",
                "one that begins at noise", "leave --start out");
  return solve::start_from(flow, std::move(keys));
}

}  // namespace calor::app
