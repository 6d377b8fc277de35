#include "app/sampling_argument.h"

namespace calor::app {

void SamplingArgument::add_to(CLI::App& command) {
  solve::GenerateOptions defaults;
  config::Options declared;
  defaults.declare(declared);
  const auto add = [&](const std::string& flag, const std::string& key) {
    add_setting(command, settings_, flag, *declared.find(key), "the model's");
  };
  add("--steps", "sample.steps");
  add("--solver", "sample.solver");
  add("--grid", "sample.grid");
  add("--guidance", "sample.guidance");
  command
      .add_option_function<std::vector<std::string>>(
          "--guidance-interval",
          [this](const std::vector<std::string>& ends) {
            settings_.push_back("sample.guidance_lo=" + ends.at(0));
            settings_.push_back("sample.guidance_hi=" + ends.at(1));
          },
          "LO HI: times between which guidance acts")
      ->expected(2);
  add("--t-eps", "sample.t_eps");
  add("--rtol", "sample.rtol");
  add("--atol", "sample.atol");
}

solve::GenerateOptions SamplingArgument::options(const RunModel& model) const {
  solve::GenerateOptions options = solve::options_from_notes(model.notes, model.file.string());
  config::Options declared;
  options.declare(declared);
  assign_all(declared, settings_);
  return options;
}

std::string solver_text(const RunModel& model, const solve::GenerateOptions& options) {
  return model.flow->options().stages.maps ? "map" : solve::solver_name(options.solver.solver);
}

}  // namespace calor::app
