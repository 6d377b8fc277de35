#include "calor/net/chunk_condition.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "calor/core/error.h"

namespace calor::net {
namespace {

void check_numbers(const at::Tensor& numbers, std::int64_t expected) {
  const std::int64_t given = numbers.defined() ? numbers.size(1) : 0;
  if (given == expected) return;
  throw Error(fmt::format("a condition of {} numbers for each chunk", expected),
              fmt::format("{}", given), "give the observations that the network was made for");
}

}  // namespace

ChunkCondition::ChunkCondition(Parameters& parameters, std::int64_t numbers,
                               const PictureInput& pictures)
    : numbers_(numbers), pictures_(pictures.shape) {
  if (pictures_.count == 0) return;
  encoder_.emplace(parameters, "pictures", pictures);
  encoded_ = pictures_.count * pictures.encoder.features;
}

void ChunkCondition::check_pictures(const at::Tensor& pictures) const {
  const auto& [count, channels, height, width] = pictures_;
  const bool fits = pictures.defined() && pictures.dim() == 5 &&
                    pictures.scalar_type() == at::kByte &&
                    pictures.sizes().slice(1) == at::IntArrayRef{count, channels, height, width};
  if (encoder_ ? fits : !pictures.defined()) return;
  throw Error(encoder_ ? fmt::format("{} pictures [{}, {}, {}] in uint8 for each chunk", count,
                                     channels, height, width)
                       : std::string("a condition without pictures"),
              pictures.defined() ? fmt::format("{} [{}]", c10::toString(pictures.scalar_type()),
                                               fmt::join(pictures.sizes(), ", "))
                                 : "no pictures",
              "give the observations that the network was made for");
}

at::Tensor ChunkCondition::encode(const at::Tensor& numbers, const at::Tensor& pictures,
                                  Precision precision) const {
  check_numbers(numbers, numbers_);
  check_pictures(pictures);
  if (!encoder_) return numbers;
  const at::Tensor seen = (*encoder_)(pictures, precision);
  return numbers_ > 0 ? at::cat({numbers.to(seen.scalar_type()), seen}, 1) : seen;
}

at::Tensor ChunkCondition::operator()(const NetworkInput& input, at::ScalarType type,
                                      Precision precision) const {
  if (!input.pictures.defined()) return input.condition.to(type);
  return encode(input.condition, input.pictures, precision).to(type);
}

void ChunkCondition::check(const NetworkInput& input, const ForwardContext& context,
                           const PictureShape& shape, const char* network) const {
  if (!context.taps.empty()) {
    throw Error("a network whose blocks put out tokens", network, "train it without LayerSync");
  }
  const at::Tensor& z = input.z;
  if (z.dim() != 4 || z.size(1) != shape.channels || z.size(2) != 1 || z.size(3) != shape.width) {
    throw Error(fmt::format("chunks [N, {}, 1, {}]", shape.channels, shape.width),
                fmt::format("a tensor [{}]", fmt::join(z.sizes(), ", ")),
                "give the data that the network was made for");
  }
  // Without pictures the condition has been encoded.
  if (input.pictures.defined()) check_pictures(input.pictures);
  check_numbers(input.condition, input.pictures.defined() ? numbers_ : width());
}

}  // namespace calor::net
