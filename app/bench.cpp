// calor bench: how fast training is on this machine, and how much of a step its products would take
// alone.
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>

#include "app/command.h"
#include "app/train_request.h"
#include "calor/core/error.h"
#include "calor/core/signals.h"
#include "calor/data/training_data.h"
#include "calor/io/atomic_file.h"
#include "calor/train/kernel_clock.h"
#include "calor/train/operator_clock.h"
#include "calor/train/roof.h"
#include "calor/train/stage_trainer.h"

namespace calor::app {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::int64_t warm_up = 3;  // steps that are not counted
constexpr std::size_t listed = 12;   // products, and operators

struct BenchArguments {
  std::string source;
  std::vector<std::string> settings;
  std::int64_t steps = 20;
  bool operators = false;
  Machine machine;
};

// A folder for the checkpoint that a training ends with; it goes with this.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string name = (fs::temp_directory_path() / "calor-bench-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) {
      throw Error("a folder for temporary files", name + ": " + system_error_text(errno),
                  "set TMPDIR to a folder that can be written to");
    }
    path_ = name;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// When each step ended, and the last checkpoint.
class Clocked final : public train::TrainObserver {
 public:
  void on_step(const train::Fit& fit, const train::StepReport& /*report*/) override {
    ends.push_back(Clock::now());
    if (ends.size() == warm_up && on_warm) on_warm();
    if (fit.is_finished() && on_last) on_last();
  }
  void on_checkpoint(train::StageTrainer& /*trainer*/) override {
    const std::chrono::duration<double> taken = Clock::now() - ends.back();
    checkpoint = taken.count();
  }

  // Of the steps after the first ones, sorted.
  std::vector<double> seconds() const {
    std::vector<double> result;
    for (std::size_t i = warm_up; i < ends.size(); ++i) {
      result.push_back(std::chrono::duration<double>(ends[i] - ends[i - 1]).count());
    }
    std::ranges::sort(result);
    return result;
  }

  std::function<void()> on_warm;  // called before the first step that counts
  std::function<void()> on_last;  // called after the last, before the checkpoint
  std::vector<Clock::time_point> ends;
  double checkpoint = 0;
};

struct Measured {
  std::vector<double> steps;  // seconds, sorted
  double checkpoint = 0;
  std::vector<train::Product> products;        // of one step
  std::vector<train::OperatorTime> operators;  // of all steps
  std::int64_t parameters = 0;
};

train::Outcome train_for(train::RunConfig config, const data::TrainingData& data, at::Device device,
                         std::int64_t steps, Clocked& clocked, Measured& measured) {
  const ScratchFolder folder;
  config.train.steps = steps;
  config.train.checkpoint_every = steps + 1;  // one, at the end
  config.train.validate_every = steps + 1;
  flow::Flow flow(config.model, data.train->spec(), device);
  train::StageTrainer trainer(config, flow,
                              {.stage = 0,
                               .set = data.train,
                               .validation = nullptr,
                               .folder = folder.path(),
                               .warm_start = {},
                               .publish = {}},
                              clocked);
  measured.parameters = flow.stage(0).network().parameters().count();
  return trainer.run();
}

Measured measure(const Globals& globals, const train::RunConfig& config,
                 const data::TrainingData& data, at::Device device, std::int64_t steps) {
  Measured measured;
  Clocked clocked;
  say(globals, fmt::format("training for {} steps", warm_up + steps));
  const auto outcome = train_for(config, data, device, warm_up + steps, clocked, measured);
  if (outcome == train::Outcome::interrupted) throw stopped_error("all steps");
  measured.steps = clocked.seconds();
  measured.checkpoint = clocked.checkpoint;
  say(globals, "timing the products of one step alone");
  train::ProductRecorder recorder;
  Clocked unused;
  train_for(config, data, device, 1, unused, measured);
  measured.products = recorder.time_alone();
  return measured;
}

// Apart from the measurement of a step, which it would slow down. Operators only start a GPU's
// work: there it is the kernels that are timed.
template <class OperatorsClock>
void time_operators(const train::RunConfig& config, const data::TrainingData& data,
                    at::Device device, std::int64_t steps, Measured& measured) {
  std::unique_ptr<OperatorsClock> clock;
  Clocked clocked;
  clocked.on_warm = [&] { clock = std::make_unique<OperatorsClock>(); };
  clocked.on_last = [&] { measured.operators = clock->times(); };
  train_for(config, data, device, warm_up + steps, clocked, measured);
}

std::string shape_text(const train::Product& product) {
  return fmt::format("{} by {}", fmt::join(product.left, " x "), fmt::join(product.right, " x "));
}

nlohmann::ordered_json report_products(const Globals& globals, const Measured& measured,
                                       double step) {
  nlohmann::ordered_json list = nlohmann::json::array();
  answer(globals, fmt::format("{:<24} {:<40} {:>6} {:>9} {:>8} {:>8}", "products of a step",
                              "sizes", "times", "ms", "GFLOP/s", "of step"));
  for (std::size_t i = 0; i < measured.products.size(); ++i) {
    const auto& product = measured.products[i];
    const std::string kind = product.kind + (product.type == at::kBFloat16 ? ", bf16" : "");
    if (i < listed) {
      answer(globals,
             fmt::format("{:<24} {:<40} {:>6} {:>9.3f} {:>8.0f} {:>7.1f}%", kind,
                         shape_text(product), product.count, product.seconds * 1e3,
                         product.flops / product.seconds / 1e9, 100 * product.seconds / step));
    }
    list.push_back({{"kind", product.kind},
                    {"left", product.left},
                    {"right", product.right},
                    {"type", c10::toString(product.type)},
                    {"count", product.count},
                    {"seconds", product.seconds},
                    {"flops", product.flops}});
  }
  if (measured.products.size() > listed) {
    answer(globals, fmt::format("... and {} shapes more", measured.products.size() - listed));
  }
  return list;
}

nlohmann::ordered_json report_operators(const Globals& globals, const Measured& measured,
                                        double step, const char* title) {
  nlohmann::ordered_json list = nlohmann::json::array();
  const auto steps = static_cast<double>(measured.steps.size());
  answer(globals, fmt::format("{:<65} {:>6} {:>9} {:>8}", title, "times", "ms", "of step"));
  for (std::size_t i = 0; i < measured.operators.size(); ++i) {
    const auto& one = measured.operators[i];
    const double seconds = one.seconds / steps;
    if (i < listed) {
      answer(globals, fmt::format("{:<65.65} {:>6.0f} {:>9.3f} {:>7.1f}%", one.name,
                                  static_cast<double>(one.count) / steps, seconds * 1e3,
                                  100 * seconds / step));
    }
    list.push_back({{"name", one.name},
                    {"count", static_cast<double>(one.count) / steps},
                    {"seconds", seconds}});
  }
  return list;
}

// A step in short.
struct Summary {
  double step = 0;              // seconds, the median
  double alone = 0, flops = 0;  // its products by themselves
  double copied = 0;            // bytes a second, read and written
};

Summary summarise(const Measured& measured, at::Device device) {
  Summary summary{.step = measured.steps[measured.steps.size() / 2],
                  .copied = train::copy_bandwidth(device)};
  for (const auto& product : measured.products) {
    summary.alone += product.seconds;
    summary.flops += product.flops;
  }
  return summary;
}

void tell(const Globals& globals, const std::string& source, const train::RunConfig& config,
          std::int64_t checkpoint_every, const Measured& measured, const Summary& s) {
  const auto items = static_cast<double>(config.train.batch);
  answer(globals,
         fmt::format("{}: {} parameters{}, {} threads, batch {}", source, measured.parameters,
                     config.model.stages.is_chain() ? " in the first stage" : "",
                     at::get_num_threads(), config.train.batch));
  answer(globals,
         fmt::format("a step: {:.2f} ms in the median ({:.2f} to {:.2f}, {} steps), {:.0f} items/s",
                     s.step * 1e3, measured.steps.front() * 1e3, measured.steps.back() * 1e3,
                     measured.steps.size(), items / s.step));
  answer(globals, fmt::format("its products alone: {:.2f} ms, {:.0f} % of it, {:.0f} GFLOP/s",
                              s.alone * 1e3, 100 * s.alone / s.step, s.flops / s.alone / 1e9));
  answer(globals, fmt::format("copying: {:.1f} GB/s read and written", s.copied / 1e9));
  const double between = s.step * static_cast<double>(checkpoint_every);
  answer(globals,
         fmt::format("a checkpoint: {:.3f} s, {:.2f} % of the {} steps between two",
                     measured.checkpoint, 100 * measured.checkpoint / between, checkpoint_every));
}

nlohmann::ordered_json run_bench(const Globals& globals, const BenchArguments& a) {
  const at::Device device = a.machine.apply();
  train::RunConfig config = read_train_request(a.source, a.settings, "").config;
  const auto data = data::open_training_data(config.data);
  train::check_run(config, data.train->spec());
  const std::int64_t checkpoint_every = config.train.checkpoint_every;
  train::resolve_automatic(config, device, *data.train);
  net::use(config.train.products);
  const InterruptGuard guard;
  Measured measured = measure(globals, config, data, device, a.steps);
  if (a.operators) {
    say(globals, fmt::format("timing the {} of {} steps",
                             device.is_cuda() ? "kernels" : "operators", a.steps));
    const auto time = device.is_cuda() ? time_operators<train::KernelClock>
                                       : time_operators<train::OperatorClock>;
    time(config, data, device, a.steps, measured);
  }
  const Summary summary = summarise(measured, device);
  tell(globals, a.source, config, checkpoint_every, measured, summary);
  nlohmann::ordered_json report = {{"source", a.source},
                                   {"parameters", measured.parameters},
                                   {"threads", at::get_num_threads()},
                                   {"batch", config.train.batch},
                                   {"step_seconds",
                                    {{"median", summary.step},
                                     {"fastest", measured.steps.front()},
                                     {"slowest", measured.steps.back()},
                                     {"count", measured.steps.size()}}},
                                   {"products_seconds", summary.alone},
                                   {"products_flops", summary.flops},
                                   {"products_share", summary.alone / summary.step},
                                   {"copy_bytes_per_second", summary.copied},
                                   {"checkpoint_seconds", measured.checkpoint},
                                   {"checkpoint_every", checkpoint_every},
                                   {"products", report_products(globals, measured, summary.step)}};
  if (a.operators) {
    report["operators"] =
        report_operators(globals, measured, summary.step,
                         device.is_cuda() ? "the GPU's kernels of a step"
                                          : "operators of a step, without those inside");
  }
  return report;
}

}  // namespace

void add_bench(CLI::App& program, Globals& globals) {
  auto arguments = std::make_shared<BenchArguments>();
  BenchArguments& a = *arguments;
  CLI::App& command =
      add_command(program, globals, "bench",
                  "How fast a training is here, and what of a step is matrix products.",
                  "  calor bench hdfm-fashion-mnist\n"
                  "  calor bench runs/mine train.batch=64 train.precision=fp32 --threads 1\n"
                  "  calor bench lfm-table houses.csv --json");
  command.add_option("source", a.source, "preset, TOML file or run folder")->required();
  command.add_option("settings", a.settings,
                     "key=value settings, over the preset's; a path: the data");
  command.add_option("--steps", a.steps, "steps that are timed")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  command.add_flag("--operators", a.operators,
                   "also where a step's time goes, operator by operator; nodes of the backward "
                   "pass have the time of what is no operator inside them; on a GPU kernel by "
                   "kernel");
  a.machine.add_to(command);
  set_work(command, globals, [&globals, arguments] { return run_bench(globals, *arguments); });
}

}  // namespace calor::app
