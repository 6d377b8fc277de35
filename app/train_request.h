// What a person asks `calor train` (and `calor bench`) to train: a preset, a TOML file or a run
// folder, and settings over it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "calor/train/run_config.h"

namespace calor::app {

// The text, not read yet: what it configures stands in it.
struct RequestText {
  std::string toml, origin;           // origin: a file or "preset NAME", for errors
  std::vector<std::string> settings;  // key=value
  std::filesystem::path run;          // runs/NAME, or the run folder itself, where `run` is empty
};

// A word among the settings that is no key=value names the data. UsageError where the source is
// neither.
RequestText read_request(const std::string& source, const std::vector<std::string>& settings,
                         const std::string& run);

// Those words as settings: what names data becomes data.source. UsageError where two of them do.
std::vector<std::string> settings_of(const std::vector<std::string>& words);

struct TrainRequest {
  train::RunConfig config;
  std::filesystem::path run;
};

// Of a flow. UsageError where a setting is wrong, or the source configures a classifier.
TrainRequest read_train_request(const std::string& source, const std::vector<std::string>& settings,
                                const std::string& run);
TrainRequest read_train_request(const RequestText& request);

// The file of a student's settings in its run folder.
inline constexpr const char* student_settings_name = "distil.txt";

// Whether a folder holds a run that has begun.
bool is_run_folder(const std::filesystem::path& path);

// The settings that a run folder began with, as `origin` has them; none where it has not begun.
// UsageError where they are those of the other kind of training.
enum class Trains { flow, classifier };
std::optional<RequestText> stored_request(const std::filesystem::path& run, Trains wanted);
// UsageError where the folder is that of a student, which no training and no experiment may change.
void require_no_student(const std::filesystem::path& folder);
// UsageError where the settings that --override takes ask for other weights than the trained ones:
// before they are stored, for the weights could not follow.
void require_same_weights(bool same, const std::filesystem::path& run);
// UsageError where --override has changed these keys of a training that has no more steps to take.
void require_steps_left(bool left, const std::vector<std::string>& changed,
                        const std::filesystem::path& run);
// Writes them.
void store_settings(const std::filesystem::path& run, const config::Options& options);

// What a training with stored settings does: where it fails before a step was taken, --override has
// changed nothing, and the settings are as they were.
class StoredSettings {
 public:
  // What the folder has now.
  explicit StoredSettings(const std::filesystem::path& run);
  void put_back() const;

 private:
  std::filesystem::path run_;
  std::string before_;  // empty: none
};

// Stores the settings and runs the training.
template <class Reporter, class Train>
auto train_with(const std::filesystem::path& run, const config::Options& options,
                const Reporter& reporter, const Train& train) {
  const StoredSettings before(run);
  store_settings(run, options);
  try {
    return train();
  } catch (...) {
    if (!reporter.stepped()) before.put_back();
    throw;
  }
}

}  // namespace calor::app
