#include "calor/experiment/experiment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "calor/config/presets.h"
#include "calor/core/error.h"
#include "calor/experiment/answers.h"
#include "calor/experiment/page.h"
#include "calor/experiment/plan.h"
#include "calor/experiment/results.h"
#include "calor/io/atomic_file.h"
#include "tests/support/folder.h"

namespace calor::experiment {
namespace {

// Two factors, one of them of bundles of settings; a teacher that all rows of a method share.
constexpr const char* grid = R"(
title = "A grid"
seeds = 2
[[factor]]
name = "path"
levels = ["linear", "heat"]
values = ["path.kind=linear", "path.kind=heat path.a=0.5"]
[[factor]]
name = "steps"
levels = [4, 8]
[[make]]
run = "{path}-{seed}"
command = "train jit-glyphs {path} train.steps={steps:100} train.seed={seed}"
[[measure]]
name = "evaluate"
command = "evaluate {run} --steps {steps} --reference 'a set'"
[[skip]]
path = "linear"
steps = 8
[[column]]
name = "distance"
key = "/features/distance"
better = "lower"
[[plot]]
x = "steps"
y = "distance"
by = ["path"]
)";

Plan plan_for(const std::string& toml, std::int64_t seeds = 2, double scale = 1,
              std::vector<std::string> settings = {}) {
  return plan_of(parse_experiment(toml, "grid", "grid.toml"), "out",
                 {.seeds = seeds, .scale = scale, .settings = std::move(settings)});
}

std::string with(const std::string& from, const std::string& to) {
  std::string toml = grid;
  toml.replace(toml.find(from), from.size(), to);
  return toml;
}

TEST(Experiment, SplitsWordsAtSpacesOutsideQuotes) {
  EXPECT_EQ(words_of("a 'b c'  \"d\" e='f g'"),
            (std::vector<std::string>{"a", "b c", "d", "e=f g"}));
  EXPECT_EQ(words_of("''"), std::vector<std::string>{""});
}

TEST(Experiment, MakesEachModelOnceAndMeasuresEachRow) {
  const Plan plan = plan_for(grid);
  ASSERT_EQ(plan.rows.size(), 3U);  // one of four combinations is left out
  // Two paths with two seeds each are trained, three rows with two seeds each are measured.
  EXPECT_EQ(plan.jobs.size(), 4U + 6U);
  const Job& heat = plan.jobs[plan.jobs[plan.rows[1].measured_by[1][0]].needs.at(0)];
  EXPECT_EQ(heat.words, (std::vector<std::string>{"train", "jit-glyphs", "path.kind=heat",
                                                  "path.a=0.5", "train.steps=100", "train.seed=1",
                                                  "--run", "out/runs/heat-1"}));
  const Job& measure = plan.jobs[plan.rows[2].measured_by[0][0]];
  EXPECT_EQ(measure.words, (std::vector<std::string>{"evaluate", "out/runs/heat-0", "--steps", "8",
                                                     "--reference", "a set"}));
}

TEST(Experiment, ScalesStepsAndNothingElse) {
  const Plan plan = plan_for(grid, 1, 0.034);
  EXPECT_EQ(plan.jobs[0].words[3], "train.steps=3");
  EXPECT_EQ(plan_for(grid, 1, 1e-9).jobs[0].words[3], "train.steps=1");
}

TEST(Experiment, PutsSettingsBehindEveryTrainingsOwn) {
  const Plan plan = plan_for(grid, 1, 1, {"data.source=mnist", "photos/"});
  EXPECT_EQ(plan.jobs.size(), plan_for(grid, 1).jobs.size());
  for (const Job& job : plan.jobs) {
    if (job.words.front() == "train") {
      const std::vector<std::string> end(job.words.end() - 5, job.words.end());
      EXPECT_EQ(end, (std::vector<std::string>{"train.seed=0", "data.source=mnist", "photos/",
                                               "--run", job.run.string()}));
    } else {
      EXPECT_EQ(std::ranges::count(job.words, "photos/"), 0);
    }
  }
}

TEST(Experiment, RefusesWhatMeansNothing) {
  EXPECT_THROW(plan_for(with("{path} train.steps", "{paht} train.steps")), Error);
  EXPECT_THROW(plan_for(with("train jit-glyphs", "rm jit-glyphs")), Error);
  EXPECT_THROW(plan_for(with("evaluate {run}", "train {run}")), Error);
  EXPECT_THROW(plan_for(with("{steps:100}", "{steps:many}")), Error);
  EXPECT_THROW(plan_for(with("{path}-{seed}", "model")), Error);  // four commands, one folder
  EXPECT_THROW(plan_for(with("better = \"lower\"", "better = \"more\"")), Error);
  EXPECT_THROW(plan_for(with("x = \"steps\"", "x = \"stepz\"")), Error);
  EXPECT_THROW(plan_for(with("key = \"/f", "key = \"f")), Error);
  EXPECT_THROW(plan_for(with("path = \"linear\"\n", "path = \"cubic\"\n")), Error);
  EXPECT_THROW(plan_for(with("title =", "tilte =")), Error);
  EXPECT_THROW(plan_for(with("levels = [4, 8]", "levels = []")), Error);
  EXPECT_THROW(plan_for(with("title = \"A grid\"", "title = ")), Error);
}

// A row to be left out has one level of each factor that it names: neither none nor several.
TEST(Experiment, SkipsOneLevelOfAFactor) {
  const std::string of_path = "path = \"linear\"\n";
  EXPECT_EQ(plan_for(with(of_path, "path = [\"linear\"]\n")).rows.size(), 3U);
  for (const char* list : {"path = []\n", "path = [\"linear\", \"heat\"]\n"}) {
    SCOPED_TRACE(list);
    try {
      plan_for(with(of_path, list));
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_EQ(error.expected(), "one level for 'path' in [[skip]] number 1");
    }
  }
}

TEST(Experiment, ErrorsNameTheFileAndTheKey) {
  try {
    plan_for(with("seeds = 2", "sedes = 2"));
    FAIL();
  } catch (const Error& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("grid.toml"), std::string::npos);
    EXPECT_NE(text.find("sedes"), std::string::npos);
    EXPECT_NE(text.find("seeds"), std::string::npos);  // the nearest key
  }
}

TEST(Experiment, GathersAnswersIntoATable) {
  const test::Folder folder;
  const Experiment experiment = parse_experiment(grid, "grid", "grid.toml");
  const Plan plan = plan_of(experiment, folder.path(), {.seeds = 2, .scale = 1, .settings = {}});
  io::make_folder(folder.path() / "results");
  const auto answer = [](double distance) {
    return nlohmann::ordered_json{{"features", {{"distance", distance}}}};
  };
  // Row 0: 1 and 3; row 1: 0.5 alone; row 2: nothing yet.
  keep_answer(folder.path(), plan.jobs[plan.rows[0].measured_by[0][0]], answer(1));
  keep_answer(folder.path(), plan.jobs[plan.rows[0].measured_by[1][0]], answer(3));
  keep_answer(folder.path(), plan.jobs[plan.rows[1].measured_by[1][0]], answer(0.5));
  const Table table = table_of(experiment, plan, folder.path());
  EXPECT_EQ(table.rows[0].levels, (std::vector<std::string>{"linear", "4"}));
  EXPECT_DOUBLE_EQ(table.rows[0].cells[0].mean, 2);
  EXPECT_DOUBLE_EQ(table.rows[0].cells[0].spread, std::sqrt(2.0));
  EXPECT_DOUBLE_EQ(table.rows[1].cells[0].mean, 0.5);
  EXPECT_TRUE(std::isnan(table.rows[2].cells[0].mean));
  const std::string text = markdown(experiment, table);
  EXPECT_NE(text.find("| linear | 4 | 2.000 ± 1.414 |"), std::string::npos) << text;
  EXPECT_NE(text.find("| heat | 4 | **0.500 (1 of 2)** |"), std::string::npos) << text;
  EXPECT_NE(text.find("| heat | 8 | - |"), std::string::npos) << text;
  EXPECT_EQ(json(table)[0]["columns"]["distance"]["values"].size(), 2U);
  EXPECT_NE(csv(table).find("linear,4,2,1.41"), std::string::npos) << csv(table);
  const std::string html = page(experiment, plan, table);
  EXPECT_NE(html.find("<svg"), std::string::npos);
  EXPECT_NE(html.find("&#39;a set&#39;"), std::string::npos);
}

// Letters that no file's name has would make one name of two jobs, each taking the other's answer.
TEST(Experiment, EveryJobHasANameOfItsOwn) {
  const Plan plan = plan_for(with("levels = [4, 8]", "levels = [\"+8\", \"-8\", 8]"), 1);
  std::set<std::string> names;
  for (const Job& job : plan.jobs) names.insert(job.name);
  EXPECT_EQ(names.size(), plan.jobs.size());
  EXPECT_TRUE(names.contains("evaluate-heat--8-seed0-2"));
  EXPECT_THROW(plan_for(with("levels = [4, 8]", "levels = [8, 8]")), Error);
  EXPECT_THROW(plan_for(with("name = \"path\"", "name = \"steps\"")), Error);
}

TEST(Experiment, AnAnswerDependsOnTheTrainingToo) {
  const test::Folder folder;
  io::make_folder(folder.path() / "results");
  const Plan before = plan_for(grid, 1);
  const Plan after = plan_for(with("{steps:100}", "{steps:200}"), 1);
  const std::size_t job = before.rows[0].measured_by[0][0];
  ASSERT_EQ(before.jobs[job].words, after.jobs[job].words);
  EXPECT_EQ(before.jobs[job].after.size(), 1U);
  keep_answer(folder.path(), before.jobs[job], {{"x", 1}});
  EXPECT_TRUE(kept_answer(folder.path(), before.jobs[job]).has_value());
  EXPECT_FALSE(kept_answer(folder.path(), after.jobs[job]).has_value());
}

TEST(Experiment, KeysLeadThroughListsByNumberAndByName) {
  const auto answer = nlohmann::ordered_json::parse(
      R"({"features": [{"features": "LeNet", "d": 1}, {"features": "ResNet-56", "d": 2}],
          "a/b": {"~": 3}, "none": null, "words": ["x"]})");
  EXPECT_EQ(number_at(answer, "/features/0/d"), 1);
  EXPECT_EQ(number_at(answer, "/features/ResNet-56/d"), 2);
  EXPECT_EQ(number_at(answer, "/a~1b/~0"), 3);
  for (const char* key : {"", "features", "/", "/features", "/features/2/d", "/features/VGG/d",
                          "/features/LeNet/e", "/none", "/none/x", "/a~1b/~2", "/words/x/y"}) {
    EXPECT_TRUE(std::isnan(number_at(answer, key))) << key;
  }
}

TEST(Experiment, SaysWhichColumnsAnAnswerLacks) {
  const Experiment experiment = parse_experiment(grid, "grid", "grid.toml");
  const Plan plan = plan_for(grid, 1);
  const std::size_t job = plan.rows[0].measured_by[0][0];
  using Json = nlohmann::ordered_json;
  const Json whole{{"features", {{"distance", 1}}}};
  const Json diverged{{"features", {{"distance", nullptr}}}};
  EXPECT_TRUE(columns_without_number(experiment, plan, job, whole).empty());
  EXPECT_EQ(columns_without_number(experiment, plan, job, diverged),
            std::vector<std::string>{"distance"});
  EXPECT_TRUE(columns_without_number(experiment, plan, 0, diverged).empty());  // a training
}

TEST(Experiment, AnAnswerCountsForTheSameWordsOnly) {
  const test::Folder folder;
  io::make_folder(folder.path() / "results");
  Job job{.name = "one", .words = {"info", "a"}, .run = {}, .needs = {}};
  keep_answer(folder.path(), job, {{"x", 1}});
  EXPECT_TRUE(kept_answer(folder.path(), job).has_value());
  job.words.emplace_back("--more");
  EXPECT_FALSE(kept_answer(folder.path(), job).has_value());
  job.words.pop_back();
  io::write_file_atomically(answer_file(folder.path(), job),
                            std::string_view("{\"command\": [\"in"));
  EXPECT_FALSE(kept_answer(folder.path(), job).has_value());
}

TEST(Experiment, EveryNamedOneHasAPlan) {
  ASSERT_FALSE(embedded_experiments().empty());
  for (const auto& [name, text] : embedded_experiments()) {
    SCOPED_TRACE(std::string(name));
    const Experiment experiment =
        parse_experiment(text, std::string(name), std::string(name) + ".toml");
    const Plan plan =
        plan_of(experiment, "out", {.seeds = experiment.seeds, .scale = 1, .settings = {}});
    EXPECT_FALSE(plan.rows.empty());
    EXPECT_FALSE(config::preset_summary(text).empty());
    for (const auto& job : plan.jobs) {
      if (job.words.front() != "train") continue;
      EXPECT_TRUE(config::is_preset(job.words[1])) << job.words[1];
    }
  }
}

}  // namespace
}  // namespace calor::experiment
