#include "app/sampling_argument.h"

#include "calor/solve/picture_likelihood.h"

namespace calor::app {

void check_said(const SaidFlags& said, const flow::Flow& flow,
                const solve::GenerateOptions& options) {
  const std::string found = "--solver " + solve::solver_name(options.solver.solver);
  if (flow.options().stages.maps) {
    said.refuse({"--steps", "--solver", "--grid", "--guidance", "--guidance-interval", "--t-eps",
                 "--rtol", "--atol"},
                "a model that is integrated", "a distilled student, whose stages are maps");
  }
  if (solve::is_adaptive(options.solver.solver)) {
    said.refuse({"--steps"}, "a solver of so many steps", found + ", which chooses its own");
  } else {
    said.refuse({"--rtol", "--atol"}, "a solver that controls its error (dopri5, tsit5, adams)",
                found);
  }
  const bool ode = solve::is_ode(options.solver.solver);
  if (ode) said.refuse({"--grid"}, "a solver that steps on the path", found);
  if (flow.is_chain() && flow.options().stages.predicted != flow::PredictedEnd::data) {
    said.refuse({"--grid"}, "a model of one path", "a chain that goes stage by stage");
  }
  if (ode ? solve::likelihood_t_eps(flow, 1e-3) == 0 : !solve::clips_time(options.solver.solver)) {
    said.refuse({"--t-eps"}, "a velocity of clean predictions", found);
  }
  if (options.guidance.scale == 1) {
    said.refuse({"--guidance-interval"}, "a guidance other than 1", "1, which is none");
  } else if (flow.items().classes() == 0) {
    said.refuse({"--guidance"}, "a model with classes", "one without");
  }
}

void SamplingArgument::add_to(CLI::App& command) {
  said_ = SaidFlags(command);
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
  check_said(said_, *model.flow, options);
  return options;
}

std::string solver_text(const RunModel& model, const solve::GenerateOptions& options) {
  return model.flow->options().stages.maps ? "map" : solve::solver_name(options.solver.solver);
}

}  // namespace calor::app
