#include "app/train_request.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "calor/config/presets.h"
#include "calor/core/error.h"
#include "calor/data/training_data.h"
#include "calor/io/atomic_file.h"
#include "calor/train/classifier_config.h"

namespace calor::app {
namespace {

namespace fs = std::filesystem;

fs::path config_file(const fs::path& run) { return run / "config.toml"; }

// Written whole, so that one without any section has been lost, and not begun with the defaults.
std::string stored_text(const fs::path& file) {
  std::string text = io::read_text(file);
  if (text.find("\n[") != std::string::npos || text.starts_with('[')) return text;
  throw Error("the settings of a run", file.string() + ": none",
              "restore the file, or take another --run folder");
}

// A text in TOML's spelling.
std::string toml_text(const std::string& text) { return config::to_text(config::Value{text}); }

// Whether a word among the settings is no setting but the data: calor train lfm-table DATA.csv.
bool names_data(const std::string& word) {
  std::error_code ignored;
  if (fs::exists(word, ignored)) return true;
  return word.find('=') == std::string::npos &&
         (data::is_table_name(word) || word.find('/') != std::string::npos ||
          data::is_known_source(word));
}

}  // namespace

std::vector<std::string> settings_of(const std::vector<std::string>& words) {
  std::vector<std::string> settings;
  std::string data;
  for (const auto& word : words) {
    if (!names_data(word)) {
      settings.push_back(word);
      continue;
    }
    require_usage(data.empty(), "one set of data", fmt::format("'{}' and '{}'", data, word),
                  "name one: pictures in one folder, rows in one file");
    data = word;
    settings.push_back("data.source=" + toml_text(word));
  }
  return settings;
}

bool is_run_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(config_file(path), ignored);
}

void require_no_student(const fs::path& folder) {
  std::error_code ignored;
  const fs::path file = folder / student_settings_name;
  require_usage(!fs::exists(file, ignored), "another folder than a student's",
                fmt::format("{}: calor distill works there", file.string()),
                "take another --run folder");
}

std::optional<RequestText> stored_request(const fs::path& run, Trains wanted) {
  require_no_student(run);
  if (!is_run_folder(run)) return std::nullopt;
  const std::string file = config_file(run).string();
  RequestText stored{stored_text(file), file, {}, run};
  const bool classifier = train::configures_classifier(stored.toml, file);
  require_usage(classifier == (wanted == Trains::classifier),
                classifier ? "the run folder of a flow" : "the run folder of a classifier",
                file + (classifier ? ": that of a classifier" : ": that of a flow"),
                "take another --run folder");
  return stored;
}

void require_same_weights(bool same, const fs::path& run) {
  require_usage(same, "settings with --override that the trained weights fit",
                run.string() + ": another number of weights or stages",
                "leave the settings of the network as they were, or take another --run folder");
}

void require_steps_left(bool left, const std::vector<std::string>& changed, const fs::path& run) {
  if (left) return;
  throw usage_error("a training with steps to take, for --override",
                    fmt::format("{} is trained; {} would change nothing but its record",
                                run.string(), fmt::join(changed, ", ")),
                    "train a flow of one stage further with train.steps=N, or take another --run "
                    "folder");
}

void store_settings(const fs::path& run, const config::Options& options) {
  io::write_file_atomically(
      config_file(run), "# The settings of this run, as they were resolved.\n" + options.to_toml());
}

StoredSettings::StoredSettings(const fs::path& run) : run_(run) {
  if (is_run_folder(run)) before_ = io::read_text(config_file(run));
}

void StoredSettings::put_back() const {
  if (!before_.empty()) io::write_file_atomically(config_file(run_), before_);
}

RequestText read_request(const std::string& source, const std::vector<std::string>& settings,
                         const std::string& run) {
  std::error_code ignored;
  const fs::path path = source;
  const std::vector<std::string> words = settings_of(settings);
  if (is_run_folder(path)) {
    const std::string file = config_file(path).string();
    return {stored_text(file), file, words, run.empty() ? path : fs::path(run)};
  }
  const bool file = path.extension() == ".toml" || fs::is_regular_file(path, ignored);
  const std::string name = file ? path.stem().string() : source;
  return {file ? io::read_text(path) : std::string(config::preset(source)),
          file ? source : "preset " + name, words,
          run.empty() ? fs::path("runs") / name : fs::path(run)};
}

TrainRequest read_train_request(const RequestText& request) {
  require_usage(!train::configures_classifier(request.toml, request.origin),
                "the settings of a flow", request.origin + ": those of a classifier",
                "classifiers are made by calor train, without --stage and --parallel");
  return {train::parse_config(request.toml, request.origin, request.settings), request.run};
}

TrainRequest read_train_request(const std::string& source, const std::vector<std::string>& settings,
                                const std::string& run) {
  return read_train_request(read_request(source, settings, run));
}

}  // namespace calor::app
