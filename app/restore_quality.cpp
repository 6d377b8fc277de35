#include "app/restore_quality.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <memory>
#include <optional>
#include <system_error>

#include "app/nll.h"
#include "app/picture_features.h"
#include "calor/data/dequantise.h"
#include "calor/metric/classifier.h"
#include "calor/metric/frechet.h"
#include "calor/metric/picture_error.h"

namespace calor::app {
namespace {

namespace fs = std::filesystem;

// A classifier and what it sees in the real pictures.
struct Judge {
  std::unique_ptr<metric::Classifier> classifier;
  at::Tensor real;
};

std::vector<Judge> judges_of(const at::Tensor& reference) {
  std::vector<Judge> judges;
  if (!reference.defined()) return judges;
  for (const fs::path& file : known_classifiers()) {
    Judge judge{.classifier = metric::load_classifier(file), .real = {}};
    judge.real = judge.classifier->read(reference).features;
    judges.push_back(std::move(judge));
  }
  return judges;
}

double mean_of(const at::Tensor& numbers) { return numbers.mean().item<double>(); }

nlohmann::ordered_json frechet_of(const at::Tensor& pictures, const std::vector<Judge>& judges,
                                  const data::ItemSpec& items) {
  nlohmann::ordered_json distances = nlohmann::ordered_json::object();
  if (pictures.size(0) < 2) return distances;
  const at::Tensor bytes = data::to_bytes(pictures, items);
  for (const Judge& judge : judges) {
    const at::Tensor features = judge.classifier->read(bytes).features;
    distances[judge.classifier->name()] = metric::frechet_distance(features, judge.real);
  }
  return distances;
}

std::string cell(const nlohmann::ordered_json& number, int digits) {
  return number.is_number() ? fmt::format("{:.{}f}", number.get<double>(), digits) : "-";
}

}  // namespace

nlohmann::ordered_json restoration_quality(const Globals& globals, const RestoreInputs& inputs,
                                           const restore::Measurement& measurement,
                                           std::vector<RestoredBy> ways,
                                           const data::ItemSpec& items) {
  const std::vector<Judge> judges = judges_of(inputs.reference);
  const bool large = items.height >= metric::ssim_window && items.width >= metric::ssim_window;
  const at::Device device = measurement.support().device();
  std::string head = fmt::format("{:<10} {:>7} {:>6} {:>12}", "", "PSNR", "SSIM", "disagreement");
  for (const Judge& judge : judges) {
    head += fmt::format(" {:>10}", judge.classifier->name());
  }
  answer(globals, head);
  ways.push_back({.name = "truth", .pictures = inputs.truth});
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const RestoredBy& way : ways) {
    const at::Tensor disagreement =
        measurement.disagreement(way.pictures.to(device), inputs.measured.to(device));
    nlohmann::ordered_json row{
        {"name", way.name},
        {"psnr", json_number(mean_of(metric::psnr(way.pictures, inputs.truth)))},
        {"ssim", large ? json_number(mean_of(metric::ssim(way.pictures, inputs.truth))) : nullptr},
        {"disagreement", json_number(std::sqrt(mean_of(disagreement.square())))},
        {"frechet", frechet_of(way.pictures, judges, items)}};
    std::string line = fmt::format("{:<10} {:>7} {:>6} {:>12}", way.name, cell(row["psnr"], 2),
                                   cell(row["ssim"], 3), cell(row["disagreement"], 3));
    for (const auto& [name, distance] : row["frechet"].items()) {
      line += fmt::format(" {:>10}", cell(distance, 2));
    }
    answer(globals, line);
    list.push_back(std::move(row));
  }
  return list;
}

}  // namespace calor::app
