#include "calor/distill/distance.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <utility>

#include "calor/core/error.h"
#include "calor/metric/perceptual.h"

namespace calor::distill {

Distance plain_distance() {
  return
      [](const at::Tensor& made, const at::Tensor& wanted) { return at::mse_loss(made, wanted); };
}

Distance perceptual_distance(std::shared_ptr<const metric::Classifier> classifier,
                             const data::ItemSpec& items) {
  const bool readable =
      items.kind == data::ItemKind::pictures && (items.channels == 1 || items.channels == 3);
  require_usage(readable, "a teacher of pictures with 1 or 3 channels for --perceptual",
                items.kind == data::ItemKind::rows
                    ? fmt::format("a teacher of rows of {} numbers", items.channels)
                    : fmt::format("pictures of {} channels", items.channels),
                "leave --perceptual out: the mean square serves every kind of item");
  return [classifier = std::move(classifier)](const at::Tensor& made, const at::Tensor& wanted) {
    return at::mse_loss(made, wanted) + metric::perceptual_distance(*classifier, made, wanted);
  };
}

}  // namespace calor::distill
