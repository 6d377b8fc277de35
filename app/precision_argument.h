// The flag --precision of commands that run a trained network.
#pragma once

#include "app/command.h"
#include "calor/flow/flow.h"
#include "calor/net/precision.h"

namespace calor::app {

class PrecisionArgument {
 public:
  // `unless_given`: fp32, the same numbers on every machine but for rounding, or automatic, bf16
  // products where the machine has them. This must outlive the command.
  void add_to(CLI::App& command, net::Precision unless_given) {
    argument_.add_to(command, unless_given);
  }
  net::Precision value() const { return argument_.value(); }
  // Makes the networks of a flow compute so.
  void apply(flow::Flow& flow) const { flow.set_precision(value()); }

 private:
  OptionArgument<net::Precision> argument_{"precision", net::declare_precision};
};

}  // namespace calor::app
