#include "app/precision_argument.h"

namespace calor::app {

void PrecisionArgument::add_to(CLI::App& command, net::Precision unless_given) {
  unless_given_ = unless_given;
  config::Options declared;
  net::declare_precision(declared, "precision", unless_given_);
  const config::Option& option = *declared.find("precision");
  add_setting(command, settings_, "--precision", option, option.default_text);
}

net::Precision PrecisionArgument::value() const {
  net::Precision precision = unless_given_;
  config::Options declared;
  net::declare_precision(declared, "precision", precision);
  assign_all(declared, settings_);
  return precision;
}

void PrecisionArgument::apply(flow::Flow& flow) const { flow.set_precision(value()); }

}  // namespace calor::app
