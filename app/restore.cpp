// calor restore: the pictures that a measurement leaves possible, with a trained model as the
// prior.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "app/labels.h"
#include "app/nll.h"
#include "app/restore_arguments.h"
#include "app/restore_inputs.h"
#include "app/restore_quality.h"
#include "app/restore_sheet.h"
#include "calor/core/error.h"
#include "calor/core/signals.h"
#include "calor/io/npy.h"
#include "calor/report/progress.h"
#include "calor/restore/restore.h"

namespace calor::app {
namespace {

// A prior ready for use: what it knows of its pictures and of its own errors.
struct Prior {
  restore::Spectrum spectrum;
  restore::Uncertainty uncertainty;
  std::string source;
  std::int64_t pictures = 0;
};

// Below it what is unsolved of a measurement lies far under any noise.
constexpr double enough_residual = 1e-4;

// `count` of the pictures, evenly spaced: a set may be sorted by class.
at::Tensor some_of(const at::Tensor& pictures, std::int64_t count) {
  const std::int64_t n = pictures.size(0);
  const std::int64_t most = std::min(count, n);
  return pictures.index_select(0, (at::arange(most, at::kLong) * n).floor_divide(most));
}

restore::Uncertainty uncertainty_of(const Globals& globals, const RestoreArguments& a,
                                    const flow::Flow& flow, const at::Tensor& pictures,
                                    const at::Tensor& variance, std::int64_t label,
                                    const solve::GenerateOptions& options) {
  const auto times = restore::evaluation_times(flow, options.solver);
  const path::PictureSpace& space = flow.stage(0).space();
  if (a.calibration == 0) {
    return restore::Uncertainty::gaussian(*space.path, space.lambda, variance.to(flow.device()),
                                          times);
  }
  const at::Tensor own = some_of(pictures, a.calibration);
  report::ProgressBar bar(static_cast<std::int64_t>(times.size()), 0, "times", globals.quiet);
  auto uncertainty = restore::measure_uncertainty(
      flow, own, label,
      random_key(static_cast<std::uint64_t>(a.seed), RandomUse::validation)
          .children(0, own.size(0)),
      options, [&](std::int64_t done) {
        bar.update(done, "the model's own errors");
        stop_if_interrupted("the model's errors at all times");
      });
  bar.finish();
  return uncertainty;
}

Prior prior_of(const Globals& globals, const RestoreArguments& a, const RunModel& model,
               std::int64_t label, const solve::GenerateOptions& options) {
  const PriorPictures known = prior_pictures(a, model, label, options);
  const restore::Spectrum spectrum = restore::spectrum_of(known.pictures);
  return {.spectrum = spectrum,
          .uncertainty = uncertainty_of(globals, a, *model.flow, known.pictures, spectrum.variance,
                                        label, options),
          .source = known.source,
          .pictures = known.pictures.size(0)};
}

// The simple ways to restore, on the CPU.
std::vector<RestoredBy> baselines(const restore::MeasurementOptions& options,
                                  const restore::Measurement& measurement,
                                  const at::Tensor& measured, const restore::Spectrum& spectrum) {
  const at::Device device = measurement.support().device();
  std::vector<RestoredBy> ways;
  if (options.task == restore::Task::superresolve) {
    ways.push_back(
        {.name = "bicubic",
         .pictures = restore::bicubic(measured, spectrum.mean.size(1), spectrum.mean.size(2))});
  } else {
    ways.push_back({.name = "measured", .pictures = measured});
  }
  ways.push_back({.name = "wiener",
                  .pictures = restore::wiener(measurement, measured.to(device), spectrum).cpu()});
  return ways;
}

// Sample by sample, so that memory does not grow with their number.
double disagreement_of(const restore::Measurement& measurement, const at::Tensor& samples,
                       const at::Tensor& measured) {
  const at::Device device = measurement.support().device();
  double total = 0;
  for (std::int64_t k = 0; k < samples.size(1); ++k) {
    total += measurement.disagreement(samples.select(1, k).to(device), measured.to(device))
                 .square()
                 .mean()
                 .item<double>();
  }
  return std::sqrt(total / static_cast<double>(samples.size(1)));
}

void describe(const RestoreArguments& a, const restore::MeasurementOptions& options,
              nlohmann::ordered_json& object) {
  object["task"] = restore::task_name(options.task);
  object["sigma"] = options.sigma;
  if (options.task == restore::Task::deblur) object["blur"] = options.blur;
  if (options.task == restore::Task::superresolve) {
    object["factor"] = options.factor;
    object["reduction"] = restore::reduction_name(options.reduction);
  }
  if (options.task == restore::Task::inpaint) object["mask"] = a.mask;
}

RestoreInputs first_of(RestoreInputs inputs, std::int64_t count) {
  inputs.measured = inputs.measured.narrow(0, 0, count);
  if (inputs.truth.defined()) inputs.truth = inputs.truth.narrow(0, 0, count);
  return inputs;
}

nlohmann::ordered_json report(const Globals& globals, const RestoreArguments& a,
                              const RunModel& model, const restore::MeasurementOptions& options,
                              const restore::Measurement& measurement, const RestoreInputs& all,
                              const Prior& prior, const restore::Restored& made) {
  const data::ItemSpec& items = model.flow->items();
  const RestoreInputs inputs = first_of(all, made.samples.size(0));
  auto ways = baselines(options, measurement, inputs.measured, prior.spectrum);
  if (a.out.ends_with(".npy")) {
    io::write_npy(a.out, made.samples);
  } else {
    write_sheet(a.out, inputs, measurement, ways, made.samples, items);
  }
  const double disagreement = disagreement_of(measurement, made.samples, inputs.measured);
  const double spread =
      made.samples.size(1) > 1 ? made.samples.std(1, true).mean().item<double>() : 0;
  answer(globals, fmt::format("{} pictures of {}, {} samples each, {} evaluations each: {}",
                              report::grouped(made.samples.size(0)), inputs.source,
                              made.samples.size(1), made.nfe, a.out));
  answer(globals, fmt::format("disagreement of the samples with the measurement, in its noise: "
                              "{:.3f}; mean spread {:.3f}",
                              disagreement, spread));
  if (measurement.residual() > enough_residual) {
    say(globals, fmt::format("warning: the known pixels' equations were solved to {:.1g} only, "
                             "relative to how far they are from what was predicted; more --sigma "
                             "makes them easier",
                             measurement.residual()));
  }
  nlohmann::ordered_json object;
  describe(a, options, object);
  object["data"] = inputs.source;
  object["split"] = inputs.split;
  object["simulated"] = a.simulate;
  object["count"] = made.samples.size(0);
  object["requested"] = all.measured.size(0);
  object["samples"] = made.samples.size(1);
  object["nfe"] = made.nfe;
  object["label"] = a.label;
  object["seed"] = a.seed;
  object["prior_pictures"] = {{"source", prior.source}, {"count", prior.pictures}};
  object["calibration"] = a.calibration;
  object["adaptive"] = !a.fixed;
  object["disagreement"] = json_number(disagreement);
  object["residual"] = measurement.residual();
  object["spread"] = json_number(spread);
  object["out"] = a.out;
  if (inputs.truth.defined()) {
    ways.push_back({.name = "sample", .pictures = made.samples.select(1, 0)});
    ways.push_back({.name = "mean", .pictures = made.samples.mean(1)});
    object["reference"] = inputs.reference.defined() ? inputs.reference.size(0) : 0;
    object["ways"] = restoration_quality(globals, inputs, measurement, std::move(ways), items);
  }
  return object;
}

nlohmann::ordered_json run_restoration(const Globals& globals, const RestoreArguments& a) {
  a.check();
  const at::Device device = a.machine.apply();
  const restore::MeasurementOptions options = a.measurement();
  const RunModel model = open_run(a.run, a.ema, device);
  a.precision.apply(*model.flow);
  const flow::Flow& flow = *model.flow;
  solve::GenerateOptions sampling = a.sampling(model);
  restore::check_restorable(flow, sampling.solver);
  const auto measurement = restore::make_measurement(options, flow.items().height,
                                                     flow.items().width, read_mask(a.mask), device);
  const std::int64_t label = labels_from(a.label, flow.items(), 1, 1)[0].item<std::int64_t>();
  if (label == flow.items().classes()) {
    a.check_unguided(sampling.guidance.scale);
    sampling.guidance.scale = 1;  // between none and none: nothing, at twice the evaluations
  }
  const RestoreInputs inputs = restore_inputs(a, model, *measurement);

  const InterruptGuard guard;
  const Prior prior = prior_of(globals, a, model, label, sampling);
  const std::int64_t count = inputs.measured.size(0);
  report::ProgressBar bar(count, 0, "img", globals.quiet);
  const auto made =
      restore::restore(flow, *measurement, inputs.measured, prior.uncertainty,
                       a.fixed ? restore::Trust::same_for_all : restore::Trust::adaptive, label,
                       solve::sampling_keys(a.seed, 0, count), a.samples, sampling,
                       [&](std::int64_t done) { bar.update(done, ""); });
  bar.finish();
  if (made.samples.size(0) == 0) {
    throw stopped_error("at least one batch of samples", "before the first was done");
  }
  if (made.samples.size(0) < count) {
    say(globals,
        fmt::format("stopped by a signal after {} of {} pictures", made.samples.size(0), count));
  }
  auto object = report(globals, a, model, options, *measurement, inputs, prior, made);
  object["solver"] = solve::solver_name(sampling.solver.solver);
  object["guidance"] = sampling.guidance.scale;
  object["pictures_per_second"] = bar.rate();
  return object;
}

}  // namespace

void add_restore(CLI::App& program, Globals& globals) {
  auto arguments = std::make_shared<RestoreArguments>();
  CLI::App& command = add_command(
      program, globals, "restore",
      "Restore blurred, small, incomplete or noisy pictures, with a trained model of pictures.",
      "  calor restore runs/demo small.png --task superresolve --factor 4 --out restored.png\n"
      "  calor restore runs/demo blurred/ --task deblur --blur 1.5 --sigma 0.1 --samples 16\n"
      "  calor restore runs/demo torn.png --task inpaint --mask known.png\n"
      "  calor restore runs/hdfm-mnist --simulate --count 500 --task deblur --json");
  arguments->add_to(command);
  set_work(command, globals,
           [&globals, arguments] { return run_restoration(globals, *arguments); });
}

}  // namespace calor::app
