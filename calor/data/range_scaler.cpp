#include "calor/data/range_scaler.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "calor/core/error.h"

namespace calor::data {
namespace {

std::vector<double> numbers_of(const at::Tensor& x) {
  return {x.const_data_ptr<double>(), x.const_data_ptr<double>() + x.numel()};
}

}  // namespace

RangeScaler RangeScaler::fit(const at::Tensor& rows) {
  RangeScaler scaler;
  const at::Tensor wide = rows.to(at::kDouble);
  scaler.low_ = std::get<0>(wide.min(0)).contiguous();
  scaler.high_ = std::get<0>(wide.max(0)).contiguous();
  return scaler;
}

at::Tensor RangeScaler::half() const {
  const at::Tensor half = (high_ - low_) / 2;
  return at::where(half > 0, half, at::ones_like(half));
}

at::Tensor RangeScaler::middle() const { return (high_ + low_) / 2; }

at::Tensor RangeScaler::to_unit(const at::Tensor& x) const {
  return ((x.to(at::kDouble) - middle().to(x.device())) / half().to(x.device()))
      .to(x.scalar_type());
}

at::Tensor RangeScaler::from_unit(const at::Tensor& x) const {
  return (x.to(at::kDouble) * half().to(x.device()) + middle().to(x.device())).to(x.scalar_type());
}

std::string RangeScaler::to_json() const {
  return nlohmann::json{{"low", numbers_of(low_)}, {"high", numbers_of(high_)}}.dump();
}

RangeScaler RangeScaler::from_json(const std::string& text, const std::string& origin) {
  try {
    const auto json = nlohmann::json::parse(text);
    const auto low = json.at("low").get<std::vector<double>>();
    const auto high = json.at("high").get<std::vector<double>>();
    RangeScaler scaler;
    scaler.low_ = at::tensor(low, at::kDouble);
    scaler.high_ = at::tensor(high, at::kDouble);
    const bool ordered = low.size() == high.size() &&
                         at::isfinite(scaler.high_ - scaler.low_).all().item<bool>() &&
                         (scaler.low_ <= scaler.high_).all().item<bool>();
    if (ordered) return scaler;
  } catch (const nlohmann::json::exception&) {
  }
  throw Error("the ranges of the columns, low and high", fmt::format("{}: '{:.80}'", origin, text),
              "the model file is damaged: make it again from its run");
}

}  // namespace calor::data
