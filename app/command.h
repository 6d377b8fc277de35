// What the subcommands share: global flags, the answer in JSON, and the parts of the command line.
#pragma once

#include <c10/core/Device.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "calor/config/options.h"
#include "calor/net/precision.h"

namespace calor::app {

struct Globals {
  bool json = false;   // one object on standard output
  bool quiet = false;  // nothing but errors on standard error
};

// A subcommand's work: prints for people on standard error, returns what --json prints on standard
// output. What people asked to see (listings) goes to standard output through `answer`.
using Work = std::function<nlohmann::ordered_json()>;

// Adds `--json` and `--quiet` and the example to the help, and runs `work` when chosen.
CLI::App& add_command(CLI::App& program, Globals& globals, const std::string& name,
                      const std::string& description, const std::string& examples);
void set_work(CLI::App& command, Globals& globals, Work work);

// A flag for a declared option, whose text it has: what is written after it is put among
// `settings` as "KEY=value", to be assigned, and so checked, by the declaration.
void add_setting(CLI::App& command, std::vector<std::string>& settings, const std::string& flag,
                 const config::Option& option, const std::string& otherwise);
// Assigns what such flags have collected.
void assign_all(config::Options& options, const std::vector<std::string>& settings);

// One such option alone, as the flag --KEY of commands that read no configuration.
template <class T>
class OptionArgument {
 public:
  using Declare = void (*)(config::Options& options, const char* key, T& value);
  OptionArgument(const char* key, Declare declare) : key_(key), declare_(declare) {}

  // This must outlive the command.
  void add_to(CLI::App& command, T unless_given) {
    unless_given_ = unless_given;
    config::Options declared;
    declare_(declared, key_, unless_given_);
    const config::Option& option = *declared.find(key_);
    add_setting(command, settings_, std::string("--") + key_, option, option.default_text);
  }
  // Before add_to() a T{}.
  T value() const {
    T value = unless_given_;
    config::Options declared;
    declare_(declared, key_, value);
    assign_all(declared, settings_);
    return value;
  }

 private:
  const char* key_;
  Declare declare_;
  T unless_given_{};
  std::vector<std::string> settings_;
};

// Which flags were given, and the refusal of those that have no say in what is asked for.
class SaidFlags {
 public:
  SaidFlags() = default;
  // Of a command that outlives this, once it is parsed.
  explicit SaidFlags(const CLI::App& command) : command_(&command) {}
  bool has(const std::string& flag) const {
    const CLI::Option* option = command_ ? command_->get_option_no_throw(flag) : nullptr;
    return option != nullptr && option->count() > 0;
  }
  // UsageError "EXPECTED for FLAG" where one of these flags was given.
  void refuse(std::initializer_list<const char*> flags, const std::string& expected,
              const std::string& found) const;

 private:
  const CLI::App* command_ = nullptr;
};

// UsageError where a file that a flag names cannot be written: its folder is not there or may not
// be written; where its ending is none of these (any, if none is named). Before any work is done;
// empty: no file is wanted.
void check_place(const char* flag, const std::string& file,
                 std::initializer_list<const char*> endings = {});

// What --seed takes: a longer number would be cut to another one.
CLI::Validator seed_number();

// UsageError where the file that `flag` writes is one of these, which are read, or written too;
// empty names are none.
void check_apart(const char* flag, const std::string& file, const std::vector<std::string>& others);

// JSON as text. A path may hold bytes that are no UTF-8; JSON cannot, and has a mark in their
// place.
std::string json_text(const nlohmann::ordered_json& json);

// Text for people: standard error unless quiet.
void say(const Globals& globals, const std::string& line);
// What the person asked for, on standard output, unless --json takes its place.
void answer(const Globals& globals, const std::string& line);

// --device and --threads, applied by `apply`.
struct Machine {
  std::string device = "auto";
  int threads = 0;
  bool chooses_products = false;
  OptionArgument<net::Products> products{"products", net::declare_products};
  void add_to(CLI::App& command);
  // --products, too, for commands that train nothing and so have no train.products.
  void add_with_products_to(CLI::App& command);
  // First of all in a command's work.
  c10::Device apply() const;
};

void add_train(CLI::App& program, Globals& globals);
void add_distill(CLI::App& program, Globals& globals);
void add_sample(CLI::App& program, Globals& globals);
void add_restore(CLI::App& program, Globals& globals);
void add_score(CLI::App& program, Globals& globals);
void add_evaluate(CLI::App& program, Globals& globals);
void add_experiment(CLI::App& program, Globals& globals);
void add_rollout(CLI::App& program, Globals& globals);
void add_plot(CLI::App& program, Globals& globals);
void add_bench(CLI::App& program, Globals& globals);
void add_convert(CLI::App& program, Globals& globals);
void add_info(CLI::App& program, Globals& globals);
void add_presets(CLI::App& program, Globals& globals);
void add_data(CLI::App& program, Globals& globals);

}  // namespace calor::app
