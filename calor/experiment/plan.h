// The commands of an experiment, one by one: which there are, what each waits for, and where its
// answer is kept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "calor/experiment/experiment.h"

namespace calor::experiment {

struct Job {
  std::string name;                // unique; the stem of its files in results/ and logs/
  std::vector<std::string> words;  // the program's arguments
  std::filesystem::path run;       // the folder that it makes; empty where it measures
  std::vector<std::size_t> needs;  // jobs whose run folders it reads
  // The words of those, and before them of what they need: what its answer depends on.
  std::vector<std::vector<std::string>> after = {};
};

struct Row {
  std::vector<std::size_t> levels;  // of each factor
  // By seed, then by Measuring: the job whose answer it is. Rows may share jobs.
  std::vector<std::vector<std::size_t>> measured_by;
};

struct Plan {
  std::vector<Job> jobs;  // what is needed comes first
  std::vector<Row> rows;
};

// What is chosen when an experiment is run.
struct Choices {
  std::int64_t seeds = 1;             // trainings of each model, seeds 0, 1, ...
  double scale = 1;                   // of all numbers of training steps
  std::vector<std::string> settings;  // words after every training's own, which they overrule
};

// Templates are split into words at spaces ('...' and "..." hold one together); then in each word
// {seed}, {run} (the folder that the row's last making names), {runs} (where all are), {steps:N} (N
// training steps, times `scale`, at least 1) and {FACTOR} are replaced. A word that is nothing but
// {FACTOR} becomes as many words as its value has, in which {steps:N} and {seed} are replaced, too;
// in the names of run folders, {FACTOR} is the level's name. Commands with the same words are one
// job. UsageError where a template holds another name in braces, or its first word is no command
// that makes, or measures.
Plan plan_of(const Experiment& experiment, const std::filesystem::path& folder,
             const Choices& choices);

// The words of a template or a value, as above.
std::vector<std::string> words_of(const std::string& text);

}  // namespace calor::experiment
