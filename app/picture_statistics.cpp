#include "app/picture_statistics.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "app/evaluate_distances.h"
#include "app/nll.h"
#include "calor/io/picture.h"
#include "calor/metric/bootstrap.h"
#include "calor/metric/histogram.h"
#include "calor/metric/spectrum.h"
#include "calor/report/curve_plot.h"
#include "calor/report/titles.h"

namespace calor::app {
namespace {

using Json = nlohmann::ordered_json;

constexpr report::Colour orange = {214, 84, 20}, grey = {150, 150, 150}, black = {20, 20, 20};

std::vector<double> numbers(const at::Tensor& values) {
  const at::Tensor plain = values.contiguous();
  const auto* first = plain.const_data_ptr<double>();
  return {first, first + plain.numel()};
}

// The measures of one set of pictures against another.
Json measures(const at::Tensor& made, const PictureStatistics& of_made, const at::Tensor& real,
              const PictureStatistics& of_real, const EvaluateArguments& a) {
  const auto spectrum = [&](const at::Tensor& rows) {
    return metric::spectrum_distance(of_made.power.index_select(0, rows), of_real.power);
  };
  const auto colours = [&](const at::Tensor& rows) {
    return metric::histogram_distance(of_made.histograms.index_select(0, rows), of_real.histograms)
        .mean()
        .item<double>();
  };
  const at::Tensor by_channel = metric::histogram_distance(of_made.histograms, of_real.histograms);
  const std::int64_t n = made.size(0);
  const bool divides = made.size(2) % a.patch == 0 && made.size(3) % a.patch == 0;
  constexpr std::int64_t resamples = 50;
  return {
      {"spectrum_distance", json_number(metric::spectrum_distance(of_made.power, of_real.power))},
      {"spectrum_standard_error",
       json_number(metric::bootstrap_standard_error(n, a.key(14), spectrum, resamples))},
      {"fine_power_06", json_number(metric::fine_power(made, real, 0.6))},
      {"fine_power_10", json_number(metric::fine_power(made, real, 1.0))},
      {"patch_grid_power",
       divides ? json_number(metric::patch_grid_power(made, real, a.patch)) : Json()},
      {"histogram_distance", json_number(by_channel.mean().item<double>())},
      {"histogram_standard_error",
       json_number(metric::bootstrap_standard_error(n, a.key(15), colours, resamples))},
      {"histogram_distance_by_channel", numbers(by_channel)}};
}

void print(const Globals& globals, const EvaluateArguments& a, const Json& found) {
  const Json& made = found["samples"];
  const Json& floor = found["floor"];
  print_heads(globals, "detail and colour", "real pictures");
  print_line(globals, "power spectrum, mean |log10 ratio|", made, floor, "spectrum_distance",
             "spectrum_standard_error");
  print_line(globals, "fine power, r > .6 (1: equal)", made, floor, "fine_power_06");
  print_line(globals, "fine power, r > 1 (1: equal)", made, floor, "fine_power_10");
  if (made["patch_grid_power"].is_number()) {
    print_line(globals, fmt::format("patch-grid power, period {} (1: no grid)", a.patch), made,
               floor, "patch_grid_power");
  }
  print_line(globals, "histogram distance, 0 to 1", made, floor, "histogram_distance",
             "histogram_standard_error");
}

// Power by frequency on a logarithmic scale, without the band of the mean.
at::Tensor power_panel(const at::Tensor& bands, const PictureStatistics& made,
                       const PictureStatistics& real) {
  constexpr double least = 1e-12;  // where there is no power at all
  const auto curve = [&](const char* name, const PictureStatistics& set, report::Colour colour) {
    return report::Curve{.name = name,
                         .x = bands.slice(0, 1),
                         .y = set.power.mean(0).slice(0, 1).clamp_min(least),
                         .colour = colour};
  };
  return report::with_title(
      report::curve_picture({curve("real", real, black), curve("samples", made, orange)},
                            {.x_name = "frequency r", .logarithmic = true}),
      "power");
}

at::Tensor ratio_panel(const at::Tensor& bands, const at::Tensor& ratio, const at::Tensor& floor) {
  const auto curve = [&](const char* name, const at::Tensor& y, report::Colour colour) {
    return report::Curve{
        .name = name, .x = bands.slice(0, 1), .y = y.slice(0, 1).contiguous(), .colour = colour};
  };
  return report::with_title(report::curve_picture({curve("real against real", floor, grey),
                                                   curve("samples against real", ratio, orange)},
                                                  {.x_name = "frequency r", .logarithmic = true}),
                            "power ratio");
}

at::Tensor histogram_panel(const PictureStatistics& made, const PictureStatistics& real,
                           std::int64_t channel, std::int64_t channels) {
  const at::Tensor values = at::arange(256, at::kDouble);
  const auto curve = [&](const char* name, const PictureStatistics& set, report::Colour colour) {
    // A logarithm of shares shows the rare values beside the black of a background.
    return report::Curve{.name = name,
                         .x = values,
                         .y = set.histograms.mean(0)[channel].clamp_min(1e-6),
                         .colour = colour};
  };
  const char* names[] = {"red", "green", "blue"};
  return report::with_title(
      report::curve_picture({curve("real", real, black), curve("samples", made, orange)},
                            {.x_name = "value", .logarithmic = true}),
      fmt::format("share of pixels, {}", channels == 1 ? "grey" : names[channel]));
}

void draw(const std::string& file, const at::Tensor& bands, const at::Tensor& ratio,
          const at::Tensor& floor, const PictureStatistics& made, const PictureStatistics& real) {
  std::vector<at::Tensor> panels{power_panel(bands, made, real), ratio_panel(bands, ratio, floor)};
  const std::int64_t channels = made.histograms.size(1);
  for (std::int64_t c = 0; c < channels; ++c) {
    panels.push_back(histogram_panel(made, real, c, channels));
  }
  io::write_png(file, report::side_by_side(panels));
}

}  // namespace

PictureStatistics statistics_of(const at::Tensor& pictures) {
  return {.power = metric::radial_power(pictures),
          .histograms = metric::channel_histograms(pictures)};
}

Json report_statistics(const Globals& globals, const EvaluateArguments& a,
                       const PictureSets& sets) {
  const RealPictures& real = sets.real;
  const PictureStatistics of_samples = statistics_of(sets.samples.pictures);
  const PictureStatistics of_real = statistics_of(real.reference);
  const PictureStatistics of_floor = statistics_of(real.floor);
  const PictureStatistics of_floor_reference = statistics_of(real.floor_reference);
  const at::Tensor bands = metric::radial_bands(real.reference.size(2), real.reference.size(3));
  const at::Tensor ratio = metric::radial_power_ratio(of_samples.power, of_real.power);
  const at::Tensor floor = metric::radial_power_ratio(of_floor.power, of_floor_reference.power);
  Json found{{"samples", measures(sets.samples.pictures, of_samples, real.reference, of_real, a)},
             {"floor", measures(real.floor, of_floor, real.floor_reference, of_floor_reference, a)},
             {"patch", a.patch},
             {"bands", numbers(bands)},
             {"power_ratio", numbers(ratio)},
             {"power_ratio_floor", numbers(floor)}};
  print(globals, a, found);
  if (!a.plot.empty()) {
    draw(a.plot, bands, ratio, floor, of_samples, of_real);
    found["plot"] = a.plot;
    say(globals, "spectra and histograms: " + a.plot);
  }
  return found;
}

}  // namespace calor::app
